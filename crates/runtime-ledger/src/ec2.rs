//! The port to EC2: `DescribeInstances`, and nothing else of it.
//!
//! `aws-sdk-ec2` takes minutes and 8 GiB to compile (docs/adr/0004), so this is a [call](Call) of that one operation.
//! Format: "Amazon EC2 API Reference", `DescribeInstances`, version 2016-11-15.

mod xml;

use std::time::{Duration, Instant};

use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        orchestrator::{HttpRequest, HttpResponse, OrchestratorError},
        result::SdkError,
    },
};
use aws_types::SdkConfig;
use jiff::Timestamp;
use larder_lambda::{Call, NotSet, Refused, post};
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

/// A page is longer than what other calls answer.
const DESCRIBE_INSTANCES: Call = Call {
    service: "EC2",
    host: "ec2",
    operation: "DescribeInstances",
    attempt: Duration::from_secs(20),
    all: Duration::from_mins(1),
};

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
            Self::Endless => false,
            Self::Call(error) => error.as_service_error().is_none_or(Refused::is_transient),
        }
    }
}

/// A form to be sent.
#[derive(Clone, Debug)]
struct Asked(String);

impl Ec2 {
    /// In `region`, with the credentials, endpoint, timeouts and retries of `config`.
    pub fn new(config: &SdkConfig, region: &str) -> Result<Self, NotSet> {
        let describe = DESCRIBE_INSTANCES.operation((config, region), request, answer)?;
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
    let form = "application/x-www-form-urlencoded; charset=utf-8";
    post("/", &[("content-type", form)], asked.0)
}

fn answer(response: &HttpResponse) -> Result<Page, OrchestratorError<Refused>> {
    let bytes = response.body().bytes().unwrap_or_default();
    if response.status().is_success() {
        return parse_answer(bytes, Timestamp::UNIX_EPOCH).map_err(OrchestratorError::other);
    }
    let said = parse_refusal(bytes).unwrap_or_default();
    Err(Refused::of(response, said))
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
