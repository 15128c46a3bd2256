//! An entry as an object that people can read: the value is the body, the rest is user metadata.
//!
//! | metadata | what |
//! |---|---|
//! | `expires-at` | until when it is fresh, RFC 3339, UTC |
//! | `larder-schema` | the schema's fingerprint, 16 hexadecimal digits |
//! | `larder-life` | created, fresh until, revalidate until, stale until: milliseconds; microseconds to load; 1 if there is no value |
//! | `larder-tags` | the tags' hashes, 16 hexadecimal digits each |
//! | `larder-form` | `sealed`, or `packed and sealed`: then the body is encrypted |
//! | `larder-etag` | the origin's `ETag`, percent-encoded |

use std::{collections::HashMap, fmt::Write as _, time::Duration};

use aws_sdk_s3::{
    operation::get_object::GetObjectOutput,
    primitives::{ByteStreamError, DateTime, DateTimeFormat},
};

use crate::{
    clock::WallMillis,
    frame::{Frame, MAX_PAYLOAD, schema_of},
    key::{decode, encode},
    life::Life,
    pack::unpack,
};

/// All metadata of an object together may have so many bytes ("Working with object metadata").
const MAX_METADATA: usize = 2_048;

/// An object, or what is known of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Object {
    pub(super) etag: Option<String>,
    pub(super) metadata: HashMap<String, String>,
    pub(super) body: Vec<u8>,
}

impl Object {
    /// Reads what S3 sends, as long as it is no larger than an entry may be.
    pub(super) async fn read(output: GetObjectOutput) -> Result<Self, ByteStreamError> {
        let mut body = Vec::new();
        let mut stream = output.body;
        while let Some(chunk) = stream.try_next().await? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_PAYLOAD {
                // No entry: nothing that it could be is so large.
                body.clear();
                break;
            }
        }
        Ok(Self {
            etag: output.e_tag,
            metadata: output.metadata.unwrap_or_default(),
            body,
        })
    }

    /// The object of a frame; `None` where it has none, since its metadata would be too large.
    pub(super) fn of_frame(bytes: &[u8]) -> Option<Self> {
        let frame = Frame::decode(bytes, schema_of(bytes)?).ok()?;
        let life = &frame.life;
        // What is sealed nobody can read, so it stays as it is.
        let body = if frame.packed && !frame.sealed {
            unpack(frame.payload)?.into_owned()
        } else {
            frame.payload.to_vec()
        };
        let form = match (frame.sealed, frame.packed) {
            (false, _) => "",
            (true, false) => "sealed",
            (true, true) => "packed and sealed",
        };
        let seconds = life.fresh_until.get() / 1_000;
        let expires = DateTime::from_secs(i64::try_from(seconds).ok()?);
        let mut etag = String::new();
        encode(frame.etag.unwrap_or_default().as_bytes(), &mut etag);
        let mut tags = String::new();
        for tag in &frame.tags {
            let _ = write!(tags, "{tag:016x}");
        }
        let times: Vec<_> = life
            .times()
            .iter()
            .map(|time| time.get().to_string())
            .collect();
        let life = format!(
            "{} {} {}",
            times.join(" "),
            life.load_cost.as_micros(),
            u8::from(life.negative)
        );
        let metadata: HashMap<_, _> = [
            ("expires-at", expires.fmt(DateTimeFormat::DateTime).ok()?),
            ("larder-schema", format!("{:016x}", frame.schema)),
            ("larder-life", life),
            ("larder-tags", tags),
            ("larder-etag", etag),
            ("larder-form", form.to_owned()),
        ]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        let size: usize = metadata
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        (size <= MAX_METADATA).then_some(Self {
            etag: None,
            metadata,
            body,
        })
    }

    /// The bytes of an object's frame; of what is no entry, bytes that are no frame. `None` where it is dead at
    /// `now`.
    pub(super) fn into_frame(self, now: WallMillis) -> Option<Vec<u8>> {
        let life = self.life();
        if life.is_some_and(|life| life.stale_until <= now) {
            return None;
        }
        let frame = life.and_then(|life| self.frame(life));
        Some(frame.unwrap_or_default())
    }

    fn frame(&self, life: Life) -> Option<Vec<u8>> {
        let field = |name: &str| self.metadata.get(name).map(String::as_str);
        let tags = field("larder-tags").unwrap_or_default().as_bytes();
        let (tags, rest) = tags.as_chunks::<16>();
        let tag = |digits: &[u8; 16]| {
            let digits = std::str::from_utf8(digits).ok()?;
            u64::from_str_radix(digits, 16).ok()
        };
        if !rest.is_empty() {
            return None;
        }
        let etag = decode(field("larder-etag").unwrap_or_default())?;
        let frame = Frame {
            schema: u64::from_str_radix(field("larder-schema")?, 16).ok()?,
            life,
            tags: tags.iter().map(tag).collect::<Option<_>>()?,
            etag: Some(etag.as_str()).filter(|etag| !etag.is_empty()),
            packed: field("larder-form") == Some("packed and sealed"),
            sealed: field("larder-form").is_some(),
            payload: &self.body,
        };
        frame.encode().ok()
    }

    fn life(&self) -> Option<Life> {
        let text = self.metadata.get("larder-life")?;
        let mut numbers = text.split(' ').map(|number| number.parse::<u64>().ok());
        let mut next = || numbers.next().flatten();
        let mut moment = || next().map(WallMillis::new);
        let life = Life {
            created: moment()?,
            fresh_until: moment()?,
            revalidate_until: moment()?,
            stale_until: moment()?,
            load_cost: Duration::from_micros(next()?),
            negative: next()? == 1,
        };
        life.is_in_order().then_some(life)
    }

    /// When its load began, if it is an entry.
    pub(super) fn created(&self) -> Option<WallMillis> {
        self.life().map(|life| life.created)
    }
}
