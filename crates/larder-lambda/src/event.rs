//! What the events of several functions have in common.

use std::fmt;

use serde_json::{Map, Value};

/// The fields of an event.
pub type Fields = Map<String, Value>;

/// The beginning of what somebody sent, for an error message: an error has to fit in an answer.
pub fn shown(sent: impl fmt::Display) -> String {
    bounded(sent, 80)
}

/// At most so many characters of an error that may quote what was read: as long as that was, it would fill a log.
pub fn bounded(error: impl fmt::Display, most: usize) -> String {
    error.to_string().chars().take(most).collect()
}

/// Whether `text` is a name as all functions take them, `^[a-z0-9][a-z0-9-]{0,63}$`: fit to be a part of a path, a URL or a key.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.len() <= 64 && text.starts_with(plain) && text.chars().all(|c| plain(c) || c == '-')
}

/// Whether an `EventBridge` schedule fired, of either kind ("Scheduled Event" of a rule or of the Scheduler). An event of another kind is
/// an error.
pub fn is_schedule(fields: &Fields) -> Result<bool, String> {
    let Some(kind) = fields.get("detail-type") else {
        return Ok(false);
    };
    match (kind.as_str(), fields.get("source").and_then(Value::as_str)) {
        (Some("Scheduled Event"), Some("aws.events" | "aws.scheduler")) => Ok(true),
        _ => Err(format!(
            "field `detail-type` is {}, which is no schedule's event",
            shown(kind)
        )),
    }
}

/// Refuses fields that are not among `known`; `takes` says what an event has.
pub fn no_others(fields: &Fields, known: &[&str], takes: &str) -> Result<(), String> {
    match fields.keys().find(|name| !known.contains(&name.as_str())) {
        Some(unknown) => Err(format!(
            "unknown field `{}`: an event {takes}",
            shown(unknown)
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(event: &Value) -> &Fields {
        event.as_object().unwrap()
    }

    #[test]
    fn both_kinds_of_schedule_are_one_and_nothing_else_is() {
        for source in ["aws.events", "aws.scheduler"] {
            let event = json!({ "detail-type": "Scheduled Event", "source": source, "detail": {}, "id": "x" });
            assert_eq!(is_schedule(fields(&event)), Ok(true));
        }
        assert_eq!(is_schedule(fields(&json!({}))), Ok(false));
        let other = json!({ "detail-type": "Object Created", "source": "aws.s3" });
        assert!(
            is_schedule(fields(&other))
                .unwrap_err()
                .contains("Object Created")
        );
        let other = json!({ "detail-type": "Scheduled Event", "source": "me" });
        assert!(
            is_schedule(fields(&other))
                .unwrap_err()
                .contains("no schedule's event")
        );
    }

    #[test]
    fn a_name_is_plain() {
        let long = "a".repeat(64);
        for name in ["slack", "0-a", &long] {
            assert!(is_name(name), "{name}");
        }
        let long = "a".repeat(65);
        for other in ["", "-a", "A", "a_b", "a/b", "../a", "\u{e4}", &long] {
            assert!(!is_name(other), "{other}");
        }
    }

    #[test]
    fn an_unknown_field_is_named() {
        let event = json!({ "month": 1, "monht": 2 });
        let refused = no_others(fields(&event), &["month"], "has `month`");
        assert_eq!(
            refused,
            Err("unknown field `monht`: an event has `month`".to_owned())
        );
        assert_eq!(no_others(fields(&event), &["month", "monht"], ""), Ok(()));
    }
}
