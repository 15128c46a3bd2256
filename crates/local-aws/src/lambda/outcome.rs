//! What became of an invocation, in Lambda's own words.

use std::time::Duration;

use serde_json::{Value, json};

/// A finished invocation.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its id.
    pub request_id: String,
    /// The answer, or the function's error.
    pub result: Result<Vec<u8>, FunctionError>,
    /// From the moment the runtime got the event to the moment its answer came.
    pub duration: Duration,
    /// From the process's start to its first request for an event; only if this invocation started
    /// it.
    pub init: Option<Duration>,
    /// The lines that it wrote to stdout and stderr from its start until its answer came.
    pub logs: Vec<String>,
}

/// An error as the caller gets it.
#[derive(Clone, Debug, PartialEq)]
pub struct FunctionError {
    /// `errorType`.
    pub error_type: String,
    /// `errorMessage`.
    pub message: String,
}

impl FunctionError {
    pub(super) fn new(error_type: &str, message: impl Into<String>) -> Self {
        Self {
            error_type: error_type.to_owned(),
            message: message.into(),
        }
    }

    pub(super) fn timed_out(request_id: &str, timeout: Duration) -> Self {
        let seconds = timeout.as_secs_f64();
        Self::new(
            "Sandbox.Timedout",
            format!("RequestId: {request_id} Error: Task timed out after {seconds:.2} seconds"),
        )
    }

    pub(super) fn exited(request_id: &str, how: &str) -> Self {
        Self::new(
            "Runtime.ExitError",
            format!("RequestId: {request_id} Error: Runtime exited {how}"),
        )
    }

    /// Whether it tells of a process that is gone or has to go.
    pub(super) fn ended_the_process(&self) -> bool {
        matches!(
            self.error_type.as_str(),
            "Sandbox.Timedout" | "Runtime.ExitError"
        )
    }

    /// From what a runtime posts to an error path.
    pub(super) fn posted(body: &[u8]) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |field: &str| body.get(field).and_then(Value::as_str).unwrap_or_default();
        Self::new(text("errorType"), text("errorMessage"))
    }

    /// The payload of an answer with `X-Amz-Function-Error`.
    #[must_use]
    pub fn payload(&self) -> Value {
        json!({ "errorType": self.error_type, "errorMessage": self.message })
    }
}

impl Outcome {
    /// The answer as JSON.
    pub fn json(&self) -> anyhow::Result<Value> {
        match &self.result {
            Ok(answer) => Ok(serde_json::from_slice(answer)?),
            Err(error) => anyhow::bail!("{}: {}", error.error_type, error.message),
        }
    }

    /// The error, if there was one.
    #[must_use]
    pub fn error(&self) -> Option<&FunctionError> {
        self.result.as_ref().err()
    }

    /// The log lines that are JSON objects.
    #[must_use]
    pub fn log_records(&self) -> Vec<Value> {
        self.logs
            .iter()
            .filter_map(|line| serde_json::from_str(line).ok())
            .filter(Value::is_object)
            .collect()
    }

    /// The `message` of every log line that has one.
    #[must_use]
    pub fn messages(&self) -> Vec<String> {
        let records = self.log_records();
        records
            .iter()
            .filter_map(|record| Some(record.get("message")?.as_str()?.to_owned()))
            .collect()
    }

    /// The documents of embedded metrics among the log lines.
    #[must_use]
    pub fn metrics(&self) -> Vec<Value> {
        self.log_records()
            .into_iter()
            .filter(|record| record.get("_aws").is_some())
            .collect()
    }

    /// The record that a destination for failed asynchronous invocations gets.
    pub(super) fn failure_record(&self, function: &str, payload: &[u8], attempts: u32) -> Value {
        let error = self.error().map(FunctionError::payload);
        json!({
            "version": "1.0",
            "timestamp": jiff::Timestamp::now().to_string(),
            "requestContext": {
                "requestId": self.request_id,
                "functionArn": super::environment::arn(function),
                "condition": "RetriesExhausted",
                "approximateInvokeCount": attempts,
            },
            "requestPayload": serde_json::from_slice::<Value>(payload).unwrap_or_default(),
            "responseContext": { "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled" },
            "responsePayload": error,
        })
    }
}
