//! S3's events as EventBridge writes them, made of those that moto writes: with the time as text, an id and a sequencer of
//! their own, and the names that AWS has for the rest.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// A message's text as it would be; any other text as it is. `id` is the message's, the same each time that it is given out.
pub(super) fn faithful(body: &str, id: &str) -> String {
    let event = serde_json::from_str(body).ok();
    event
        .and_then(|event| repaired(event, id))
        .map_or_else(|| body.to_owned(), |event| event.to_string())
}

fn repaired(mut event: Value, id: &str) -> Option<Value> {
    if event.get("source")? != "aws.s3" {
        return None;
    }
    let since_1970 = SignedDuration::try_from_secs_f64(event.get("time")?.as_f64()?).ok()?;
    let time = Timestamp::from_duration(since_1970).ok()?;
    let fields = event.as_object_mut()?;
    let second = Timestamp::from_second(time.as_second()).ok()?;
    fields.insert("time".to_owned(), json!(second.to_string()));
    fields.insert("id".to_owned(), json!(id));
    let detail = fields.get_mut("detail")?.as_object_mut()?;
    let reason = match detail.get("reason").and_then(Value::as_str) {
        Some("ObjectCreated") => "PutObject",
        _ => "DeleteObject",
    };
    detail.insert("reason".to_owned(), json!(reason));
    let object = detail.get_mut("object")?.as_object_mut()?;
    if let Some(etag) = object.remove("eTag") {
        object.insert("etag".to_owned(), etag);
    }
    if object.get("version-id").is_some_and(Value::is_null) {
        object.remove("version-id");
    }
    object.insert(
        "sequencer".to_owned(),
        json!(format!("{:018X}", time.as_microsecond())),
    );
    Some(event)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moto_writes_becomes_what_eventbridge_writes() {
        let body = json!({ "version": "0", "id": "constant", "detail-type": "Object Created", "source": "aws.s3", "time": 1_795_752_000.25,
            "detail": { "bucket": { "name": "b" }, "object": { "key": "k", "size": 1, "eTag": "e", "version-id": null, "sequencer": "constant" },
            "reason": "ObjectCreated" } });
        let event: Value = serde_json::from_str(&faithful(&body.to_string(), "message-1")).unwrap();
        assert_eq!(event["time"], "2026-11-27T04:00:00Z");
        assert_eq!(
            (&event["id"], &event["detail"]["reason"]),
            (&json!("message-1"), &json!("PutObject"))
        );
        let object =
            json!({ "key": "k", "size": 1, "etag": "e", "sequencer": "000006613A18146090" });
        assert_eq!(event["detail"]["object"], object);
        for other in ["{}", "text", r#"{"source":"aws.ec2","time":1}"#] {
            assert_eq!(faithful(other, "id"), other);
        }
    }
}
