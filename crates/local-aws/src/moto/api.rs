//! AWS's JSON protocol at moto's endpoint, for services that have no SDK in this workspace.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;

/// How long an answer may take, of a process on this machine.
const TIMEOUT: Duration = Duration::from_secs(30);

/// AWS's JSON protocol at moto's endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    client: reqwest::Client,
    endpoint: String,
}

impl Api {
    pub(crate) fn at(endpoint: &str) -> anyhow::Result<Self> {
        Ok(Self {
            client: crate::http_client()?,
            endpoint: endpoint.to_owned(),
        })
    }

    pub(crate) async fn sqs(&self, operation: &str, asked: &Value) -> anyhow::Result<Value> {
        let target = format!("AmazonSQS.{operation}");
        self.call(("sqs", "1.0"), &target, asked).await
    }

    /// Has an operation be done by a service, told by name and version of the protocol.
    pub(crate) async fn call(
        &self,
        (service, version): (&str, &str),
        target: &str,
        asked: &Value,
    ) -> anyhow::Result<Value> {
        // Names the service and the Region, for a moto that does not check signatures.
        let signed = format!(
            "AWS4-HMAC-SHA256 Credential=local/20261121/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
        );
        let request = self
            .client
            .post(&self.endpoint)
            .header("authorization", signed)
            .header("content-type", format!("application/x-amz-json-{version}"))
            .header("x-amz-target", target)
            .timeout(TIMEOUT)
            .body(asked.to_string());
        let response = request.send().await;
        let response = response.with_context(|| format!("{target} was not answered"))?;
        let status = response.status();
        let body = response.bytes().await?;
        ensure!(
            status.is_success(),
            "{target}: {status} {}",
            String::from_utf8_lossy(&body)
        );
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body).with_context(|| format!("{target} has answered no JSON"))
    }
}
