//! What CloudTrail writes of a call.

use jiff::Timestamp;
use serde_json::{Value, json};

/// A call, or an event of EC2 itself, as CloudTrail has it.
#[derive(Clone, Debug)]
pub struct Record {
    /// When.
    pub at: Timestamp,
    /// Its name.
    pub name: &'static str,
    /// Why it was refused, if it was.
    pub error: Option<&'static str>,
    /// Id, and state before and after, of each server.
    pub of: Vec<(String, &'static str, &'static str)>,
    /// Its own id.
    pub id: String,
}

/// Answers about more servers than this are left out of a record.
const LARGE: usize = 200;

impl Record {
    /// Who called.
    #[must_use]
    pub fn user(&self) -> &'static str {
        if self.name == "BidEvictedEvent" {
            "ec2.amazonaws.com"
        } else {
            "alice"
        }
    }

    /// The record itself ("CloudTrail record contents").
    #[must_use]
    pub fn body(&self, region: &str) -> Value {
        let mut body = json!({
            "eventVersion": "1.11",
            "userIdentity": { "type": "IAMUser", "userName": self.user(), "accountId": "123456789012" },
            "eventTime": format!("{:.0}", self.at),
            "eventSource": "ec2.amazonaws.com",
            "eventName": self.name,
            "awsRegion": region,
            "sourceIPAddress": "203.0.113.7",
            "userAgent": "aws-cli/2.31",
            "requestParameters": self.request(),
            "responseElements": self.response(),
            "requestID": format!("r-{}", self.id),
            "eventID": self.id,
            "readOnly": false,
            "eventType": "AwsApiCall",
            "managementEvent": true,
            "recipientAccountId": "123456789012",
            "eventCategory": "Management",
        });
        if let Some(fields) = body.as_object_mut() {
            if let Some(error) = self.error {
                fields.insert("errorCode".to_owned(), json!(error));
                fields.insert("errorMessage".to_owned(), json!("The call was refused."));
            }
            if self.name == "BidEvictedEvent" {
                let ids: Vec<_> = self.of.iter().map(|(id, ..)| id).collect();
                fields.insert("eventType".to_owned(), json!("AwsServiceEvent"));
                fields.insert(
                    "serviceEventDetails".to_owned(),
                    json!({ "instanceIdSet": ids }),
                );
            }
        }
        body
    }

    fn request(&self) -> Value {
        match self.name {
            "BidEvictedEvent" => Value::Null,
            "RunInstances" => {
                json!({ "instancesSet": { "items": [{ "imageId": "ami-0123456789abcdef0", "minCount": 1 }] } })
            }
            _ => {
                let items: Vec<_> = self
                    .of
                    .iter()
                    .map(|(id, ..)| json!({ "instanceId": id }))
                    .collect();
                json!({ "instancesSet": { "items": items } })
            }
        }
    }

    fn response(&self) -> Value {
        if self.error.is_some() || self.name == "BidEvictedEvent" {
            return Value::Null;
        }
        if self.of.len() > LARGE {
            return json!({ "omitted": true, "originalSize": 110_000, "reason": "responseElements too large" });
        }
        let items = self.of.iter().map(|(id, before, after)| {
            if self.name == "RunInstances" {
                json!({ "instanceId": id, "instanceState": state(after), "launchTime": self.at.as_millisecond() })
            } else {
                json!({ "instanceId": id, "currentState": state(after), "previousState": state(before) })
            }
        });
        let items: Vec<_> = items.collect();
        json!({ "requestId": format!("r-{}", self.id), "instancesSet": { "items": items } })
    }

    /// The event that `LookupEvents` answers with.
    #[must_use]
    pub fn event(&self, region: &str) -> Value {
        let resources = self.of.iter().take(LARGE);
        let resources = resources
            .map(|(id, ..)| json!({ "ResourceType": "AWS::EC2::Instance", "ResourceName": id }));
        // CloudTrail's index has no instances of refused launches and of evictions.
        let indexed = self.name != "BidEvictedEvent"
            && !(self.name == "RunInstances" && self.error.is_some());
        let resources: Vec<_> = resources.filter(|_| indexed).collect();
        json!({
            "EventId": self.id,
            "EventName": self.name,
            "ReadOnly": "false",
            "AccessKeyId": "AKIAIOSFODNN7EXAMPLE",
            "EventTime": self.at.as_second(),
            "EventSource": "ec2.amazonaws.com",
            "Username": self.user(),
            "Resources": resources,
            "CloudTrailEvent": self.body(region).to_string(),
        })
    }
}

fn state(name: &str) -> Value {
    let code = match name {
        "pending" => 0,
        "running" => 16,
        "shutting-down" => 32,
        "terminated" => 48,
        "stopping" => 64,
        _ => 80,
    };
    json!({ "code": code, "name": name })
}
