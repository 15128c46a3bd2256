//! One operation of an AWS service whose SDK is not worth its weight: over the SDK's own runtime, so that HTTP, signing,
//! retries and timeouts are the SDK's, with the request and the answer written here (docs/adr/0004).

use std::time::Duration;

use aws_config::SdkConfig;
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
        orchestrator::{HttpRequest, HttpResponse, OrchestratorError, SensitiveOutput},
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
    SigningName,
    region::{Region, SigningRegion},
    service_config::ServiceConfigKey,
};

/// An operation: of which service, and how long it may take.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// The service, as the SDKs call it: `EC2`. `AWS_ENDPOINT_URL_EC2` says where it is.
    pub service: &'static str,
    /// The same in its host's name and in signatures: `ec2`.
    pub host: &'static str,
    /// The operation: `DescribeInstances`.
    pub operation: &'static str,
    /// How long one attempt may take.
    pub attempt: Duration,
    /// How long all attempts may take together.
    pub all: Duration,
}

/// The client's settings lack something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("AWS cannot be asked: {0} is not set")]
pub struct NotSet(pub &'static str);

/// The service has answered an error.
#[derive(Debug, thiserror::Error)]
#[error("{status} {}: {}", .meta.code().unwrap_or("without a code"), .meta.message().unwrap_or("without a message"))]
pub struct Refused {
    status: u16,
    meta: ErrorMetadata,
}

impl Refused {
    /// What an operation's answer came to, with what the service says of it.
    #[must_use]
    pub fn of(
        response: &HttpResponse,
        (code, message): (String, String),
    ) -> OrchestratorError<Self> {
        let meta = ErrorMetadata::builder().code(code).message(message);
        OrchestratorError::operation(Self {
            status: response.status().as_u16(),
            meta: meta.build(),
        })
    }

    /// The same over the awsJson protocols, where the body says what it is.
    #[must_use]
    pub fn of_json(response: &HttpResponse) -> OrchestratorError<Self> {
        let body = response.body().bytes().unwrap_or_default();
        Self::of(response, code_and_message(body))
    }

    /// Whether another try may succeed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        let code = self.code().unwrap_or_default();
        code.contains("LimitExceeded") || code.contains("Throttl") || self.status >= 500
    }
}

/// `{"__type":"…#ParameterNotFound","message":"…"}`, with an `M` where the service feels like it.
fn code_and_message(body: &[u8]) -> (String, String) {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| body.get(name).and_then(serde_json::Value::as_str);
    let code = text("__type").unwrap_or_default();
    let code = code.rsplit('#').next().unwrap_or_default();
    let message = text("message").or_else(|| text("Message"));
    (
        code.to_owned(),
        crate::event::shown(message.unwrap_or_default()),
    )
}

impl ProvideErrorMetadata for Refused {
    fn meta(&self) -> &ErrorMetadata {
        &self.meta
    }
}

/// A request with a body, at `path` of the service.
pub fn post(path: &str, headers: &[(&str, &str)], body: String) -> Result<HttpRequest, BoxError> {
    let request = http::Request::builder()
        .method(http::Method::POST)
        .uri(path)
        .header("content-length", body.len());
    let request = headers.iter().fold(request, |request, (name, value)| {
        request.header(*name, *value)
    });
    Ok(request.body(SdkBody::from(body))?.try_into()?)
}

impl Call {
    /// The operation in `region`, with the credentials, endpoint, HTTP client and retries of `config`. `request` writes what is
    /// sent, `answer` reads what comes.
    pub fn operation<I, O>(
        &self,
        (config, region): (&SdkConfig, &str),
        request: fn(I) -> Result<HttpRequest, BoxError>,
        answer: fn(&HttpResponse) -> Result<O, OrchestratorError<Refused>>,
    ) -> Result<Operation<I, O, Refused>, NotSet>
    where
        I: std::fmt::Debug + Send + Sync + 'static,
        O: std::fmt::Debug + Send + Sync + 'static,
    {
        let retries = config.retry_config().cloned();
        let mut operation = Operation::builder()
            .service_name(self.service)
            .operation_name(self.operation)
            .endpoint_url(&self.endpoint(config, region))
            .standard_retry(&retries.unwrap_or_else(RetryConfig::standard))
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(Duration::from_secs(2))
                    .operation_attempt_timeout(self.attempt)
                    .operation_timeout(self.all)
                    .build(),
            )
            .retry_classifier(TransientErrorClassifier::<Refused>::new())
            .retry_classifier(AwsErrorCodeClassifier::<Refused>::new())
            .retry_classifier(HttpStatusCodeClassifier::default())
            .runtime_plugin(self.signing(config, region)?)
            .with_connection_poisoning();
        if let Some(client) = config.http_client() {
            operation = operation.http_client(client);
        }
        if let Some(sleep) = config.sleep_impl() {
            operation = operation.sleep_impl(sleep);
        }
        if let Some(time) = config.time_source() {
            operation = operation.time_source(time);
        }
        if let Some(version) = config.behavior_version() {
            operation = operation.behavior_version(version);
        }
        Ok(operation.serializer(request).deserializer(answer).build())
    }

    /// Where the service is: where the standard variables say, or where it is by itself.
    fn endpoint(&self, config: &SdkConfig, region: &str) -> String {
        let key = ServiceConfigKey::builder()
            .service_id(self.service)
            .env("AWS_ENDPOINT_URL")
            .profile("endpoint_url")
            .build();
        let own = key
            .ok()
            .and_then(|key| config.service_config()?.load_config(key));
        let set = own.or_else(|| config.endpoint_url().map(str::to_owned));
        set.unwrap_or_else(|| {
            let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
            format!("https://{}.{region}.amazonaws.com{suffix}", self.host)
        })
    }

    /// Signature version 4, by the credentials of `config`.
    fn signing(&self, config: &SdkConfig, region: &str) -> Result<StaticRuntimePlugin, NotSet> {
        let credentials = config.credentials_provider();
        let credentials = credentials.ok_or(NotSet("a provider of credentials"))?;
        let mut layer = Layer::new("signing");
        layer.store_put(AuthSchemeOptionResolverParams::new(()));
        // Or the answer would be logged where all is: some answers are secrets.
        layer.store_put(SensitiveOutput);
        layer.store_put(SigV4OperationSigningConfig {
            region: Some(SigningRegion::from(Region::new(region.to_owned()))),
            region_set: None,
            name: Some(SigningName::from_static(self.host)),
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_by_its_code() {
        let refusal = br#"{"__type":"com.amazonaws.ssm#ParameterNotFound","message":"Parameter /a not found."}"#;
        let (code, message) = code_and_message(refusal);
        assert_eq!(
            (code.as_str(), message.as_str()),
            ("ParameterNotFound", "Parameter /a not found.")
        );
        assert_eq!(code_and_message(b"<html>"), (String::new(), String::new()));
    }
}
