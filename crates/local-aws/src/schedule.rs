//! EventBridge schedules that really fire.

use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::template::Schedule;

/// A schedule that fires for as long as this lives.
#[derive(Debug)]
pub struct Ticker(JoinHandle<()>);

impl Ticker {
    /// Invokes `function` at the Invoke API of `endpoint` with the event of `schedule`, `every` so often, the first time
    /// after one interval.
    pub fn start(
        endpoint: &str,
        function: &str,
        schedule: &Schedule,
        every: Duration,
    ) -> anyhow::Result<Self> {
        let url = crate::lambda_url(endpoint, function);
        let schedule = schedule.clone();
        let client = crate::invoking_client()?;
        Ok(Self(tokio::spawn(async move {
            loop {
                tokio::time::sleep(every).await;
                let event = schedule
                    .input
                    .clone()
                    .unwrap_or_else(|| scheduled_event(&schedule.name));
                if let Err(error) = fire(&client, &url, &event).await {
                    tracing::warn!(
                        error = format!("{error:#}"),
                        schedule.name,
                        "A schedule could not fire"
                    );
                }
            }
        })))
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn fire(client: &reqwest::Client, url: &str, event: &Value) -> anyhow::Result<()> {
    let request = client
        .post(url)
        .header("X-Amz-Invocation-Type", "Event")
        .body(event.to_string());
    request
        .send()
        .await
        .with_context(|| format!("could not invoke {url}"))?;
    Ok(())
}

/// The event that a rule `name` sends when it fires now ("Amazon EventBridge event structure").
#[must_use]
pub fn scheduled_event(name: &str) -> Value {
    json!({
        "version": "0",
        "id": Uuid::new_v4().to_string(),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "123456789012",
        "time": Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "region": "us-east-1",
        "resources": [format!("arn:aws:events:us-east-1:123456789012:rule/{name}")],
        "detail": {},
    })
}
