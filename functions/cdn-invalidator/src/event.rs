//! The events that the function takes.

mod object;

use cdn::{Item, MAX_EXACT, MAX_WILDCARDS, Rejected};
use jiff::Timestamp;
use larder_lambda::event::{Fields, bounded, is_name, no_others, shown};
use serde::Deserialize;
use serde_json::Value;

pub use object::{Change, Object};

use crate::domain::{Domain, InvalidDomain};

/// The most messages of a queue in one event: as many as Lambda ever puts into one.
const MOST_MESSAGES: usize = 10_000;
/// How many rejected paths an error tells.
const TOLD: usize = 20;
/// How much of what is wrong with a message is told, in characters.
const QUOTED: usize = 8_000;
/// What an event may be.
const TAKES: &str = "has `monitor`, `templates`, or `domain` and `paths`, perhaps `version` and `wait`; or `status`; \
                     or is of an object in S3, or a queue's";

/// What has happened, or is asked.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Fields")]
pub enum Event {
    /// Somebody wants something invalidated.
    Direct(Direct),
    /// Somebody asks how an invalidation stands.
    Status(Status),
    /// An object has changed.
    Object(Object),
    /// Messages of a queue, each of which says one of the two.
    Batch(Vec<Message>),
}

/// What somebody wants invalidated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Direct {
    /// What.
    pub what: What,
    /// What it has become: the same once more changes nothing.
    pub version: Option<String>,
    /// Whether the answer is to tell that it is done.
    pub wait: bool,
}

/// What is to be invalidated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The latest release of a monitor.
    Monitor(String),
    /// All of the customers' templates.
    Templates,
    /// These.
    Paths {
        /// Of the distribution that serves this.
        domain: Domain,
        /// Paths, wildcards and tags.
        items: Vec<Item>,
    },
}

/// Which invalidation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Of which distribution.
    pub distribution: String,
    /// Its id.
    pub invalidation: String,
    /// Whether the answer is to tell that it is done.
    pub wait: bool,
}

/// A message of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What the queue calls it.
    pub id: String,
    /// When it was sent, if the queue says.
    pub sent: Option<Timestamp>,
    /// What it says, or what is wrong with it.
    pub body: Result<Body, String>,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// The same as an event of its own.
    Direct(Direct),
    /// An object has changed.
    Object(Object),
}

impl TryFrom<Fields> for Event {
    type Error = String;

    fn try_from(fields: Fields) -> Result<Self, String> {
        if let Some(records) = fields.get("Records") {
            return messages(records).map(Self::Batch);
        }
        if fields.contains_key("detail-type") {
            return Object::parse(&fields).map(Self::Object);
        }
        if let Some(status) = fields.get("status") {
            no_others(&fields, &["status", "wait"], TAKES)?;
            return Ok(Self::Status(Status {
                distribution: id(status, "distribution_id")?,
                invalidation: id(status, "invalidation_id")?,
                wait: flag(&fields, "wait")?,
            }));
        }
        Direct::parse(&fields).map(Self::Direct)
    }
}

impl Direct {
    fn parse(fields: &Fields) -> Result<Self, String> {
        no_others(
            fields,
            &["monitor", "templates", "domain", "paths", "version", "wait"],
            TAKES,
        )?;
        let given = ["monitor", "templates", "paths"].map(|name| fields.get(name));
        let what = match given {
            [Some(monitor), None, None] => What::Monitor(name(monitor)?),
            [None, Some(Value::Bool(true)), None] => What::Templates,
            [None, Some(other), None] => {
                return Err(format!(
                    "field `templates` is {}, and can be true only",
                    shown(other)
                ));
            }
            [None, None, Some(paths)] => What::Paths {
                domain: domain(fields.get("domain"))?,
                items: items(paths)?,
            },
            [None, None, None] => {
                return Err("field `monitor`, `templates` or `paths` is missing".to_owned());
            }
            _ => {
                return Err(
                    "fields `monitor`, `templates` and `paths` exclude each other".to_owned(),
                );
            }
        };
        if fields.contains_key("domain") && !matches!(what, What::Paths { .. }) {
            return Err("field `domain` goes with `paths` alone: the settings say where monitors and templates are".to_owned());
        }
        Ok(Self {
            what,
            version: fields.get("version").map(version).transpose()?,
            wait: flag(fields, "wait")?,
        })
    }
}

fn messages(records: &Value) -> Result<Vec<Message>, String> {
    let records = records.as_array().ok_or("field `Records` is not a list")?;
    if records.len() > MOST_MESSAGES {
        return Err(format!(
            "field `Records` has {} messages; {MOST_MESSAGES} is the most",
            records.len()
        ));
    }
    let mut messages = Vec::with_capacity(records.len());
    for record in records {
        let text = |name: &str| record.get(name).and_then(Value::as_str);
        if text("eventSource") != Some("aws:sqs") {
            let source = record.get("eventSource").unwrap_or(&Value::Null);
            let problem =
                "where \"aws:sqs\" is expected: send S3's events by EventBridge and a queue";
            return Err(format!(
                "field `Records[].eventSource` is {}, {problem}",
                shown(source)
            ));
        }
        let id = text("messageId").ok_or("field `Records[].messageId` is missing")?;
        let sent = record.pointer("/attributes/SentTimestamp");
        let sent = sent.and_then(|sent| sent.as_str()?.parse().ok());
        messages.push(Message {
            id: id.to_owned(),
            // In milliseconds since 1970.
            sent: sent.and_then(|sent| Timestamp::from_millisecond(sent).ok()),
            body: text("body")
                .ok_or_else(|| "it has no `body`".to_owned())
                .and_then(Body::parse),
        });
    }
    Ok(messages)
}

impl Body {
    /// Whatever is wrong with one message is no matter of the others.
    fn parse(body: &str) -> Result<Self, String> {
        match serde_json::from_str(body) {
            Ok(Event::Direct(direct)) => Ok(Self::Direct(direct)),
            Ok(Event::Object(object)) => Ok(Self::Object(object)),
            Ok(Event::Status(_) | Event::Batch(_)) => {
                Err("a message says what changed, and nothing else".to_owned())
            }
            Err(error) => Err(bounded(error, QUOTED)),
        }
    }
}

fn text<'a>(value: &'a Value, field: &str) -> Result<&'a str, String> {
    value
        .as_str()
        .ok_or_else(|| format!("field `{field}` is {}, not a text", shown(value)))
}

fn flag(fields: &Fields, name: &str) -> Result<bool, String> {
    match fields.get(name) {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(other) => Err(format!(
            "field `{name}` is {}, and is true or false",
            shown(other)
        )),
    }
}

fn name(monitor: &Value) -> Result<String, String> {
    let name = text(monitor, "monitor")?;
    if is_name(name) {
        return Ok(name.to_owned());
    }
    let rule = "up to 64 lower-case letters, digits and hyphens, and no hyphen first";
    Err(format!(
        "field `monitor`: {:?} is not a monitor's name, which has {rule}",
        shown(name)
    ))
}

/// As versions of monitors are: they come into logs and into hashes, so short and plain is enough.
fn version(value: &Value) -> Result<String, String> {
    let version = text(value, "version")?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte);
    if (1..=128).contains(&version.len()) && version.bytes().all(plain) {
        return Ok(version.to_owned());
    }
    Err(format!(
        "field `version`: {:?} is not 1 to 128 letters, digits and `._+-`",
        shown(version)
    ))
}

fn domain(value: Option<&Value>) -> Result<Domain, String> {
    let value = value.ok_or("field `domain` is missing beside `paths`")?;
    let domain = text(value, "domain")?.parse();
    domain.map_err(|error: InvalidDomain| format!("field `domain`: {error}"))
}

fn items(value: &Value) -> Result<Vec<Item>, String> {
    let most = MAX_EXACT + MAX_WILDCARDS;
    let paths = value
        .as_array()
        .ok_or_else(|| format!("field `paths` is {}, not a list", shown(value)))?;
    if paths.is_empty() || paths.len() > most {
        let count = paths.len();
        return Err(format!(
            "field `paths` has {count} paths; give 1 to {most}, or wildcards for them"
        ));
    }
    let mut items = Vec::with_capacity(paths.len());
    let mut rejected: Vec<Rejected> = Vec::new();
    for path in paths {
        match Item::parse(text(path, "paths")?) {
            Ok(item) => items.extend(item.spellings()),
            Err(why) => rejected.push(why),
        }
    }
    if rejected.is_empty() {
        return Ok(items);
    }
    let told: Vec<_> = rejected
        .iter()
        .take(TOLD)
        .map(Rejected::to_string)
        .collect();
    let more = rejected.len().saturating_sub(TOLD);
    let more = if more > 0 {
        format!("; and {more} more")
    } else {
        String::new()
    };
    Err(format!("field `paths`: {}{more}", told.join("; ")))
}

/// Whether a text may be an id of `CloudFront`'s: it becomes part of a URL.
pub(crate) fn is_id(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn id(status: &Value, name: &str) -> Result<String, String> {
    let Value::Object(fields) = status else {
        return Err(format!(
            "field `status` is {}, not an object",
            shown(status)
        ));
    };
    no_others(
        fields,
        &["distribution_id", "invalidation_id"],
        "has `distribution_id` and `invalidation_id` in its `status`",
    )?;
    let value = fields
        .get(name)
        .ok_or_else(|| format!("field `status.{name}` is missing"))?;
    let id = text(value, &format!("status.{name}"))?;
    if is_id(id) {
        return Ok(id.to_owned());
    }
    Err(format!(
        "field `status.{name}`: {:?} is no id, which has letters and digits only",
        shown(id)
    ))
}

#[cfg(test)]
mod tests;
