//! Logs: one JSON object a line on stdout, where Lambda picks them up.

use std::io::Write as _;

use serde_json::{Map, Value};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    Layer as _,
    filter::Targets,
    fmt::{
        self,
        format::Writer,
        time::{FormatTime as _, SystemTime},
    },
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use crate::settings::environment;

/// Starts logging. The level is `AWS_LAMBDA_LOG_LEVEL`, which Lambda sets from the function's
/// logging configuration, then `LOG_LEVEL`, then `INFO`.
pub(crate) fn init() {
    let lines = fmt::layer()
        .json()
        .flatten_event(true)
        .with_span_list(false);
    // The runtime's own line for every error would repeat ours, without its fields.
    let wanted = Targets::new()
        .with_default(level(environment))
        .with_target("lambda_runtime::layers::panic", LevelFilter::OFF);
    tracing_subscriber::registry()
        .with(lines.with_filter(wanted))
        .init();
    // A panic is a line like any other, not three lines of text on stderr.
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("no message");
        let location = panic.location().map(ToString::to_string);
        tracing::error!(location, "The function panicked: {message}");
    }));
}

/// Fields that every line has, and the one that would make a line a document of metrics.
pub const RESERVED_FIELDS: [&str; 5] = ["timestamp", "level", "message", "target", "_aws"];

/// Writes a line of level `INFO` whose fields are known at run time only, in the format of all others. Fields named as in
/// [`RESERVED_FIELDS`] are left out.
pub fn log_record(message: &str, fields: Map<String, Value>) {
    if !tracing::enabled!(tracing::Level::INFO) {
        return;
    }
    let mut line = record(message, fields);
    line.push('\n');
    // As for every other line, there is nowhere to report a closed stdout to.
    let _ = std::io::stdout().lock().write_all(line.as_bytes());
}

fn record(message: &str, mut fields: Map<String, Value>) -> String {
    fields.retain(|name, _| !RESERVED_FIELDS.contains(&name.as_str()));
    let mut timestamp = String::new();
    let told = SystemTime.format_time(&mut Writer::new(&mut timestamp));
    if told.is_ok() {
        fields.insert("timestamp".to_owned(), timestamp.into());
    }
    fields.insert("level".to_owned(), "INFO".into());
    fields.insert("message".to_owned(), message.into());
    Value::Object(fields).to_string()
}

fn level(lookup: impl Fn(&str) -> Option<String>) -> LevelFilter {
    let named = ["AWS_LAMBDA_LOG_LEVEL", "LOG_LEVEL"]
        .into_iter()
        .filter_map(lookup)
        .find(|level| !level.is_empty());
    match named.unwrap_or_default().to_ascii_uppercase().as_str() {
        "TRACE" => LevelFilter::TRACE,
        "DEBUG" => LevelFilter::DEBUG,
        "WARN" => LevelFilter::WARN,
        // Lambda's FATAL is above anything that tracing knows.
        "ERROR" | "FATAL" => LevelFilter::ERROR,
        _ => LevelFilter::INFO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level_of(variables: &[(&str, &str)]) -> LevelFilter {
        level(|name| {
            variables
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn lambdas_own_variable_comes_first() {
        assert_eq!(
            level_of(&[("LOG_LEVEL", "debug"), ("AWS_LAMBDA_LOG_LEVEL", "WARN")]),
            LevelFilter::WARN
        );
        assert_eq!(level_of(&[("LOG_LEVEL", "debug")]), LevelFilter::DEBUG);
        assert_eq!(
            level_of(&[("LOG_LEVEL", "debug"), ("AWS_LAMBDA_LOG_LEVEL", "")]),
            LevelFilter::DEBUG
        );
        assert_eq!(
            level_of(&[("AWS_LAMBDA_LOG_LEVEL", "FATAL")]),
            LevelFilter::ERROR
        );
    }

    #[test]
    fn record_keeps_reserved_fields_for_itself() {
        let mut fields = Map::new();
        for name in RESERVED_FIELDS.into_iter().chain(["status"]) {
            fields.insert(name.to_owned(), "a monitor's".into());
        }
        let line: Value = serde_json::from_str(&record("Monitor result", fields)).unwrap();
        assert_eq!(
            (&line["level"], &line["message"]),
            (&"INFO".into(), &"Monitor result".into())
        );
        assert_eq!(line["status"], "a monitor's");
        assert_eq!((line.get("_aws"), line.get("target")), (None, None));
        let timestamp = line["timestamp"].as_str().unwrap();
        assert!(
            timestamp.starts_with("20") && timestamp.ends_with('Z'),
            "{timestamp}"
        );
    }

    #[test]
    fn info_is_the_default_also_for_a_level_that_does_not_exist() {
        assert_eq!(level_of(&[]), LevelFilter::INFO);
        assert_eq!(level_of(&[("LOG_LEVEL", "loud")]), LevelFilter::INFO);
    }
}
