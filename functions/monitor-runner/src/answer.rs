//! The answer's shape.

use std::time::Duration;

use larder_lambda::{Error, ErrorKind};
use serde::{Serialize, Serializer};
use serde_json::Value;

/// What the function answers when at least one monitor ran.
#[derive(Debug, Serialize)]
pub struct Answer {
    /// One object a monitor, in the order of the event.
    pub results: Vec<Outcome>,
    /// How many ran to a good end.
    pub processed: usize,
    /// How many did not.
    pub errors: usize,
}

/// What became of one monitor.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Outcome {
    /// It ran and exited with 0.
    Ran(Run),
    /// It could not be had, or failed.
    Failed(Failure),
}

/// A monitor that ran.
#[derive(Debug, Serialize)]
pub struct Run {
    /// Its name.
    pub monitor: String,
    /// The version that ran.
    pub version: String,
    /// The binary's SHA-256.
    pub sha256: String,
    /// The binary's bytes.
    pub binary_size: u64,
    /// `hit`, `miss` or `stale`.
    pub cache: &'static str,
    /// Why it was downloaded; null if it was not.
    pub reason: Option<&'static str>,
    /// Why it may not be the newest; only if stale.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
    /// Bytes that came over the network for it.
    pub downloaded_bytes: u64,
    /// How long it took to have the binary ready.
    #[serde(rename = "ensure_ms", serialize_with = "milliseconds")]
    pub ensure: Duration,
    /// How long it ran.
    #[serde(rename = "execution_ms", serialize_with = "milliseconds")]
    pub execution: Duration,
    /// Always 0: any other is an error.
    pub exit_code: i32,
    /// The result that it printed; null if it printed none.
    pub result: Option<Value>,
}

/// A monitor that did not.
#[derive(Debug, Serialize)]
pub struct Failure {
    /// Its name.
    pub monitor: String,
    /// What went wrong.
    #[serde(serialize_with = "type_and_message")]
    pub error: Error,
}

fn milliseconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(larder_lambda::milliseconds(*duration))
}

fn type_and_message<S: Serializer>(error: &Error, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct TypeAndMessage {
        r#type: &'static str,
        message: String,
    }
    TypeAndMessage {
        r#type: error.kind().as_str(),
        message: error.to_string(),
    }
    .serialize(serializer)
}

/// What all results may have together, bytes of JSON: an answer has 6 MB ("Lambda quotas",
/// invocation payload), the other fields included.
const MOST_BYTES: usize = 5 << 20;

impl Outcome {
    /// Itself if its result fits in `room`, which is taken; else a failure that says so.
    fn fit(self, room: &mut usize) -> Self {
        let Self::Ran(Run {
            monitor,
            result: Some(result),
            ..
        }) = &self
        else {
            return self;
        };
        let size = result.to_string().len();
        if let Some(left) = room.checked_sub(size) {
            *room = left;
            return self;
        }
        let message = format!(
            "the monitor printed a result of {size} bytes, and all results of one answer may have {MOST_BYTES}; \
             have it print less, or run fewer monitors at once"
        );
        Self::Failed(Failure {
            monitor: monitor.clone(),
            error: Error::message(ErrorKind::Upstream, message),
        })
    }
}

impl Answer {
    /// The answer, or, if all monitors failed, the invocation's error. Its kind is theirs if they
    /// agree.
    pub(crate) fn of(results: Vec<Outcome>) -> Result<Self, Error> {
        let mut room = MOST_BYTES;
        let results: Vec<Outcome> = results
            .into_iter()
            .map(|outcome| outcome.fit(&mut room))
            .collect();
        let failures: Vec<&Failure> = results
            .iter()
            .filter_map(|outcome| match outcome {
                Outcome::Failed(failure) => Some(failure),
                Outcome::Ran(_) => None,
            })
            .collect();
        let errors = failures.len();
        let processed = results.len() - errors;
        if processed > 0 {
            return Ok(Self {
                results,
                processed,
                errors,
            });
        }
        let first = failures
            .first()
            .map_or(ErrorKind::Internal, |failure| failure.error.kind());
        let agree = failures.iter().all(|failure| failure.error.kind() == first);
        let messages: Vec<String> = failures
            .iter()
            .map(|failure| format!("{}: {}", failure.monitor, failure.error))
            .collect();
        Err(Error::message(
            if agree { first } else { ErrorKind::Upstream },
            messages.join("; "),
        ))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn failed(monitor: &str, kind: ErrorKind) -> Outcome {
        Outcome::Failed(Failure {
            monitor: monitor.to_owned(),
            error: Error::message(kind, "no"),
        })
    }

    fn ran() -> Outcome {
        Outcome::Ran(Run {
            monitor: "slack".to_owned(),
            version: "1.0".to_owned(),
            sha256: "ab".to_owned(),
            binary_size: 7,
            cache: "hit",
            reason: None,
            warning: None,
            downloaded_bytes: 0,
            ensure: Duration::from_micros(412),
            execution: Duration::from_millis(1930),
            exit_code: 0,
            result: None,
        })
    }

    #[test]
    fn the_answer_has_the_contracts_shape() {
        let answer = Answer::of(vec![ran(), failed("github", ErrorKind::Timeout)]).unwrap();
        assert_eq!(
            serde_json::to_value(answer).unwrap(),
            json!({
                "results": [
                    {
                        "monitor": "slack", "version": "1.0", "sha256": "ab", "binary_size": 7, "cache": "hit",
                        "reason": null, "downloaded_bytes": 0, "ensure_ms": 0.412, "execution_ms": 1930.0,
                        "exit_code": 0, "result": null,
                    },
                    { "monitor": "github", "error": { "type": "Timeout", "message": "no" } },
                ],
                "processed": 1,
                "errors": 1,
            })
        );
    }

    #[test]
    fn only_when_all_fail_is_it_an_error_and_of_their_kind_if_they_agree() {
        let all = |kinds: [ErrorKind; 2]| {
            Answer::of(vec![failed("a", kinds[0]), failed("b", kinds[1])]).unwrap_err()
        };
        let agreed = all([ErrorKind::Integrity, ErrorKind::Integrity]);
        assert_eq!(
            (agreed.kind(), agreed.to_string().as_str()),
            (ErrorKind::Integrity, "a: no; b: no")
        );
        assert_eq!(
            all([ErrorKind::Integrity, ErrorKind::Timeout]).kind(),
            ErrorKind::Upstream
        );
    }

    #[test]
    fn results_that_do_not_fit_in_an_answer_are_failures_of_their_monitors() {
        let large = |bytes: usize| match ran() {
            Outcome::Ran(run) => Outcome::Ran(Run {
                result: Some(json!("x".repeat(bytes))),
                ..run
            }),
            failed @ Outcome::Failed(_) => failed,
        };
        let answer = Answer::of(vec![large(4 << 20), large(2 << 20), large(1000)]).unwrap();
        assert_eq!((answer.processed, answer.errors), (2, 1));
        assert!(matches!(&answer.results[1], Outcome::Failed(failure)
            if failure.error.to_string().contains("of 2097154 bytes")));
    }
}
