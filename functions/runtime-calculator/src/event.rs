//! The events that the function takes.

use larder_lambda::event::{Fields, is_schedule, no_others, shown};
use runtime_ledger::{InstanceId, InvalidInstanceId, InvalidMonth, Month, ec2::MOST_IDS};
use serde::Deserialize;
use serde_json::Value;

/// What to compute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Fields")]
pub struct Event {
    /// Of these servers; of all that have the tag, if there are none.
    pub instances: Vec<InstanceId>,
    /// Of this month; of the present one, if unset.
    pub month: Option<Month>,
}

impl TryFrom<Fields> for Event {
    type Error = String;

    fn try_from(fields: Fields) -> Result<Self, String> {
        if is_schedule(&fields)? {
            return Ok(Self::default());
        }
        let takes = "has `instances`, `month`, both or nothing, or is a schedule's";
        no_others(&fields, &["instances", "month"], takes)?;
        Ok(Self {
            instances: fields.get("instances").map_or(Ok(Vec::new()), instances)?,
            month: fields.get("month").map(month).transpose()?,
        })
    }
}

fn instances(value: &Value) -> Result<Vec<InstanceId>, String> {
    let Value::Array(ids) = value else {
        return Err(format!(
            "field `instances` is {}, not a list of ids",
            shown(value)
        ));
    };
    if ids.is_empty() || ids.len() > MOST_IDS {
        return Err(format!(
            "field `instances` has {} ids; give 1 to {MOST_IDS}, or leave it out for all",
            ids.len()
        ));
    }
    let mut instances = Vec::new();
    for id in ids {
        let text = id.as_str();
        let text = text.ok_or_else(|| format!("field `instances`: {} is no text", shown(id)))?;
        let id = text.parse();
        let id = id.map_err(|error: InvalidInstanceId| format!("field `instances`: {error}"))?;
        if !instances.contains(&id) {
            instances.push(id);
        }
    }
    Ok(instances)
}

fn month(value: &Value) -> Result<Month, String> {
    let text = value.as_str().ok_or_else(|| {
        format!(
            "field `month` is {}, not a text such as \"2026-10\"",
            shown(value)
        )
    })?;
    text.parse()
        .map_err(|error: InvalidMonth| format!("field `month`: {error}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(event: Value) -> Result<Event, String> {
        serde_json::from_value(event).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_or_a_schedule_is_all_servers_now() {
        assert_eq!(parse(json!({})), Ok(Event::default()));
        let schedule =
            json!({ "detail-type": "Scheduled Event", "source": "aws.events", "id": "x" });
        assert_eq!(parse(schedule), Ok(Event::default()));
    }

    #[test]
    fn servers_and_a_month_narrow_it() {
        let event = parse(json!({ "instances": ["i-0000000a", "i-0000000a"], "month": "2026-10" }))
            .unwrap();
        assert_eq!(event.instances.len(), 1);
        assert_eq!(event.month.unwrap().to_string(), "2026-10");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_value() {
        for (event, said) in [
            (
                json!({ "instance": "i-0000000a" }),
                "unknown field `instance`",
            ),
            (
                json!({ "instances": "i-0000000a" }),
                "`instances` is \"i-0000000a\", not a list",
            ),
            (json!({ "instances": [] }), "has 0 ids"),
            (
                json!({ "instances": vec!["i-0000000a"; 201] }),
                "has 201 ids",
            ),
            (
                json!({ "instances": ["../x"] }),
                "\"../x\" is not an instance's id",
            ),
            (json!({ "instances": [7] }), "7 is no text"),
            (json!({ "month": "october" }), "\"october\" is not a month"),
            (json!({ "month": 10 }), "`month` is 10, not a text"),
            (
                json!({ "detail-type": "Object Created", "source": "aws.s3" }),
                "\"Object Created\"",
            ),
        ] {
            let error = parse(event.clone()).unwrap_err();
            assert!(error.contains(said), "{event}: {error}");
        }
    }
}
