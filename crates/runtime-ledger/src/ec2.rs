//! The port to EC2: `DescribeInstances`, and nothing else of it.
//!
//! `aws-sdk-ec2` takes minutes and 8 GiB to compile (docs/adr/0004), so this is a client of that one operation over the
//! SDK's own runtime: its HTTP client, signing, retries and timeouts. Format: "Amazon EC2 API Reference",
//! `DescribeInstances`, version 2016-11-15.

mod xml;

use std::time::{Duration, Instant};

use aws_runtime::{
    auth::sigv4::{SCHEME_ID, SigV4AuthScheme},
    auth::{SigV4OperationSigningConfig, SigningOptions},
    retries::classifiers::AwsErrorCodeClassifier,
};
use aws_smithy_runtime::client::{
    orchestrator::operation::Operation,
    retries::classifiers::{HttpStatusCodeClassifier, TransientErrorClassifier},
};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        auth::{
            AuthSchemeOptionResolverParams, SharedAuthScheme, SharedAuthSchemeOptionResolver,
            static_resolver::StaticAuthSchemeOptionResolver,
        },
        orchestrator::{HttpRequest, HttpResponse, OrchestratorError},
        result::SdkError,
        runtime_components::RuntimeComponentsBuilder,
        runtime_plugin::StaticRuntimePlugin,
    },
};
use aws_smithy_types::{
    body::SdkBody,
    config_bag::Layer,
    error::{ErrorMetadata, metadata::ProvideErrorMetadata},
    retry::RetryConfig,
    timeout::TimeoutConfig,
};
use aws_types::{
    SdkConfig, SigningName,
    region::{Region, SigningRegion},
    service_config::ServiceConfigKey,
};
use jiff::Timestamp;
use url::form_urlencoded::Serializer;

pub use self::xml::{MAX_ANSWER, parse_answer, parse_refusal};
use crate::{described::Described, instance::InstanceId};

/// The version of the API that is spoken.
const VERSION: &str = "2016-11-15";
/// The most ids that can be asked for at a time: as many values as one filter takes.
pub const MOST_IDS: usize = 200;
/// How many instances one page may have: some 4 MB.
const PAGE: &str = "500";
/// More pages than any account has instances for: whoever goes on for ever is not believed.
const MAX_PAGES: usize = 1_000;

/// A client of EC2 in one Region.
#[derive(Clone, Debug)]
pub struct Ec2 {
    describe: Operation<Asked, Page, Refused>,
}

/// Which instances: those that are all of this.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Which<'a> {
    /// They have a tag with this key, and with this value, if one is given.
    pub tag: Option<(&'a str, Option<&'a str>)>,
    /// They are among these, [`MOST_IDS`] at most; none stands for all. One that is gone is not among the answers, and no error.
    pub ids: &'a [InstanceId],
}

/// A page of instances.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The instances.
    pub instances: Vec<Described>,
    /// What to ask for the next page with, if there is one.
    pub next: Option<String>,
}

/// EC2 could not be asked, or refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Ec2Error {
    /// The client's settings lack something.
    #[error("EC2 cannot be asked: {0} is not set")]
    NotSet(&'static str),
    /// The call failed.
    #[error("DescribeInstances failed")]
    Call(#[source] Box<SdkError<Refused, HttpResponse>>),
    /// It has answered more pages than there can be.
    #[error("DescribeInstances has answered more than {MAX_PAGES} pages")]
    Endless,
}

impl Ec2Error {
    /// Whether another try may succeed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::NotSet(_) | Self::Endless => false,
            Self::Call(error) => error.as_service_error().is_none_or(|refused| {
                let code = refused.code().unwrap_or_default();
                code.contains("LimitExceeded") || code.contains("Throttl") || refused.status >= 500
            }),
        }
    }
}

/// EC2 has answered an error.
#[derive(Debug, thiserror::Error)]
#[error("{status} {}: {}", .meta.code().unwrap_or("without a code"), .meta.message().unwrap_or("without a message"))]
pub struct Refused {
    /// The HTTP status.
    status: u16,
    meta: ErrorMetadata,
}

impl ProvideErrorMetadata for Refused {
    fn meta(&self) -> &ErrorMetadata {
        &self.meta
    }
}

/// A form to be sent.
#[derive(Clone, Debug)]
struct Asked(String);

impl Ec2 {
    /// In `region`, with the credentials, endpoint, timeouts and retries of `config`.
    pub fn new(config: &SdkConfig, region: &str) -> Result<Self, Ec2Error> {
        let url = endpoint(config, region);
        let retries = config.retry_config().cloned();
        let mut describe = Operation::builder()
            .service_name("EC2")
            .operation_name("DescribeInstances")
            .endpoint_url(&url)
            .standard_retry(&retries.unwrap_or_else(RetryConfig::standard))
            .timeout_config(timeouts())
            .retry_classifier(TransientErrorClassifier::<Refused>::new())
            .retry_classifier(AwsErrorCodeClassifier::<Refused>::new())
            .retry_classifier(HttpStatusCodeClassifier::default())
            .runtime_plugin(signing(config, region)?)
            .with_connection_poisoning();
        if let Some(client) = config.http_client() {
            describe = describe.http_client(client);
        }
        if let Some(sleep) = config.sleep_impl() {
            describe = describe.sleep_impl(sleep);
        }
        if let Some(time) = config.time_source() {
            describe = describe.time_source(time);
        }
        if let Some(version) = config.behavior_version() {
            describe = describe.behavior_version(version);
        }
        let describe = describe.serializer(request).deserializer(answer).build();
        Ok(Self { describe })
    }

    /// All instances that `which` says, those that were terminated within the last hour or so included. It is `now` when
    /// this begins; each is dated by when its answer came.
    pub async fn describe(
        &self,
        which: &Which<'_>,
        now: Timestamp,
    ) -> Result<Vec<Described>, Ec2Error> {
        let began = Instant::now();
        let mut all = Vec::new();
        let mut next: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let asked = Asked(form(which, next.as_deref()));
            let page = self.describe.invoke(asked).await;
            let page = page.map_err(|error| Ec2Error::Call(Box::new(error)))?;
            let at = now.saturating_add(began.elapsed()).unwrap_or(now);
            all.extend(page.instances.into_iter().map(|it| it.dated(at)));
            next = page.next;
            if next.is_none() {
                return Ok(all);
            }
        }
        Err(Ec2Error::Endless)
    }
}

/// A page is longer than what other calls answer.
fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(2))
        .operation_attempt_timeout(Duration::from_secs(20))
        .operation_timeout(Duration::from_mins(1))
        .build()
}

/// Where EC2 is: where the standard variables say, or where it is by itself.
fn endpoint(config: &SdkConfig, region: &str) -> String {
    let key = ServiceConfigKey::builder()
        .service_id("EC2")
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build();
    let own = key
        .ok()
        .and_then(|key| config.service_config()?.load_config(key));
    let set = own.or_else(|| config.endpoint_url().map(str::to_owned));
    set.unwrap_or_else(|| {
        let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
        format!("https://ec2.{region}.amazonaws.com{suffix}")
    })
}

/// Signature version 4, by the credentials of `config`.
fn signing(config: &SdkConfig, region: &str) -> Result<StaticRuntimePlugin, Ec2Error> {
    let credentials = config.credentials_provider();
    let credentials = credentials.ok_or(Ec2Error::NotSet("a provider of credentials"))?;
    let mut layer = Layer::new("signing");
    layer.store_put(AuthSchemeOptionResolverParams::new(()));
    layer.store_put(SigV4OperationSigningConfig {
        region: Some(SigningRegion::from(Region::new(region.to_owned()))),
        region_set: None,
        name: Some(SigningName::from_static("ec2")),
        signing_options: SigningOptions::default(),
    });
    let options = StaticAuthSchemeOptionResolver::new(vec![SCHEME_ID]);
    let mut components = RuntimeComponentsBuilder::new("signing")
        .with_auth_scheme_option_resolver(Some(SharedAuthSchemeOptionResolver::new(options)))
        .with_auth_scheme(SharedAuthScheme::new(SigV4AuthScheme::new()))
        .with_identity_resolver(SCHEME_ID, credentials);
    if let Some(cache) = config.identity_cache() {
        components = components.with_identity_cache(Some(cache));
    }
    Ok(StaticRuntimePlugin::new()
        .with_config(layer.freeze())
        .with_runtime_components(components))
}

fn form(which: &Which<'_>, next: Option<&str>) -> String {
    let mut form = Serializer::new(String::new());
    form.append_pair("Action", "DescribeInstances")
        .append_pair("Version", VERSION);
    let tag = which.tag.map(|(key, value)| match value {
        None => ("tag-key".to_owned(), vec![key]),
        Some(value) => (format!("tag:{key}"), vec![value]),
    });
    // One that is named and gone would be an error; one that is filtered for is only absent.
    let ids: Vec<_> = which.ids.iter().map(InstanceId::as_str).collect();
    let ids = (!ids.is_empty()).then(|| ("instance-id".to_owned(), ids));
    for (filter, (name, values)) in (1..).zip(tag.into_iter().chain(ids)) {
        form.append_pair(&format!("Filter.{filter}.Name"), &name);
        for (at, value) in (1..).zip(values) {
            form.append_pair(&format!("Filter.{filter}.Value.{at}"), &escaped(value));
        }
    }
    form.append_pair("MaxResults", PAGE);
    if let Some(next) = next {
        form.append_pair("NextToken", next);
    }
    form.finish()
}

/// A filter's value that stands for nothing but itself: `*` and `?` would match more.
fn escaped(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for letter in value.chars() {
        if matches!(letter, '*' | '?' | '\\') {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

fn request(asked: Asked) -> Result<HttpRequest, BoxError> {
    let request = http::Request::builder()
        .method(http::Method::POST)
        .uri("/")
        .header(
            "content-type",
            "application/x-www-form-urlencoded; charset=utf-8",
        )
        .header("content-length", asked.0.len())
        .body(SdkBody::from(asked.0))?;
    Ok(request.try_into()?)
}

fn answer(response: &HttpResponse) -> Result<Page, OrchestratorError<Refused>> {
    let bytes = response.body().bytes().unwrap_or_default();
    if response.status().is_success() {
        return parse_answer(bytes, Timestamp::UNIX_EPOCH).map_err(OrchestratorError::other);
    }
    let (code, message) = parse_refusal(bytes).unwrap_or_default();
    Err(OrchestratorError::operation(Refused {
        status: response.status().as_u16(),
        meta: ErrorMetadata::builder().code(code).message(message).build(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_asks_for_what_is_meant() {
        let tagged = |value| {
            let which = Which {
                tag: Some(("App", value)),
                ids: &[],
            };
            form(&which, None)
        };
        assert_eq!(
            tagged(None),
            "Action=DescribeInstances&Version=2016-11-15&Filter.1.Name=tag-key&Filter.1.Value.1=App&MaxResults=500"
        );
        assert!(
            tagged(Some("my*app&x"))
                .contains("Filter.1.Name=tag%3AApp&Filter.1.Value.1=my%5C*app%26x&")
        );
        let ids = ["i-0000000a", "i-0000000b"].map(|id| id.parse().unwrap());
        let which = Which {
            tag: None,
            ids: &ids,
        };
        let next = form(&which, Some("t=1"));
        assert!(next.contains(
            "Filter.1.Value.1=i-0000000a&Filter.1.Value.2=i-0000000b&MaxResults=500&NextToken=t%3D1"
        ));
    }
}
