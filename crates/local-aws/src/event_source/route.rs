//! The way from a bucket to a queue: S3 tells EventBridge, whose rule tells SQS.

use anyhow::Context as _;
use aws_sdk_s3::types::{EventBridgeConfiguration, NotificationConfiguration};
use serde_json::{Value, json};

use super::sqs::Queue;
use crate::moto::{Api, Moto};

/// What matches all that becomes of the objects of `bucket`.
#[must_use]
pub fn changes_in(bucket: &str) -> Value {
    json!({
        "source": ["aws.s3"],
        "detail-type": ["Object Created", "Object Deleted"],
        "detail": { "bucket": { "name": [bucket] } },
    })
}

/// Has `bucket` tell EventBridge of what happens to its objects, and a rule put what matches `pattern` into `queue`.
/// The pattern has to name the bucket: moto has one bus, which all buckets tell; and the detail type, since moto
/// tells of tags with each upload.
pub async fn route(
    moto: &Moto,
    bucket: &str,
    rule: &str,
    pattern: &Value,
    queue: &Queue,
) -> anyhow::Result<()> {
    let tell = NotificationConfiguration::builder()
        .event_bridge_configuration(EventBridgeConfiguration::builder().build());
    let s3 = moto.s3().await;
    s3.put_bucket_notification_configuration()
        .bucket(bucket)
        .notification_configuration(tell.build())
        .send()
        .await
        .with_context(|| format!("could not have {bucket} tell EventBridge"))?;
    let events = ("events", "1.1");
    let asked = json!({ "Name": rule, "EventPattern": pattern.to_string() });
    let api = Api::at(moto.url())?;
    api.call(events, "AWSEvents.PutRule", &asked).await?;
    let targets = json!({ "Rule": rule, "Targets": [{ "Id": "queue", "Arn": queue.arn() }] });
    api.call(events, "AWSEvents.PutTargets", &targets).await?;
    Ok(())
}
