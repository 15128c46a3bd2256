//! An event bus that can be read: a rule on it has moto put what matches into a queue.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    event_source::{Queue, Sqs},
    moto::{Api, Moto},
};

/// The name of the service, and the version of its protocol.
const EVENTS: (&str, &str) = ("events", "1.1");
/// Longer than anybody has for a message that was read.
const VISIBILITY: Duration = Duration::from_mins(10);
/// How many messages are asked for at a time.
const BATCH: usize = 10;

/// A bus of moto's, and the queue that its events end in.
#[derive(Clone, Debug)]
pub struct EventBus {
    name: String,
    queue: Queue,
}

impl EventBus {
    /// Makes the bus `name`, unless it is the `default` one, with a rule for what matches `pattern`.
    pub async fn create(moto: &Moto, name: &str, pattern: &Value) -> anyhow::Result<Self> {
        let api = Api::at(moto.url())?;
        if name != "default" {
            let asked = json!({ "Name": name });
            api.call(EVENTS, "AWSEvents.CreateEventBus", &asked).await?;
        }
        let rule = format!("{name}-events");
        let queue = Sqs::at(moto.url())?.create(&rule, VISIBILITY).await?;
        let asked =
            json!({ "Name": rule, "EventBusName": name, "EventPattern": pattern.to_string() });
        api.call(EVENTS, "AWSEvents.PutRule", &asked).await?;
        let targets = json!([{ "Id": "queue", "Arn": queue.arn() }]);
        let asked = json!({ "Rule": rule, "EventBusName": name, "Targets": targets });
        api.call(EVENTS, "AWSEvents.PutTargets", &asked).await?;
        let name = name.to_owned();
        Ok(Self { name, queue })
    }

    /// Its name, for `EVENT_BUS_NAME`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The events since this was asked last, in any order. Moto delivers an event before it answers who sends it.
    pub async fn received(&self) -> anyhow::Result<Vec<Value>> {
        let mut events = Vec::new();
        loop {
            let messages = self.queue.receive(BATCH).await?;
            if messages.is_empty() {
                return Ok(events);
            }
            for message in &messages {
                events.push(serde_json::from_str(&message.body)?);
            }
            self.queue
                .delete(&messages.iter().collect::<Vec<_>>())
                .await?;
        }
    }
}
