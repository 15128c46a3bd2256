//! The function's answers.

use jiff::{Timestamp, tz::TimeZone};
use runtime_ledger::{InstanceId, Month, ledger::MonthTotal};
use serde::{Serialize, Serializer};

/// The answer to an event.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// How long a server ran this month.
    Minutes(Reading),
    /// How long it ran in other months.
    History(History),
    /// A change of an instance that is no server of ours: it is recorded, and that is all.
    Ignored(Ignored),
    /// How many servers' minutes are at hand now.
    Warmed {
        /// So many.
        warmed: usize,
    },
}

/// How long a server ran this month.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reading {
    /// Which one.
    pub instance_id: InstanceId,
    /// Its state, where that is known: a value from the cache says nothing of it.
    pub state: Option<&'static str>,
    /// Its running minutes, to two decimals.
    pub minutes: f64,
    /// When these were computed; none if that was just now.
    #[serde(serialize_with = "to_the_second")]
    pub timestamp: Option<Timestamp>,
    /// Where they come from.
    pub source: Source,
    /// The most that it may have run, where something was not seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upper: Option<f64>,
}

/// Where a figure comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// From the servers' table, or what is in front of it.
    Cache,
    /// It was computed just now.
    Calculated,
}

/// How long a server ran, month by month.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct History {
    /// Which one.
    pub instance_id: InstanceId,
    /// The months that are known, in their order.
    pub history: Vec<OfMonth>,
}

/// One month of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OfMonth {
    month: String,
    minutes: f64,
    upper: f64,
    quality: &'static str,
    /// Minutes on each day.
    days: Vec<f64>,
    /// Whether it goes on, or ended before its last look.
    complete: bool,
}

/// A change of somebody else's instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ignored {
    /// Which one.
    pub instance_id: InstanceId,
    /// Its state.
    pub state: &'static str,
    /// Why.
    pub ignored: String,
}

#[expect(clippy::ref_option, reason = "serde hands it over")]
fn to_the_second<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => serializer.collect_str(&format_args!("{at:.0}")),
        None => serializer.serialize_none(),
    }
}

impl OfMonth {
    /// What the ledger has of a month.
    pub(crate) fn of(total: &MonthTotal, zone: &TimeZone) -> Self {
        let seconds = total.total.days.iter();
        Self {
            month: total.month.to_string(),
            minutes: total.total.minutes().as_f64(),
            upper: total.total.upper().as_f64(),
            quality: total.quality().as_str(),
            days: seconds
                .map(|day| runtime_ledger::Minutes::of_seconds(*day).as_f64())
                .collect(),
            complete: is_over(total.month, total.looks.last, zone),
        }
    }
}

fn is_over(month: Month, seen: Timestamp, zone: &TimeZone) -> bool {
    month.end(zone) <= seen
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reading(source: Source, timestamp: Option<&str>) -> serde_json::Value {
        let answer = Answer::Minutes(Reading {
            instance_id: "i-0000000a".parse().unwrap(),
            state: Some("stopped"),
            minutes: 1234.56,
            timestamp: timestamp.map(|at| at.parse().unwrap()),
            source,
            upper: None,
        });
        serde_json::to_value(answer).unwrap()
    }

    #[test]
    fn the_answer_has_the_contracts_shape() {
        assert_eq!(
            reading(Source::Cache, Some("2026-11-26T10:00:00.5Z")),
            json!({ "instance_id": "i-0000000a", "state": "stopped", "minutes": 1234.56, "timestamp": "2026-11-26T10:00:00Z", "source": "cache" })
        );
        assert_eq!(
            reading(Source::Calculated, None),
            json!({ "instance_id": "i-0000000a", "state": "stopped", "minutes": 1234.56, "timestamp": null, "source": "calculated" })
        );
    }
}
