//! The port to `EventBridge`: `PutEvents` of one event, and nothing else of it.
//!
//! Format: "Amazon EventBridge API Reference", `PutEvents`, over the awsJson 1.1 protocol. A request of one entry, since the
//! size of a request is bounded, not that of an entry.

use std::time::Duration;

use anyhow::Context as _;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        orchestrator::{HttpRequest, HttpResponse, OrchestratorError},
        result::SdkError,
    },
};
use aws_smithy_types::error::metadata::ProvideErrorMetadata as _;
use aws_types::SdkConfig;
use larder_lambda::{Call, NotSet, Refused, post};
use serde::Deserialize;
use serde_json::json;

const PUT_EVENTS: Call = Call {
    service: "EventBridge",
    host: "events",
    operation: "PutEvents",
    attempt: Duration::from_secs(3),
    all: Duration::from_secs(8),
};

/// What events of this function say that they come from.
const SOURCE: &str = "larder.monitor-runner";
/// How often an entry is sent that the service fails on inside of an answer with status 200, which the SDK does not retry.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(200);
/// The longest that sending an event may take, whatever fails.
pub(crate) const SEND_TIME: Duration = Duration::from_secs(10);

/// An event bus.
#[derive(Debug)]
pub(crate) struct EventBus {
    put: Result<Operation<String, (), Refused>, NotSet>,
    name: String,
    function: String,
}

impl EventBus {
    /// The bus called `name`, in the Region of `aws`, for events of this `function`. Connects to nothing yet; where there is
    /// no Region, sending fails.
    pub(crate) fn new(aws: &SdkConfig, name: &str, function: &str) -> Self {
        let region = aws.region().ok_or(NotSet("AWS_REGION"));
        let put =
            region.and_then(|region| PUT_EVENTS.operation((aws, region.as_ref()), request, answer));
        Self {
            put,
            name: name.to_owned(),
            function: function.to_owned(),
        }
    }

    /// Sends an event. `detail` is a JSON object.
    pub(crate) async fn send(&self, detail_type: &str, detail: &str) -> anyhow::Result<()> {
        let sent = tokio::time::timeout(SEND_TIME, self.put(detail_type, detail)).await;
        let in_time = sent.map_err(|_| anyhow::anyhow!("not done within {SEND_TIME:?}"));
        let (name, bus) = (detail_type, &self.name);
        let outcome = in_time.and_then(|sent| sent);
        outcome.with_context(|| format!("failed to send `{name}` to the event bus {bus}"))
    }

    async fn put(&self, detail_type: &str, detail: &str) -> anyhow::Result<()> {
        let put = self.put.as_ref().map_err(|missing| *missing)?;
        // Receivers' rules tell the events of two functions on one bus apart by this.
        let resources = [&self.function];
        let resources = resources.into_iter().filter(|name| !name.is_empty());
        let entry = json!({
            "Source": SOURCE,
            "DetailType": detail_type,
            "Detail": detail,
            "EventBusName": self.name,
            "Resources": resources.collect::<Vec<_>>(),
        });
        let body = json!({ "Entries": [entry] }).to_string();
        let mut attempt = 1;
        loop {
            let Err(error) = put.invoke(body.clone()).await else {
                return Ok(());
            };
            if attempt == ATTEMPTS || !is_internal(&error) {
                return Err(error.into());
            }
            tokio::time::sleep(PAUSE * attempt).await;
            attempt += 1;
        }
    }
}

/// Whether the service has failed on the entry by a fault of its own.
fn is_internal(error: &SdkError<Refused, HttpResponse>) -> bool {
    let code = error.as_service_error().and_then(|refused| refused.code());
    matches!(
        code,
        Some("InternalFailure" | "InternalException" | "ServiceUnavailable")
    )
}

fn request(body: String) -> Result<HttpRequest, BoxError> {
    let headers = [
        ("content-type", "application/x-amz-json-1.1"),
        ("x-amz-target", "AWSEvents.PutEvents"),
    ];
    post("/", &headers, body)
}

fn answer(response: &HttpResponse) -> Result<(), OrchestratorError<Refused>> {
    if !response.status().is_success() {
        return Err(Refused::of_json(response));
    }
    let bytes = response.body().bytes().unwrap_or_default();
    match refused_entry(bytes) {
        Ok(None) => Ok(()),
        // Of the kind that a refused request is, so that throttling is retried in the same way.
        Ok(Some(code_and_message)) => Err(Refused::of(response, code_and_message)),
        Err(error) => Err(OrchestratorError::other(format!(
            "invalid answer of PutEvents: {error}"
        ))),
    }
}

/// Code and message of the entry that was not taken, of an answer that says so.
fn refused_entry(answer: &[u8]) -> Result<Option<(String, String)>, serde_json::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        #[serde(default)]
        failed_entry_count: u64,
        #[serde(default)]
        entries: Vec<Entry>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Entry {
        error_code: Option<String>,
        error_message: Option<String>,
    }
    let answer: Answer = serde_json::from_slice(answer)?;
    let refused = answer
        .entries
        .into_iter()
        .find_map(|entry| Some((entry.error_code?, entry.error_message)));
    let unexplained = || (answer.failed_entry_count > 0).then(|| ("Unknown".to_owned(), None));
    Ok(refused.or_else(unexplained).map(|(code, message)| {
        let message = larder_lambda::event::shown(message.unwrap_or_default());
        (code, message)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(answer: &str) -> Option<(String, String)> {
        refused_entry(answer.as_bytes()).unwrap()
    }

    #[test]
    fn entry_that_was_not_taken_is_an_error() {
        assert_eq!(
            refused(r#"{"FailedEntryCount":0,"Entries":[{"EventId":"1"}]}"#),
            None
        );
        assert_eq!(
            refused(
                r#"{"FailedEntryCount":1,"Entries":[{"ErrorCode":"ThrottlingException","ErrorMessage":"Rate exceeded"}]}"#
            ),
            Some(("ThrottlingException".to_owned(), "Rate exceeded".to_owned()))
        );
        assert_eq!(
            refused(r#"{"FailedEntryCount":1,"Entries":[]}"#),
            Some(("Unknown".to_owned(), String::new()))
        );
        assert!(refused_entry(b"<html>").is_err());
    }
}
