//! CloudTrail's events of EC2 → transitions.
//!
//! Format: "CloudTrail record contents" in the AWS CloudTrail User Guide; states and refusals as EC2 answers them. A
//! record is text that anybody who may call EC2 has had a part in, so it is parsed with bounds.

use std::{borrow::Cow, str::FromStr as _};

use jiff::Timestamp;
use serde::Deserialize;

use crate::{
    instance::InstanceId,
    observation::{Observation, Power, State, Transition},
};

/// The calls, and the one event, that start or stop an instance. CloudTrail is asked for each by its name.
pub const EVENT_NAMES: [&str; 5] = [
    LAUNCH,
    "StartInstances",
    "StopInstances",
    "TerminateInstances",
    "BidEvictedEvent",
];

/// No record is longer ("CloudTrail record size": 256 KB), and none that is read.
pub const MAX_RECORD: usize = 256 * 1024;

/// The one that makes an instance.
const LAUNCH: &str = "RunInstances";
/// The source of all that is read.
const EC2: &str = "ec2.amazonaws.com";

/// A record that is not as CloudTrail writes them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRecord {
    /// It is longer than any.
    #[error("a record of {0} bytes, and CloudTrail's have {MAX_RECORD} at most")]
    TooLong(usize),
    /// It is not JSON, or a field is missing.
    #[error("a record that is not as CloudTrail writes them: {0}")]
    Malformed(#[from] serde_json::Error),
}

/// Reads one record. `resources` are the instances that CloudTrail's index has for it: they stand in where a large
/// answer was omitted from the record. A call that was refused, or that is none of [`EVENT_NAMES`], changed nothing.
pub fn parse_record(
    record: &str,
    resources: &[InstanceId],
) -> Result<Vec<Transition>, InvalidRecord> {
    if record.len() > MAX_RECORD {
        return Err(InvalidRecord::TooLong(record.len()));
    }
    let record: Record<'_> = serde_json::from_str(record)?;
    let Some(after) = record.outcome() else {
        return Ok(Vec::new());
    };
    let changes = record.changes(after, resources);
    let launched = record.event_name == LAUNCH;
    let transition = |(instance, before, after)| Transition {
        instance,
        observed: Observation {
            launched,
            ..Observation::new(record.event_time, before, after)
        },
        id: record.event_id.as_ref().into(),
    };
    Ok(changes.into_iter().map(transition).collect())
}

type Change = (InstanceId, Option<Power>, Power);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    event_time: Timestamp,
    #[serde(borrow)]
    event_name: Cow<'a, str>,
    #[serde(borrow)]
    event_source: Cow<'a, str>,
    #[serde(borrow, rename = "eventID")]
    event_id: Cow<'a, str>,
    #[serde(borrow, default)]
    error_code: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    request_parameters: Option<Instances<'a>>,
    #[serde(borrow, default)]
    response_elements: Option<Instances<'a>>,
    #[serde(borrow, default)]
    service_event_details: Option<Evicted<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Instances<'a> {
    #[serde(borrow, default)]
    instances_set: Option<Items<'a>>,
}

#[derive(Deserialize)]
struct Items<'a> {
    #[serde(borrow, default)]
    items: Vec<Item<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    #[serde(borrow, default)]
    instance_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    current_state: Option<Named<'a>>,
    #[serde(borrow, default)]
    previous_state: Option<Named<'a>>,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Evicted<'a> {
    #[serde(borrow, default)]
    instance_id_set: Vec<Cow<'a, str>>,
}

impl Record<'_> {
    /// What the instances of this event are afterwards; `None` if it changes none.
    fn outcome(&self) -> Option<Power> {
        if self.event_source != EC2 || self.error_code.is_some() {
            return None;
        }
        match self.event_name.as_ref() {
            LAUNCH | "StartInstances" => Some(Power::Up),
            "StopInstances" | "TerminateInstances" | "BidEvictedEvent" => Some(Power::Down),
            _ => None,
        }
    }

    fn changes(&self, outcome: Power, resources: &[InstanceId]) -> Vec<Change> {
        if let Some(evicted) = &self.service_event_details {
            let ids = evicted.instance_id_set.iter();
            return ids
                .filter_map(|id| id.parse().ok())
                .map(|id| (id, None, outcome))
                .collect();
        }
        let launched = self.event_name == LAUNCH;
        let answered = items(self.response_elements.as_ref()).filter_map(|item| {
            let id = item.id()?;
            let (before, after) = if launched {
                (Some(Power::Down), Power::Up)
            } else {
                let after = power(item.current_state.as_ref()).unwrap_or(outcome);
                (power(item.previous_state.as_ref()), after)
            };
            Some((id, before, after))
        });
        let answered: Vec<_> = answered.collect();
        if !answered.is_empty() {
            return answered;
        }
        // The answer was omitted, being large. An instance that is launched has no id in the request.
        let before = launched.then_some(Power::Down);
        let asked: Vec<_> = items(self.request_parameters.as_ref())
            .filter_map(Item::id)
            .collect();
        let named = if asked.is_empty() {
            resources.to_vec()
        } else {
            asked
        };
        named.into_iter().map(|id| (id, before, outcome)).collect()
    }
}

fn items<'a>(of: Option<&'a Instances<'a>>) -> impl Iterator<Item = &'a Item<'a>> {
    of.and_then(|instances| instances.instances_set.as_ref())
        .into_iter()
        .flat_map(|set| &set.items)
}

impl Item<'_> {
    fn id(&self) -> Option<InstanceId> {
        self.instance_id.as_deref()?.parse().ok()
    }
}

fn power(state: Option<&Named<'_>>) -> Option<Power> {
    let name = state?.name.as_deref()?;
    State::from_str(name).ok().map(State::power)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn record(name: &str, more: &Value) -> Value {
        let mut record = json!({
            "eventVersion": "1.11", "eventName": name, "eventTime": "2026-11-25T15:00:00Z", "eventSource": "ec2.amazonaws.com",
            "awsRegion": "us-east-1", "eventID": "e-1", "eventType": "AwsApiCall", "readOnly": false,
        });
        let fields = more.as_object().unwrap().clone();
        record.as_object_mut().unwrap().extend(fields);
        record
    }

    /// Id, before and after of each change.
    fn changes(
        name: &str,
        more: &Value,
        resources: &[&str],
    ) -> Vec<(String, Option<Power>, Power)> {
        let resources: Vec<_> = resources.iter().map(|id| id.parse().unwrap()).collect();
        let transitions = parse_record(&record(name, more).to_string(), &resources).unwrap();
        let change = |transition: Transition| {
            let observed = transition.observed;
            assert_eq!(observed.at.to_string(), "2026-11-25T15:00:00Z");
            assert_eq!(&*transition.id, "e-1");
            (
                transition.instance.to_string(),
                observed.before,
                observed.after,
            )
        };
        transitions.into_iter().map(change).collect()
    }

    fn answered(items: &[(&str, &str, &str)]) -> Value {
        let items: Vec<_> = items
            .iter()
            .map(|(id, before, after)| json!({ "instanceId": id, "currentState": { "name": after }, "previousState": { "code": 16, "name": before } }))
            .collect();
        json!({ "responseElements": { "requestId": "r", "instancesSet": { "items": items } } })
    }

    const A: &str = "i-0000000a";
    const B: &str = "i-0000000b";

    #[test]
    fn one_stop_of_two_servers_stops_both() {
        let both = answered(&[(A, "running", "stopping"), (B, "pending", "stopping")]);
        let stopped = |id: &str| (id.to_owned(), Some(Power::Up), Power::Down);
        assert_eq!(
            changes("StopInstances", &both, &[]),
            [stopped(A), stopped(B)]
        );
    }

    #[test]
    fn a_refused_call_changes_nothing() {
        for code in [
            "Client.IncorrectInstanceState",
            "Client.DryRunOperation",
            "Server.InsufficientInstanceCapacity",
        ] {
            let refused = json!({ "errorCode": code, "errorMessage": "no", "responseElements": null,
                "requestParameters": { "instancesSet": { "items": [{ "instanceId": A }] } } });
            assert_eq!(changes("StartInstances", &refused, &[A]), []);
        }
    }

    #[test]
    fn what_did_not_change_is_an_observation_all_the_same() {
        let again = answered(&[(A, "running", "running")]);
        let up = (A.to_owned(), Some(Power::Up), Power::Up);
        assert_eq!(changes("StartInstances", &again, &[]), [up]);
        let gone = answered(&[(A, "stopped", "terminated")]);
        let down = (A.to_owned(), Some(Power::Down), Power::Down);
        assert_eq!(changes("TerminateInstances", &gone, &[]), [down]);
    }

    #[test]
    fn a_launch_is_a_start_of_what_was_not() {
        let launched = json!({ "responseElements": { "reservationId": "r-1", "instancesSet": { "items": [
            { "instanceId": A, "instanceState": { "code": 0, "name": "pending" }, "launchTime": 1_764_082_800_000_i64 } ] } } });
        let up = |id: &str| (id.to_owned(), Some(Power::Down), Power::Up);
        assert_eq!(changes("RunInstances", &launched, &[]), [up(A)]);
        let omitted = json!({ "requestParameters": { "instancesSet": { "items": [{ "imageId": "ami-1" }] } },
            "responseElements": { "omitted": true, "originalSize": 110_000, "reason": "too large" } });
        assert_eq!(changes("RunInstances", &omitted, &[A, B]), [up(A), up(B)]);
    }

    #[test]
    fn an_omitted_answer_of_a_stop_leaves_the_request() {
        let omitted = json!({ "requestParameters": { "instancesSet": { "items": [{ "instanceId": A }, { "instanceId": "x" }] } },
            "responseElements": { "omitted": true } });
        assert_eq!(
            changes("StopInstances", &omitted, &[]),
            [(A.to_owned(), None, Power::Down)]
        );
    }

    #[test]
    fn a_reclaimed_spot_server_stops() {
        let evicted = json!({ "eventType": "AwsServiceEvent", "requestParameters": null, "responseElements": null,
            "serviceEventDetails": { "instanceIdSet": [A, "nonsense", B] } });
        let down = |id: &str| (id.to_owned(), None, Power::Down);
        assert_eq!(
            changes("BidEvictedEvent", &evicted, &[]),
            [down(A), down(B)]
        );
    }

    #[test]
    fn other_calls_and_other_services_are_left_alone() {
        let both = answered(&[(A, "running", "running")]);
        assert_eq!(changes("RebootInstances", &both, &[A]), []);
        let mut other = both;
        other["eventSource"] = json!("gamelift.amazonaws.com");
        assert_eq!(changes("StopInstances", &other, &[A]), []);
    }

    #[test]
    fn what_is_no_record_is_an_error() {
        let long = format!("\"{}\"", "x".repeat(MAX_RECORD));
        assert!(matches!(
            parse_record(&long, &[]),
            Err(InvalidRecord::TooLong(_))
        ));
        for text in ["", "null", "{}", "[]", r#"{"eventName":7}"#] {
            assert!(parse_record(text, &[]).is_err(), "{text}");
        }
    }
}
