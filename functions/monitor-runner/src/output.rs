//! A monitor's result: the last JSON object that it printed.

mod reading;

use std::ops::Range;

use larder_artifact::json::{BYTE_ORDER_MARK, mend_surrogates};
use serde::de::IgnoredAny;
use serde_json::Value;

/// How often, in all, the output may be read over in vain: by objects that begin and never end.
/// Once that is used up objects count on one line only. Without it, a megabyte of opening braces
/// would be read a hundred thousand times.
const VAIN_READS: usize = 8;

/// Finds the result in what a monitor printed. Each JSON object that begins a line and ends one
/// counts, on one line or pretty-printed over several. An object with `"type": "result"` wins over
/// those without, which may be log records; among equals the last one wins.
///
/// Takes any bytes. What is indented below an object that is not whole is inside of it, and does not
/// count; neither does what may be inside of one whose beginning was lost, where `stdout` is not
/// `whole`. An object that is whole is never nothing: see [`reading`] for what a JSON reader refuses
/// of it. Pure.
#[must_use]
pub fn find_result(stdout: &[u8], whole: bool) -> Option<Value> {
    search(stdout, whole).value
}

/// Finds the same, and logs what became of it where it is not what `monitor` printed.
pub(crate) fn result_of(monitor: &str, stdout: &[u8], whole: bool) -> Option<Value> {
    let Found { value, problem } = search(stdout, whole);
    match (&value, problem) {
        (Some(_), None) => {}
        (Some(_), Some(problem)) => {
            tracing::warn!(
                monitor,
                problem,
                "The monitor's result is not all as it was printed"
            );
        }
        (None, Some(problem)) => {
            tracing::warn!(
                monitor,
                problem,
                "The monitor printed no result that can be read"
            );
        }
        (None, None) => tracing::warn!(monitor, "The monitor printed no result"),
    }
    value
}

/// What was found.
#[derive(Debug, Default)]
struct Found {
    value: Option<Value>,
    /// What is wrong with the output, or was changed.
    problem: Option<String>,
}

/// The objects in an output, each as its place in the text.
#[derive(Debug, Default)]
struct Objects {
    results: Vec<Range<usize>>,
    others: Vec<Range<usize>>,
    /// Why the last object that was begun is none.
    broken: Option<serde_json::Error>,
}

fn search(stdout: &[u8], whole: bool) -> Found {
    let text = String::from_utf8_lossy(stdout);
    let mended = mend_surrogates(&text);
    let objects = Objects::of(&mended, whole);
    let among = if objects.results.is_empty() {
        &objects.others
    } else {
        &objects.results
    };
    let at = |place: &Range<usize>| mended.get(place.clone()).unwrap_or_default();
    let Some(read) = reading::last(among.iter().rev().map(at)) else {
        return Found {
            value: None,
            problem: objects
                .broken
                .map(|error| format!("an object is no JSON: {error}")),
        };
    };
    let place = among.iter().rev().nth(read.passed).cloned();
    let place = place.unwrap_or_default();
    let is_mended = text.get(place.clone()) != mended.get(place);
    let halves = is_mended.then(|| "half of a surrogate pair was read as U+FFFD".to_owned());
    Found {
        value: Some(read.value),
        problem: read.problem.or(halves),
    }
}

impl Objects {
    fn of(text: &str, whole: bool) -> Self {
        let mut objects = Self::default();
        let mut budget = text.len().saturating_mul(VAIN_READS);
        let mut rest = text;
        // The indentation of the object that is not whole.
        let mut broken = None;
        if !whole {
            rest = rest.split_once('\n').map_or("", |(_, after)| after);
            broken = Some(0);
        }
        while !rest.is_empty() {
            rest = rest.trim_start_matches(BYTE_ORDER_MARK);
            let (line, after_line) = rest.split_once('\n').unwrap_or((rest, ""));
            let (indent, blank) = (indentation(line), line.trim().is_empty());
            if !blank && broken.is_some_and(|outer| indent <= outer) {
                broken = None;
            }
            if broken.is_some() || !line.trim_start().starts_with('{') {
                rest = after_line;
                continue;
            }
            let within = if budget > 0 { rest } else { line };
            match object_at(within.trim_start()) {
                Ok(object) => {
                    let start = text.len() - rest.len() + indentation(within);
                    objects.add(object, start);
                    let behind = within.trim_start().get(object.len()..).unwrap_or_default();
                    rest = behind
                        .split_once('\n')
                        .map_or(after_line, |(_, after)| after);
                }
                Err(vain) => {
                    budget = budget.saturating_sub(vain.read);
                    rest = after_line;
                    broken = (!vain.ended).then_some(indent);
                    objects.broken = vain.why.or(objects.broken);
                }
            }
        }
        objects
    }

    fn add(&mut self, object: &str, start: usize) {
        let place = start..start + object.len();
        if is_result(object) {
            self.results.push(place);
        } else {
            self.others.push(place);
        }
    }
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// What was read and is no object that counts.
struct Vain {
    /// So many bytes.
    read: usize,
    /// Whether it is whole, with more behind it on its line.
    ended: bool,
    /// Why it is none, if it is not whole.
    why: Option<serde_json::Error>,
}

/// The object that `text` begins with, if a line ends behind it.
fn object_at(text: &str) -> Result<&str, Vain> {
    let broken = |read, why| Vain {
        read,
        ended: false,
        why,
    };
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    match values.next() {
        Some(Ok(_)) => {
            let (object, behind) = text
                .split_at_checked(values.byte_offset())
                .ok_or(broken(text.len(), None))?;
            let line_end = behind.lines().next().unwrap_or_default();
            if line_end.trim().is_empty() {
                Ok(object)
            } else {
                let read = object.len();
                Err(Vain {
                    read,
                    ended: true,
                    why: None,
                })
            }
        }
        Some(Err(error)) => {
            let lines = text.split_inclusive('\n').take(error.line());
            Err(broken(lines.map(str::len).sum(), Some(error)))
        }
        None => Err(broken(text.len(), None)),
    }
}

fn is_result(object: &str) -> bool {
    #[derive(serde::Deserialize)]
    struct Typed<'a> {
        #[serde(borrow)]
        r#type: std::borrow::Cow<'a, str>,
    }
    serde_json::from_str::<Typed<'_>>(object).is_ok_and(|object| object.r#type == "result")
}

#[cfg(test)]
mod tests;
