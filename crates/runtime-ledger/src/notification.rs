//! EventBridge's notifications of a state that changed.
//!
//! Format: "EC2 Instance State-change Notification" in the Amazon EC2 User Guide. They come at least once, in any order,
//! and as a rule within seconds.

use jiff::Timestamp;
use serde::Deserialize;

use crate::{
    instance::InstanceId,
    observation::{Observation, State, Transition},
};

/// The `detail-type` of such an event.
pub const STATE_CHANGE: &str = "EC2 Instance State-change Notification";

/// An instance has changed its state.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Raw")]
pub struct StateChange {
    /// Which one.
    pub instance: InstanceId,
    /// Where it is.
    pub region: String,
    /// What it is from now on.
    pub state: State,
    /// Since when.
    pub at: Timestamp,
    /// The event's own id.
    pub id: String,
}

/// As EventBridge sends it; what else it has is left alone.
#[derive(Deserialize)]
struct Raw {
    id: String,
    source: String,
    #[serde(rename = "detail-type")]
    detail_type: String,
    time: Timestamp,
    region: String,
    detail: Detail,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Detail {
    instance_id: String,
    state: String,
}

impl StateChange {
    /// The transition that it is.
    #[must_use]
    pub fn transition(&self) -> Transition {
        Transition {
            instance: self.instance.clone(),
            observed: Observation::changed(self.at, self.state),
            id: self.id.as_str().into(),
        }
    }
}

impl TryFrom<Raw> for StateChange {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Self, String> {
        if raw.source != "aws.ec2" || raw.detail_type != STATE_CHANGE {
            return Err(format!(
                "field `detail-type` is not {STATE_CHANGE:?} of `aws.ec2`"
            ));
        }
        let detail = &raw.detail;
        let of =
            |field: &str, problem: &dyn std::fmt::Display| format!("field `{field}`: {problem}");
        if !is_plain(&raw.id) || !is_plain(&raw.region) {
            return Err(
                "fields `id` and `region` are 1 to 64 letters, digits and hyphens".to_owned(),
            );
        }
        Ok(Self {
            instance: (detail.instance_id.parse())
                .map_err(|error| of("detail.instance-id", &error))?,
            state: detail
                .state
                .parse()
                .map_err(|error| of("detail.state", &error))?,
            region: raw.region,
            at: raw.time,
            id: raw.id,
        })
    }
}

/// Both become parts of keys.
fn is_plain(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    (1..=64).contains(&text.len()) && text.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::observation::Power;

    fn event(id: &str, state: &str) -> Value {
        json!({ "version": "0", "id": "7bf73129-1428-4cd3-a780-95db273d1602", "detail-type": STATE_CHANGE, "source": "aws.ec2",
            "account": "123456789012", "time": "2026-11-11T21:29:54Z", "region": "us-east-1",
            "resources": [format!("arn:aws:ec2:us-east-1:123456789012:instance/{id}")],
            "detail": { "instance-id": id, "state": state } })
    }

    fn parse(event: Value) -> Result<StateChange, String> {
        serde_json::from_value(event).map_err(|error| error.to_string())
    }

    #[test]
    fn a_notification_is_a_transition() {
        let change = parse(event("i-0000000a", "stopping")).unwrap();
        assert_eq!(
            (change.region.as_str(), change.state),
            ("us-east-1", State::Stopping)
        );
        let observed = change.transition().observed;
        assert_eq!(observed.at.to_string(), "2026-11-11T21:29:54Z");
        assert_eq!(
            (observed.before, observed.after),
            (Some(Power::Up), Power::Down)
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        let mut other = event("i-0000000a", "running");
        other["source"] = json!("me");
        let mut key = event("i-0000000a", "running");
        key["id"] = json!("a#b");
        for (event, said) in [
            (
                event("i-1", "running"),
                "field `detail.instance-id`: \"i-1\" is not",
            ),
            (
                event("i-0000000a", "asleep"),
                "field `detail.state`: \"asleep\" is none of",
            ),
            (other, "`aws.ec2`"),
            (key, "fields `id` and `region`"),
            (json!({}), "missing field"),
        ] {
            let error = parse(event).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }
}
