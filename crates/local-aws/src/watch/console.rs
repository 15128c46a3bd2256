//! Output of `cargo lambda watch` and its functions, formatted for a terminal.

use std::io::Write as _;

use serde_json::{Map, Value};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};

/// Bound on a printed line, in characters: it may hold a monitor's output.
const MAX_LINE: usize = 2_000;
/// Fields of a log line that are printed in another way, or not at all.
const UNTOLD: [&str; 5] = ["timestamp", "level", "message", "target", "span"];
/// Prefixes of lines of cargo and `cargo lambda` that ask for no action.
const HEALTHY: [&str; 5] = ["INFO ", "Finished ", "Running ", "Blocking ", "Compiling "];

/// Prints the lines of `output` until it ends, on this process's standard output.
pub(super) async fn print(output: impl AsyncRead + Unpin) {
    let mut lines = BufReader::new(output).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        if let Some(line) = readable(&String::from_utf8_lossy(&line)) {
            let _ = writeln!(std::io::stdout().lock(), "{line}");
        }
    }
}

/// A line as it is printed. Metric documents are for CloudWatch, and left out.
fn readable(line: &str) -> Option<String> {
    let plain = line.trim();
    let readable = match serde_json::from_str::<Map<String, Value>>(plain) {
        Ok(fields) if fields.contains_key("_aws") => return None,
        Ok(fields) if fields.contains_key("message") => of_record(&fields),
        _ if plain.is_empty() || HEALTHY.iter().any(|begin| plain.starts_with(begin)) => {
            return None;
        }
        _ => line.to_owned(),
    };
    Some(larder_lambda::event::bounded(readable, MAX_LINE))
}

/// Formats a log line of a function: crate, level unless INFO, message, fields.
fn of_record(fields: &Map<String, Value>) -> String {
    let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    // Lines that were written for CloudWatch as they are have none.
    let crate_name = text("target").split("::").next().unwrap_or_default();
    let level = Some(text("level")).filter(|level| *level != "INFO");
    let rest = fields
        .iter()
        .filter(|(name, _)| !UNTOLD.contains(&name.as_str()))
        .map(|(name, value)| match value {
            Value::String(value) => format!("{name}={value:?}"),
            other => format!("{name}={other}"),
        });
    let crate_name = (!crate_name.is_empty()).then(|| crate_name.replace('_', "-") + ":");
    let words = crate_name
        .into_iter()
        .chain(level.map(str::to_owned))
        .chain([text("message").to_owned()])
        .chain(rest);
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_log_lines_as_sentences_with_their_fields() {
        let line = r#"{"timestamp":"2026-12-01T06:00:00Z","level":"WARN","error.kind":"Upstream","tries":2,"message":"Rules write","target":"report_generator::narrative","span":{"requestId":"x"}}"#;
        let said = readable(line).unwrap();
        assert!(
            said.starts_with("report-generator: WARN Rules write "),
            "{said}"
        );
        assert!(
            said.contains("error.kind=\"Upstream\"") && said.contains("tries=2"),
            "{said}"
        );
        let bare = r#"{"level":"INFO","message":"Monitor result","monitor":"slack"}"#;
        assert_eq!(
            readable(bare).as_deref(),
            Some("Monitor result monitor=\"slack\"")
        );
        let info = r#"{"level":"INFO","message":"Using cached Slack binary v1","target":"monitor_runner::monitor"}"#;
        let said = readable(info);
        assert_eq!(
            said.as_deref(),
            Some("monitor-runner: Using cached Slack binary v1")
        );
    }

    #[test]
    fn leaves_out_metric_documents_and_what_is_healthy() {
        for line in [
            r#"{"_aws":{"Timestamp":1,"CloudWatchMetrics":[]},"Hits":1,"message":"x"}"#,
            " INFO starting lambda function function=\"monitor-runner\"",
            "    Finished `dev` profile [unoptimized + debuginfo] target(s) in 0.31s",
            "",
        ] {
            assert_eq!(readable(line), None, "{line}");
        }
    }

    #[test]
    fn prints_everything_else_as_it_is_and_bounded() {
        for line in [
            "error[E0425]: cannot find value",
            " WARN missing",
            "{\"a\":1}",
        ] {
            assert_eq!(readable(line).as_deref(), Some(line));
        }
        let long = "x".repeat(1_000_000);
        assert_eq!(readable(&long).map(|line| line.len()), Some(MAX_LINE));
    }
}
