//! A client of SQS at moto, as far as local runs and tests need it: there is no SDK of it in this workspace.
//!
//! Source: "Amazon SQS API Reference", the AWS JSON protocol.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::moto::Api;

/// How many messages SQS gives out or deletes at once.
const AT_ONCE: usize = 10;

/// SQS at some endpoint.
#[derive(Clone, Debug)]
pub struct Sqs {
    api: Api,
}

/// A queue.
#[derive(Clone, Debug)]
pub struct Queue {
    api: Api,
    url: String,
    arn: String,
}

/// A message that was given out.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Message {
    /// Its id.
    #[serde(rename = "MessageId")]
    pub id: String,
    /// What it is deleted by, this time.
    pub receipt_handle: String,
    /// Its text.
    pub body: String,
    /// The MD5 of its text.
    #[serde(rename = "MD5OfBody")]
    pub md5: String,
    /// What SQS knows of it: `ApproximateReceiveCount` and so on.
    #[serde(default)]
    pub attributes: Map<String, Value>,
    /// What its sender has added.
    #[serde(default)]
    pub message_attributes: Map<String, Value>,
}

/// How many messages a queue has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Those that can be had.
    pub visible: usize,
    /// Those that somebody has, until they are deleted or the visibility timeout is over.
    pub in_flight: usize,
}

impl Sqs {
    /// SQS at `endpoint`, which is moto's.
    pub fn at(endpoint: &str) -> anyhow::Result<Self> {
        Ok(Self {
            api: Api::at(endpoint)?,
        })
    }

    /// Makes a queue that gives a message out again unless it is deleted within `visibility`, in whole seconds.
    pub async fn create(&self, name: &str, visibility: Duration) -> anyhow::Result<Queue> {
        let attributes = json!({ "VisibilityTimeout": visibility.as_secs().to_string() });
        self.create_with(name, &attributes).await
    }

    /// Makes such a queue, and beside it another, `name` with `-dead` behind, for messages that were given out
    /// `most` times in vain.
    pub async fn create_with_dead_letters(
        &self,
        name: &str,
        visibility: Duration,
        most: u32,
    ) -> anyhow::Result<(Queue, Queue)> {
        let dead = self
            .create_with(&format!("{name}-dead"), &json!({}))
            .await?;
        let policy = json!({ "deadLetterTargetArn": dead.arn, "maxReceiveCount": most });
        let attributes = json!({
            "VisibilityTimeout": visibility.as_secs().to_string(),
            "RedrivePolicy": policy.to_string(),
        });
        Ok((self.create_with(name, &attributes).await?, dead))
    }

    async fn create_with(&self, name: &str, attributes: &Value) -> anyhow::Result<Queue> {
        let asked = json!({ "QueueName": name, "Attributes": attributes });
        let made = self.api.sqs("CreateQueue", &asked).await?;
        let url = made.get("QueueUrl").and_then(Value::as_str);
        let mut queue = Queue {
            api: self.api.clone(),
            url: url.context("a queue without a URL")?.to_owned(),
            arn: String::new(),
        };
        queue.arn = queue.attribute("QueueArn").await?;
        Ok(queue)
    }
}

impl Queue {
    /// Its URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its ARN.
    #[must_use]
    pub fn arn(&self) -> &str {
        &self.arn
    }

    /// Sends a message, and returns its id.
    pub async fn send(&self, body: &str) -> anyhow::Result<String> {
        let asked = json!({ "QueueUrl": self.url, "MessageBody": body });
        let sent = self.api.sqs("SendMessage", &asked).await?;
        let id = sent.get("MessageId").and_then(Value::as_str);
        Ok(id.context("a message without an id")?.to_owned())
    }

    /// How many messages it has.
    pub async fn counts(&self) -> anyhow::Result<Counts> {
        Ok(Counts {
            visible: self
                .attribute("ApproximateNumberOfMessages")
                .await?
                .parse()?,
            in_flight: self
                .attribute("ApproximateNumberOfMessagesNotVisible")
                .await?
                .parse()?,
        })
    }

    /// Has it give out up to `most` messages, ten at once at most, without waiting for any.
    pub async fn receive(&self, most: usize) -> anyhow::Result<Vec<Message>> {
        let asked = json!({
            "QueueUrl": self.url,
            "MaxNumberOfMessages": most.clamp(1, AT_ONCE),
            "WaitTimeSeconds": 0,
            "MessageSystemAttributeNames": ["All"],
            "MessageAttributeNames": ["All"],
        });
        let mut given = self.api.sqs("ReceiveMessage", &asked).await?;
        let messages = given.get_mut("Messages").map(Value::take);
        Ok(messages.map_or(Ok(Vec::new()), serde_json::from_value)?)
    }

    /// Deletes messages that it has given out.
    pub async fn delete(&self, messages: &[&Message]) -> anyhow::Result<()> {
        for messages in messages.chunks(AT_ONCE) {
            let entries = messages.iter().enumerate().map(
                |(at, message)| json!({ "Id": at.to_string(), "ReceiptHandle": message.receipt_handle }),
            );
            let entries: Vec<_> = entries.collect();
            let asked = json!({ "QueueUrl": self.url, "Entries": entries });
            let answer = self.api.sqs("DeleteMessageBatch", &asked).await?;
            let failed = answer.get("Failed").and_then(Value::as_array);
            ensure!(
                failed.is_none_or(Vec::is_empty),
                "not all messages could be deleted: {answer}"
            );
        }
        Ok(())
    }

    async fn attribute(&self, name: &str) -> anyhow::Result<String> {
        let asked = json!({ "QueueUrl": self.url, "AttributeNames": [name] });
        let answer = self.api.sqs("GetQueueAttributes", &asked).await?;
        let value = answer.get("Attributes").and_then(|all| all.get(name));
        let value = value.and_then(Value::as_str);
        Ok(value
            .with_context(|| format!("a queue without {name}"))?
            .to_owned())
    }
}
