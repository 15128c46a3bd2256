//! The events that the function takes.

use std::{fmt, str::FromStr};

use larder_lambda::event::{Fields, is_name, is_schedule, no_others, shown};
use serde::Deserialize;
use serde_json::Value;

/// The most monitors one event may name.
const MOST: usize = 64;

/// What to run.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Fields")]
pub enum Event {
    /// These, each once.
    Monitors(Vec<MonitorName>),
    /// Those that the settings list: a schedule fired.
    Scheduled,
}

/// A monitor's name: `^[a-z0-9][a-z0-9-]{0,63}$`. It becomes part of a path and of a URL.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MonitorName(String);

impl MonitorName {
    /// The name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What log lines call its binary: `slack` is the `Slack binary`.
    pub(crate) fn label(&self) -> String {
        let mut rest = self.0.chars();
        let first = rest.next().map(|first| first.to_ascii_uppercase());
        first
            .into_iter()
            .chain(rest)
            .chain(" binary".chars())
            .collect()
    }
}

impl FromStr for MonitorName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        if is_name(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidName(shown(text)))
        }
    }
}

/// A text that is no monitor's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidName(String);

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is not a monitor's name, which has up to 64 lower-case letters, digits and hyphens, \
             and no hyphen first",
            self.0
        )
    }
}

impl std::error::Error for InvalidName {}

impl TryFrom<Fields> for Event {
    type Error = String;

    fn try_from(fields: Fields) -> Result<Self, String> {
        if is_schedule(&fields)? {
            return Ok(Self::Scheduled);
        }
        let takes = "has `monitor` or `monitors`, or is a schedule's";
        no_others(&fields, &["monitor", "monitors"], takes)?;
        let names = match (fields.get("monitor"), fields.get("monitors")) {
            (Some(name), None) => std::slice::from_ref(name),
            (None, Some(Value::Array(names))) => names,
            (None, Some(other)) => {
                return Err(format!(
                    "field `monitors` is {}, not a list of names",
                    shown(other)
                ));
            }
            (Some(_), Some(_)) => {
                return Err("fields `monitor` and `monitors` exclude each other".to_owned());
            }
            (None, None) => {
                return Err(
                    "field `monitor` or `monitors` is missing, and no schedule fired".to_owned(),
                );
            }
        };
        if names.is_empty() || names.len() > MOST {
            return Err(format!(
                "field `monitors` has {} names; give 1 to {MOST}",
                names.len()
            ));
        }
        let mut monitors = Vec::new();
        for name in names {
            let name = name.as_str().ok_or_else(|| {
                format!("{} is not a monitor's name, which is a text", shown(name))
            })?;
            let name: MonitorName = name
                .parse()
                .map_err(|error: InvalidName| error.to_string())?;
            if !monitors.contains(&name) {
                monitors.push(name);
            }
        }
        Ok(Self::Monitors(monitors))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(event: Value) -> Result<Event, String> {
        serde_json::from_value(event).map_err(|error| error.to_string())
    }

    fn names(event: Value) -> Vec<String> {
        match parse(event).unwrap() {
            Event::Monitors(names) => names.into_iter().map(|name| name.0).collect(),
            Event::Scheduled => panic!("no schedule"),
        }
    }

    #[test]
    fn one_or_several_monitors_each_once_in_order() {
        assert_eq!(names(json!({ "monitor": "slack" })), ["slack"]);
        assert_eq!(
            names(json!({ "monitors": ["slack", "github", "slack"] })),
            ["slack", "github"]
        );
    }

    #[test]
    fn both_kinds_of_schedule_are_one() {
        for source in ["aws.events", "aws.scheduler"] {
            let event = json!({ "detail-type": "Scheduled Event", "source": source, "detail": {}, "id": "x" });
            assert_eq!(parse(event), Ok(Event::Scheduled));
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_value() {
        for (event, said) in [
            (
                json!({ "monitor": "slack", "force": true }),
                "unknown field `force`",
            ),
            (json!({}), "`monitor` or `monitors` is missing"),
            (
                json!({ "monitor": "slack", "monitors": ["github"] }),
                "exclude each other",
            ),
            (json!({ "monitors": [] }), "has 0 names"),
            (json!({ "monitors": vec!["a"; 65] }), "has 65 names"),
            (json!({ "monitors": "slack" }), "\"slack\", not a list"),
            (json!({ "monitor": 7 }), "7 is not a monitor's name"),
            (
                json!({ "monitor": "../../bin/sh" }),
                "\"../../bin/sh\" is not a monitor's name",
            ),
            (json!({ "monitor": "Slack" }), "lower-case"),
            (json!({ "monitor": "-slack" }), "no hyphen first"),
            (json!({ "monitor": "a".repeat(65) }), "up to 64"),
            (json!({ "monitor": "" }), "\"\" is not"),
            (
                json!({ "detail-type": "Object Created", "source": "aws.s3" }),
                "\"Object Created\"",
            ),
            (
                json!({ "detail-type": "Scheduled Event", "source": "me" }),
                "no schedule's event",
            ),
            (json!([1]), "invalid type: sequence"),
        ] {
            let error = parse(event.clone()).unwrap_err();
            assert!(error.contains(said), "{event}: {error}");
        }
    }

    #[test]
    fn labels_are_capitalised() {
        assert_eq!(
            "slack".parse::<MonitorName>().unwrap().label(),
            "Slack binary"
        );
        assert_eq!(
            "9-lives".parse::<MonitorName>().unwrap().label(),
            "9-lives binary"
        );
    }
}
