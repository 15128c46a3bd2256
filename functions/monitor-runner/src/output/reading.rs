//! Reading objects that are JSON by their syntax, and that a JSON reader may refuse all the same: for
//! numbers out of range (`1e999`), and for depth. Pure.
//!
//! The last one that is read in full counts. Where there is none, the last one counts with the text of
//! what is refused in place of its value.

use std::collections::BTreeMap;

use serde_json::{Value, value::RawValue};

/// How deep an object may be. Readers of JSON take 128 levels, and the answer has some around it.
const MAX_DEPTH: usize = 120;

/// How deep the values are told apart of an object that cannot be read in full. Below that, each is read in
/// full or kept as its text.
const MAX_PARTED: usize = 16;

/// The object that counts.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) value: Value,
    /// How many later ones were passed over.
    pub(super) passed: usize,
    /// What was refused.
    pub(super) problem: Option<String>,
}

/// Reads the last of `objects`, which are given from the last to the first.
pub(super) fn last<'a>(objects: impl Iterator<Item = &'a str>) -> Option<Read> {
    let mut newest = None;
    for (passed, object) in objects.enumerate() {
        match (read(object, 0), &newest) {
            (Ok(value), None) => {
                return Some(Read {
                    value,
                    passed,
                    problem: None,
                });
            }
            (Ok(value), Some((_, why))) => {
                return Some(Read {
                    value,
                    passed,
                    problem: Some(format!(
                        "{passed} of the last objects cannot be read, and an earlier one counts: {why}"
                    )),
                });
            }
            (Err(why), None) => newest = Some((object, why)),
            (Err(_), Some(_)) => {}
        }
    }
    let (object, why) = newest?;
    Some(Read {
        value: as_far_as_readable(object, 0),
        passed: 0,
        problem: Some(format!(
            "values that cannot be read are kept as text: {why}"
        )),
    })
}

/// The value, if it can be read in full, which lies `outside` levels deep.
fn read(json: &str, outside: usize) -> Result<Value, String> {
    let value = serde_json::from_str(json).map_err(|error| error.to_string())?;
    if outside + depth(&value) > MAX_DEPTH {
        return Err(format!("nested deeper than {MAX_DEPTH} levels"));
    }
    Ok(value)
}

/// How many levels a value has. Its reader has bounded them.
fn depth(value: &Value) -> usize {
    let inside = match value {
        Value::Array(items) => items.iter().map(depth).max(),
        Value::Object(fields) => fields.values().map(depth).max(),
        _ => return 0,
    };
    1 + inside.unwrap_or_default()
}

/// The value, with the text of each part that is refused in place of that.
fn as_far_as_readable(json: &str, outside: usize) -> Value {
    if let Ok(value) = read(json, outside) {
        return value;
    }
    let part = |part: &RawValue| as_far_as_readable(part.get(), outside + 1);
    if outside < MAX_PARTED {
        if let Ok(fields) = serde_json::from_str::<BTreeMap<String, &RawValue>>(json) {
            let fields = fields.into_iter();
            return Value::Object(fields.map(|(name, value)| (name, part(value))).collect());
        }
        if let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(json) {
            return Value::Array(items.into_iter().map(part).collect());
        }
    }
    Value::String(json.to_owned())
}
