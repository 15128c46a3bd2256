//! The queue that is told what has to be done later: SQS's `SendMessage`, and nothing else of it.
//!
//! Format: "Amazon SQS API Reference", `SendMessage`, over the awsJson 1.0 protocol.

use std::time::Duration;

use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        orchestrator::{HttpRequest, HttpResponse, OrchestratorError},
        result::SdkError,
    },
};
use aws_types::SdkConfig;
use larder_lambda::{Call, NotSet, Refused, post};
use serde_json::{Value, json};

use crate::FOR_THE_QUEUE;

/// What is in progress is done within half a minute, mostly.
const DELAY_SECONDS: u32 = 60;

const SEND_MESSAGE: Call = Call {
    service: "SQS",
    host: "sqs",
    operation: "SendMessage",
    attempt: Duration::from_secs(2),
    all: FOR_THE_QUEUE,
};

/// A client of one queue.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    url: String,
    send: Operation<String, (), Refused>,
}

/// A message could not be sent.
#[derive(Debug, thiserror::Error)]
#[error("the queue cannot be told")]
pub(crate) struct NotSent(#[from] Box<SdkError<Refused, HttpResponse>>);

impl Queue {
    /// The one at `url`, in the Region of `config`. Connects to nothing yet.
    pub(crate) fn new(config: &SdkConfig, url: &str) -> Result<Self, NotSet> {
        let region = config.region().ok_or(NotSet("AWS_REGION"))?;
        Ok(Self {
            url: url.to_owned(),
            send: SEND_MESSAGE.operation((config, region.as_ref()), request, answer)?,
        })
    }

    /// Has the queue deliver `message` a minute from now.
    pub(crate) async fn send(&self, message: &Value) -> Result<(), NotSent> {
        let body = json!({ "QueueUrl": self.url, "MessageBody": message.to_string(), "DelaySeconds": DELAY_SECONDS });
        let sent = self.send.invoke(body.to_string()).await;
        sent.map_err(|error| NotSent(Box::new(error)))
    }
}

fn request(body: String) -> Result<HttpRequest, BoxError> {
    let headers = [
        ("content-type", "application/x-amz-json-1.0"),
        ("x-amz-target", "AmazonSQS.SendMessage"),
    ];
    post("/", &headers, body)
}

fn answer(response: &HttpResponse) -> Result<(), OrchestratorError<Refused>> {
    if response.status().is_success() {
        Ok(())
    } else {
        Err(Refused::of_json(response))
    }
}
