//! A run's finding, as people get it: the fields of a log line, metrics, and the details of events. Pure.

use std::time::Duration;

use jiff::Timestamp;
use larder_lambda::{RESERVED_FIELDS, milliseconds};
use metrique_writer::{Entry, EntryWriter};
use serde_json::{Map, Value, json};

use crate::{answer::Outcome, redact::Redactor};

/// The most fields of a result that its log line has.
pub(crate) const MAX_FIELDS: usize = 64;
/// The most bytes of JSON that one field's value has there.
const MAX_FIELD_BYTES: usize = 1024;
/// A field with a longer name is left out.
const MAX_NAME_BYTES: usize = 128;
/// The most metrics of a result: with those of the function itself far below the 100 that a document may have.
const MAX_NUMBERS: usize = 32;
/// `CloudWatch` takes numbers from -2^360 to 2^360 ("`MetricDatum`", Amazon `CloudWatch` API Reference).
const MAX_NUMBER: f64 = 2.348_542_582_773_833e108;
/// Names in a metrics document that are not a result's to set.
const OWN_NAMES: [&str; 4] = ["FunctionName", "Monitor", "Success", "ExecutionTime"];
/// Fields of the log line that are the function's own.
const OWN_FIELDS: [&str; 6] = [
    "monitor",
    "version",
    "status",
    "duration_ms",
    "error_type",
    "error",
];
/// The most characters of a status.
const MAX_STATUS_CHARS: usize = 128;
/// The most bytes of an error in an event: the log has all of it.
const MAX_ERROR_BYTES: usize = 4096;
/// The most bytes of an event's detail. `PutEvents` takes 256 KB with all that is around it.
pub(crate) const MAX_DETAIL_BYTES: usize = 254 * 1024;

/// The status of a run whose result has none.
pub(crate) const OK: &str = "ok";
/// The status of a run that failed.
pub(crate) const FAILED: &str = "failed";

/// What a run of a monitor came to, without the secrets that the monitor was given.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) monitor: String,
    pub(crate) version: Option<String>,
    pub(crate) status: String,
    /// How long the monitor ran; if it did not, how long the attempt took.
    pub(crate) duration: Duration,
    /// Whether the monitor was started.
    pub(crate) executed: bool,
    /// When the run began.
    pub(crate) began: Timestamp,
    result: Value,
    error: Option<RunError>,
}

#[derive(Debug)]
struct RunError {
    kind: &'static str,
    message: String,
}

/// What is known of a run beside its outcome.
#[derive(Debug)]
pub(crate) struct Circumstances {
    pub(crate) began: Timestamp,
    pub(crate) version: Option<String>,
    pub(crate) execution: Option<Duration>,
    pub(crate) elapsed: Duration,
}

impl Finding {
    pub(crate) fn new(
        outcome: &Outcome,
        circumstances: Circumstances,
        redactor: &Redactor<'_>,
    ) -> Self {
        let Circumstances {
            began,
            version,
            execution,
            elapsed,
        } = circumstances;
        let (monitor, status, result, error) = match outcome {
            Outcome::Ran(run) => {
                let result = run.result.as_ref();
                let result = result.map_or(Value::Null, |result| redactor.value(result));
                (&run.monitor, status_of(&result), result, None)
            }
            Outcome::Failed(failure) => {
                let error = RunError {
                    kind: failure.error.kind().as_str(),
                    message: redactor.text(&failure.error.to_string()),
                };
                let status = FAILED.to_owned();
                (&failure.monitor, status, Value::Null, Some(error))
            }
        };
        Self {
            monitor: monitor.clone(),
            version,
            status,
            duration: execution.unwrap_or(elapsed),
            executed: execution.is_some(),
            began,
            result,
            error,
        }
    }

    /// The fields of the line `Monitor result`.
    pub(crate) fn log_fields(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        fields.insert("monitor".to_owned(), json!(self.monitor));
        fields.insert("version".to_owned(), json!(self.version));
        fields.insert("status".to_owned(), json!(self.status));
        fields.insert("duration_ms".to_owned(), json!(milliseconds(self.duration)));
        if let Some(error) = &self.error {
            fields.insert("error_type".to_owned(), json!(error.kind));
            let message = Value::from(error.message.as_str());
            fields.insert("error".to_owned(), bounded(&message, MAX_FIELD_BYTES));
        }
        for (name, value) in self.bounded_result() {
            let own = OWN_FIELDS.contains(&name.as_str());
            let taken = own || RESERVED_FIELDS.contains(&name.as_str());
            let name = match (taken, name.as_str()) {
                (true, "status") => continue,
                (true, _) => format!("result_{name}"),
                (false, _) => name,
            };
            fields.entry(name).or_insert(value);
        }
        fields
    }

    /// The metrics of the run.
    pub(crate) fn metrics(&self) -> MonitorMetrics {
        let metrics = self.result.get("metrics").and_then(Value::as_object);
        let numbers = metrics.into_iter().flatten();
        let numbers = numbers.filter_map(|(name, value)| Some((name, value.as_f64()?)));
        let (kept, refused): (Vec<_>, Vec<_>) = numbers.partition(|(name, number)| {
            is_metric_name(name)
                && !OWN_NAMES.contains(&name.as_str())
                && number.abs() <= MAX_NUMBER
        });
        MonitorMetrics {
            success: self.error.is_none(),
            execution_time: self.executed.then_some(self.duration),
            left_out: refused.len() + kept.len().saturating_sub(MAX_NUMBERS),
            numbers: kept
                .into_iter()
                .take(MAX_NUMBERS)
                .map(|(name, number)| (name.clone(), number))
                .collect(),
        }
    }

    /// The detail of `Monitor Result`.
    pub(crate) fn result_detail(&self) -> String {
        self.detail(Map::new())
    }

    /// The detail of `Monitor Status Changed`.
    pub(crate) fn change_detail(&self, previous: Option<&str>) -> String {
        let previous = ("previous_status".to_owned(), json!(previous));
        self.detail(Map::from_iter([previous]))
    }

    /// The fields of every detail, beside those that one has of its own.
    fn detail(&self, own: Map<String, Value>) -> String {
        let mut detail = own;
        detail.insert("monitor".to_owned(), json!(self.monitor));
        detail.insert("version".to_owned(), json!(self.version));
        detail.insert("status".to_owned(), json!(self.status));
        if let Some(error) = &self.error {
            let message = bounded(&error.message.as_str().into(), MAX_ERROR_BYTES);
            let error = json!({ "type": error.kind, "message": message });
            detail.insert("error".to_owned(), error);
        }
        let result = self.result.to_string();
        let around = Value::Object(detail.clone()).to_string().len() + r#","result":"#.len();
        let result = if around + result.len() <= MAX_DETAIL_BYTES {
            self.result.clone()
        } else {
            let mut cut = self.bounded_result();
            let note = format!(
                "the result has {} bytes, and an event has room for 256 KB: of its fields the first {MAX_FIELDS} are here, \
                 of each the first {MAX_FIELD_BYTES} bytes",
                result.len()
            );
            cut.insert("truncated".to_owned(), note.into());
            Value::Object(cut)
        };
        detail.insert("result".to_owned(), result);
        Value::Object(detail).to_string()
    }

    /// The first fields of the result, each cut to its bound.
    fn bounded_result(&self) -> Map<String, Value> {
        let fields = self.result.as_object().into_iter().flatten();
        let fields = fields.filter(|(name, _)| name.len() <= MAX_NAME_BYTES);
        let fields = fields.map(|(name, value)| (name.clone(), bounded(value, MAX_FIELD_BYTES)));
        fields.take(MAX_FIELDS).collect()
    }
}

/// The metrics of one run, for the document with the dimension `Monitor`.
#[derive(Debug)]
pub(crate) struct MonitorMetrics {
    success: bool,
    execution_time: Option<Duration>,
    numbers: Vec<(String, f64)>,
    /// How many numbers of the result are no metrics: too many, too large, or with a name that cannot be one.
    pub(crate) left_out: usize,
}

impl Entry for MonitorMetrics {
    fn write<'a>(&'a self, writer: &mut impl EntryWriter<'a>) {
        writer.value("Success", &self.success);
        writer.value("ExecutionTime", &self.execution_time);
        for (name, number) in &self.numbers {
            writer.value(name.as_str(), number);
        }
    }
}

/// The status of a result: its own, if it has one.
fn status_of(result: &Value) -> String {
    let text = match result.get("status") {
        None | Some(Value::Null) => return OK.to_owned(),
        Some(Value::String(text)) => text.trim().to_owned(),
        Some(other) => other.to_string(),
    };
    if text.is_empty() {
        return OK.to_owned();
    }
    text.chars().take(MAX_STATUS_CHARS).collect()
}

/// Whether a name is `^[A-Za-z][A-Za-z0-9_]{0,63}$`.
fn is_metric_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.len() <= 64
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(plain)
}

/// `value` if its JSON has `max` bytes at most, else the beginning of its text.
fn bounded(value: &Value, max: usize) -> Value {
    let json = value.to_string();
    if json.len() <= max {
        return value.clone();
    }
    let text = value.as_str().unwrap_or(&json);
    // Quotes, and the sign that says that it goes on.
    let mut room = max.saturating_sub("\"\"…".len());
    let fits = |c: &char| {
        let bytes = match c {
            '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
            '\0'..='\u{1f}' => 6,
            other => other.len_utf8(),
        };
        match room.checked_sub(bytes) {
            Some(left) => {
                room = left;
                true
            }
            None => false,
        }
    };
    let mut cut: String = text.chars().take_while(fits).collect();
    cut.push('…');
    cut.into()
}

#[cfg(test)]
#[path = "finding_tests.rs"]
pub(crate) mod tests;
