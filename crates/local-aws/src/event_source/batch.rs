//! A batch as a function gets it, and what its answer says of each message. Pure.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::{s3_event, sqs::Message};

/// The event for `batch`, which the queue of this ARN has given out.
pub(super) fn event(batch: &[Message], arn: &str) -> Value {
    let region = arn.split(':').nth(3).unwrap_or_default();
    let record = |message: &Message| {
        json!({
            "messageId": message.id,
            "receiptHandle": message.receipt_handle,
            "body": s3_event::faithful(&message.body, &message.id),
            "attributes": message.attributes,
            "messageAttributes": attributes(&message.message_attributes),
            "md5OfBody": message.md5,
            "eventSource": "aws:sqs",
            "eventSourceARN": arn,
            "awsRegion": region,
        })
    };
    json!({ "Records": batch.iter().map(record).collect::<Vec<_>>() })
}

/// A message's own attributes, which Lambda writes in another way than SQS.
fn attributes(attributes: &Map<String, Value>) -> Map<String, Value> {
    let written = attributes.iter().map(|(name, attribute)| {
        let mut written = Map::new();
        for (to, from) in [
            ("stringValue", "StringValue"),
            ("binaryValue", "BinaryValue"),
            ("dataType", "DataType"),
        ] {
            if let Some(value) = attribute.get(from) {
                written.insert(to.to_owned(), value.clone());
            }
        }
        for list in ["stringListValues", "binaryListValues"] {
            written.insert(list.to_owned(), json!([]));
        }
        (name.clone(), Value::Object(written))
    });
    written.collect()
}

/// The ids of those messages of `batch` that failed by this answer: all if it is not as Lambda wants it.
pub(super) fn failed<'a>(answer: &Value, batch: &'a [Message]) -> HashSet<&'a str> {
    let all = || batch.iter().map(|message| message.id.as_str());
    let failures = match answer {
        Value::Null => return HashSet::new(),
        Value::Object(fields) => fields.get("batchItemFailures").unwrap_or(&Value::Null),
        _ => return all().collect(),
    };
    let failures = match failures {
        Value::Null => return HashSet::new(),
        Value::Array(failures) => failures,
        _ => return all().collect(),
    };
    let named = failures.iter().map(|failure| {
        let id = failure.get("itemIdentifier")?.as_str()?;
        all().find(|known| *known == id)
    });
    let named: Option<HashSet<_>> = named.collect();
    named.unwrap_or_else(|| all().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch() -> Vec<Message> {
        let message = |id: &str| {
            json!({
                "MessageId": id, "ReceiptHandle": "handle", "Body": "{}", "MD5OfBody": "md5",
                "Attributes": { "ApproximateReceiveCount": "1", "SentTimestamp": "1" },
                "MessageAttributes": { "kind": { "StringValue": "x", "DataType": "String" } },
            })
        };
        ["a", "b"]
            .map(|id| serde_json::from_value(message(id)).unwrap())
            .into()
    }

    #[test]
    fn an_event_is_as_lambda_writes_it() {
        let event = event(&batch(), "arn:aws:sqs:us-east-1:123456789012:q");
        assert_eq!(event["Records"].as_array().unwrap().len(), 2);
        assert_eq!(
            event["Records"][0],
            json!({
                "messageId": "a", "receiptHandle": "handle", "body": "{}", "md5OfBody": "md5",
                "attributes": { "ApproximateReceiveCount": "1", "SentTimestamp": "1" },
                "messageAttributes": { "kind": {
                    "stringValue": "x", "dataType": "String", "stringListValues": [], "binaryListValues": [],
                } },
                "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:q",
                "awsRegion": "us-east-1",
            })
        );
    }

    #[test]
    fn an_answer_says_which_messages_failed() {
        let batch = batch();
        for none in [
            json!(null),
            json!({}),
            json!({ "batchItemFailures": null }),
            json!({ "batchItemFailures": [] }),
            json!({ "anything": "else" }),
        ] {
            assert_eq!(failed(&none, &batch), HashSet::new(), "{none}");
        }
        let one =
            json!({ "batchItemFailures": [{ "itemIdentifier": "b" }, { "itemIdentifier": "b" }] });
        assert_eq!(failed(&one, &batch), HashSet::from(["b"]));
    }

    #[test]
    fn an_answer_that_is_none_fails_all() {
        let batch = batch();
        for all in [
            json!("ok"),
            json!([]),
            json!({ "batchItemFailures": "a" }),
            json!({ "batchItemFailures": ["a"] }),
            json!({ "batchItemFailures": [{ "itemIdentifier": "" }] }),
            json!({ "batchItemFailures": [{ "itemIdentifier": null }] }),
            json!({ "batchItemFailures": [{ "id": "a" }] }),
            json!({ "batchItemFailures": [{ "itemIdentifier": "a" }, { "itemIdentifier": "unknown" }] }),
        ] {
            assert_eq!(failed(&all, &batch), HashSet::from(["a", "b"]), "{all}");
        }
    }
}
