//! The events that the function takes.

use larder_lambda::event::{Fields, is_schedule, no_others, shown};
use runtime_ledger::{
    InstanceId, InvalidInstanceId, InvalidMonth, Month, STATE_CHANGE, StateChange,
};
use serde::Deserialize;
use serde_json::Value;

/// The most months of one history: the ledger keeps 400 days.
const MOST: usize = 14;

/// What has happened, or is asked.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Fields")]
pub enum Event {
    /// A server has changed its state.
    Changed(StateChange),
    /// How long did it run this month?
    Read(InstanceId),
    /// How long did it run in earlier months?
    History {
        /// Which server.
        instance: InstanceId,
        /// The first month.
        from: Month,
        /// The last.
        to: Month,
    },
    /// A schedule fired: what is read most is to be at hand.
    Warm,
}

impl TryFrom<Fields> for Event {
    type Error = String;

    fn try_from(fields: Fields) -> Result<Self, String> {
        if fields.get("detail-type").and_then(Value::as_str) == Some(STATE_CHANGE) {
            let change = serde_json::from_value(Value::Object(fields));
            return change.map(Self::Changed).map_err(|error| error.to_string());
        }
        if is_schedule(&fields)? {
            return Ok(Self::Warm);
        }
        let takes =
            "has `instance_id` and perhaps `history`, or is a state change's or a schedule's";
        no_others(&fields, &["instance_id", "history"], takes)?;
        let id = fields
            .get("instance_id")
            .ok_or("field `instance_id` is missing, and no state changed")?;
        let id = id
            .as_str()
            .ok_or_else(|| format!("field `instance_id` is {}, not a text", shown(id)))?;
        let instance = id.parse();
        let instance =
            instance.map_err(|error: InvalidInstanceId| format!("field `instance_id`: {error}"))?;
        let Some(history) = fields.get("history") else {
            return Ok(Self::Read(instance));
        };
        let (from, to) = range(history)?;
        Ok(Self::History { instance, from, to })
    }
}

fn range(history: &Value) -> Result<(Month, Month), String> {
    let Value::Object(fields) = history else {
        return Err(format!(
            "field `history` is {}, not an object with `from` and `to`",
            shown(history)
        ));
    };
    no_others(
        fields,
        &["from", "to"],
        "has `from` and `to` in its `history`",
    )?;
    let month = |name: &str| {
        let text = fields.get(name).and_then(Value::as_str);
        let text = text
            .ok_or_else(|| format!("field `history.{name}` is not a text such as \"2026-10\""))?;
        text.parse()
            .map_err(|error: InvalidMonth| format!("field `history.{name}`: {error}"))
    };
    let (from, to): (Month, Month) = (month("from")?, month("to")?);
    match from.to(to).take(MOST + 1).count() {
        0 => Err(format!("field `history`: {from} is later than {to}")),
        months if months > MOST => Err(format!("field `history` has more than {MOST} months")),
        _ => Ok((from, to)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(event: Value) -> Result<Event, String> {
        serde_json::from_value(event).map_err(|error| error.to_string())
    }

    #[test]
    fn changes_reads_histories_and_schedules_are_told_apart() {
        let change = json!({ "id": "e-1", "detail-type": STATE_CHANGE, "source": "aws.ec2", "time": "2026-11-11T21:29:54Z",
            "region": "us-east-1", "detail": { "instance-id": "i-0000000a", "state": "stopped" } });
        assert!(matches!(parse(change), Ok(Event::Changed(_))));
        assert!(matches!(
            parse(json!({ "instance_id": "i-0000000a" })),
            Ok(Event::Read(_))
        ));
        let history = json!({ "instance_id": "i-0000000a", "history": { "from": "2026-01", "to": "2026-10" } });
        assert!(matches!(parse(history), Ok(Event::History { .. })));
        let schedule = json!({ "detail-type": "Scheduled Event", "source": "aws.events" });
        assert_eq!(parse(schedule), Ok(Event::Warm));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_value() {
        let history = |history: Value| json!({ "instance_id": "i-0000000a", "history": history });
        for (event, said) in [
            (json!({}), "`instance_id` is missing"),
            (
                json!({ "instance_id": "i-1" }),
                "\"i-1\" is not an instance's id",
            ),
            (json!({ "instance_id": 1 }), "`instance_id` is 1"),
            (
                json!({ "instance_id": "i-0000000a", "month": "2026-10" }),
                "unknown field `month`",
            ),
            (history(json!("2026")), "`history` is \"2026\""),
            (
                history(json!({ "from": "2026-01" })),
                "`history.to` is not a text",
            ),
            (
                history(json!({ "from": "2026-13", "to": "2026-10" })),
                "`history.from`: \"2026-13\"",
            ),
            (
                history(json!({ "from": "2026-10", "to": "2026-01" })),
                "2026-10 is later than 2026-01",
            ),
            (
                history(json!({ "from": "2020-01", "to": "2026-01" })),
                "more than 14 months",
            ),
            (
                history(json!({ "from": "2026-01", "to": "2026-01", "by": "day" })),
                "unknown field `by`",
            ),
            (
                json!({ "detail-type": "Object Created", "source": "aws.s3" }),
                "no schedule's event",
            ),
            (
                json!({ "detail-type": STATE_CHANGE, "source": "aws.ec2", "id": "e", "time": "2026-11-11T21:29:54Z", "region": "r",
                "detail": { "instance-id": "x", "state": "stopped" } }),
                "`detail.instance-id`: \"x\"",
            ),
        ] {
            let error = parse(event.clone()).unwrap_err();
            assert!(error.contains(said), "{event}: {error}");
        }
    }
}
