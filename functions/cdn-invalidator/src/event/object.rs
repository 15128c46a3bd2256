//! An object of S3's that has changed, as EventBridge tells of it.
//!
//! Format: "Event message structure" and "Mapping events" of Amazon S3's `EventBridge` events. Keys are as they are, not encoded as in S3's
//! own notifications.

use jiff::Timestamp;
use larder_lambda::event::{Fields, shown};
use serde_json::Value;

/// The longest key, in bytes ("Naming Amazon S3 objects").
const MAX_KEY: usize = 1_024;

/// An object that has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its bucket.
    pub bucket: String,
    /// Its key.
    pub key: String,
    /// What happened.
    pub change: Change,
    /// When, to the second.
    pub at: Option<Timestamp>,
    /// Tells this change from all others of the object, however often it is told.
    pub identity: String,
}

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was written, for the first time or anew.
    Created,
    /// It was deleted.
    Deleted,
    /// An old version of it was, or the mark that it is gone, by a rule of the bucket: what is served is the same as before.
    Pruned,
}

impl Object {
    pub(super) fn parse(event: &Fields) -> Result<Self, String> {
        let kind = event.get("detail-type").unwrap_or(&Value::Null);
        let source = event.get("source").and_then(Value::as_str);
        let change = match (kind.as_str(), source) {
            (Some("Object Created"), Some("aws.s3")) => Change::Created,
            (Some("Object Deleted"), Some("aws.s3")) => Change::Deleted,
            _ => {
                let kind = shown(kind);
                return Err(format!(
                    "field `detail-type` is {kind} from {}, which is neither \"Object Created\" nor \"Object Deleted\" of S3",
                    source.map_or_else(|| "nobody".to_owned(), shown)
                ));
            }
        };
        let detail = event.get("detail").unwrap_or(&Value::Null);
        let text = |pointer: &str| detail.pointer(pointer).and_then(Value::as_str);
        let needed = |pointer: &str| {
            let field = pointer.replace('/', ".");
            text(pointer)
                .filter(|text| !text.is_empty())
                .ok_or_else(|| format!("field `detail{field}` is missing"))
        };
        let change = match (
            change,
            text("/reason"),
            text("/deletion-type"),
            text("/object/version-id"),
        ) {
            (
                Change::Deleted,
                Some("Lifecycle Expiration"),
                Some("Permanently Deleted"),
                Some(_),
            ) => Change::Pruned,
            (change, ..) => change,
        };
        let (bucket, key) = (needed("/bucket/name")?, needed("/object/key")?);
        if bucket.len() > 63 || key.len() > MAX_KEY {
            return Err(
                "field `detail` has a bucket's name or a key that is longer than any".to_owned(),
            );
        }
        let id = event.get("id").and_then(Value::as_str).unwrap_or_default();
        // S3 gives each change of a key another sequencer; without one, the event's own id tells them apart.
        let which = text("/object/sequencer").unwrap_or(id);
        let what = text("/object/version-id").or_else(|| text("/object/etag"));
        Ok(Self {
            identity: format!(
                "{bucket}/{key} {change:?} {} {which}",
                what.unwrap_or_default()
            ),
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            change,
            at: event
                .get("time")
                .and_then(|time| time.as_str()?.parse().ok()),
        })
    }
}
