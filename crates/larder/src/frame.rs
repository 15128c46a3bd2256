//! How an entry is written wherever bytes are kept: one frame, checked as a whole.
//!
//! All numbers are little-endian. A frame has 72 bytes more than its payload, tags and `ETag`.
//!
//! | at | bytes | what |
//! |---:|---:|---|
//! | 0 | 4 | `LRDR` |
//! | 4 | 1 | the format's version, 1 |
//! | 5 | 1 | flags; 1: there is no value, and this says so; 2: the payload is [packed](crate::frame::Frame::packed); 4: it is [sealed](crate::frame::Frame::sealed) |
//! | 6 | 2 | how many tags |
//! | 8 | 8 | the schema's fingerprint: what type the payload is, and in which edition |
//! | 16 | 8 | written, milliseconds since 1970 |
//! | 24 | 8 | fresh until |
//! | 32 | 8 | served stale and refreshed beside until |
//! | 40 | 8 | may stand in for a failed load until |
//! | 48 | 8 | microseconds that it took to load |
//! | 56 | 4 | bytes of the payload |
//! | 60 | 2 | bytes of the `ETag`; 0 for none |
//! | 62 | 2 | 0 |
//! | 64 | 8 each | hashes of the tags |
//! | then | | the `ETag`, the payload |
//! | last | 8 | XXH3-64 of all before |
//!
//! The checksum finds what was torn or rotted. It is no signature: whoever may write into a tier may
//! write a frame that is right.

use std::time::Duration;

use twox_hash::XxHash3_64;

use crate::{clock::WallMillis, life::Life};

const MAGIC: [u8; 4] = *b"LRDR";
const VERSION: u8 = 1;
const NEGATIVE: u8 = 1;
const PACKED: u8 = 2;
const SEALED: u8 = 4;
const TAGS_AT: usize = 6;
const SCHEMA_AT: usize = 8;
const CREATED_AT: usize = 16;
const HEADER: usize = 64;
const CHECKSUM: usize = 8;

/// The most tags that an entry may have.
pub const MAX_TAGS: usize = 64;

/// The longest `ETag`, in bytes.
pub const MAX_ETAG: usize = 1024;

/// The largest payload, in bytes: what fits in no tier but S3, and in no function's memory twice.
pub const MAX_PAYLOAD: usize = 256 << 20;

/// An entry, as it is written and read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The fingerprint of its payload's type.
    pub schema: u64,
    /// Its deadlines, and whether it says that there is no value.
    pub life: Life,
    /// Hashes of its tags.
    pub tags: Vec<u64>,
    /// What the origin called this version of it, for a conditional request.
    pub etag: Option<&'a str>,
    /// Whether the payload is compressed: its length in four bytes, then an LZ4 block.
    pub packed: bool,
    /// Whether the payload is encrypted, after it was packed.
    pub sealed: bool,
    /// The encoded value; empty where there is none.
    pub payload: &'a [u8],
}

/// An entry that has no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooLarge {
    /// More than [`MAX_TAGS`].
    #[error("it has {0} tags, and {MAX_TAGS} is the most")]
    Tags(usize),
    /// More than [`MAX_ETAG`].
    #[error("its ETag has {0} bytes, and {MAX_ETAG} is the most")]
    Etag(usize),
    /// More than [`MAX_PAYLOAD`].
    #[error("it has {0} bytes, and {MAX_PAYLOAD} is the most")]
    Payload(usize),
}

/// Bytes that are no entry of this keyspace: a miss, and worth a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undecodable {
    /// Not a frame at all.
    #[error("it is no entry")]
    Foreign,
    /// A frame of another version of this format.
    #[error("it has version {0} of the format, and {VERSION} is what is understood")]
    Version(u8),
    /// Torn, rotted or cut short.
    #[error("its checksum is wrong")]
    Corrupt,
    /// A payload of another type, or of another edition of it.
    #[error("its schema is {found:016x}, and {expected:016x} is expected")]
    Schema {
        /// What was asked for.
        expected: u64,
        /// What it has.
        found: u64,
    },
    /// Whole, and yet nothing that this writes: deadlines out of order, lengths that do not add up.
    #[error("it was written by something else")]
    Malformed,
}

impl Frame<'_> {
    /// How many bytes it takes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let etag = self.etag.map_or(0, str::len);
        HEADER + self.tags.len() * size_of::<u64>() + etag + self.payload.len() + CHECKSUM
    }

    /// Writes it.
    pub fn encode(&self) -> Result<Vec<u8>, TooLarge> {
        let etag = self.etag.unwrap_or_default();
        let tags = within(self.tags.len(), MAX_TAGS, TooLarge::Tags)?;
        let etag_len = within(etag.len(), MAX_ETAG, TooLarge::Etag)?;
        let payload_len = within(self.payload.len(), MAX_PAYLOAD, TooLarge::Payload)?;
        let life = &self.life;
        let cost = u64::try_from(life.load_cost.as_micros()).unwrap_or(u64::MAX);

        let mut out = Vec::with_capacity(self.encoded_len());
        out.extend_from_slice(&MAGIC);
        out.push(VERSION);
        let negative = if life.negative { NEGATIVE } else { 0 };
        let packed = if self.packed { PACKED } else { 0 };
        out.push(negative | packed | if self.sealed { SEALED } else { 0 });
        out.extend_from_slice(&u16::to_le_bytes(tags));
        for number in [
            self.schema,
            life.created.get(),
            life.fresh_until.get(),
            life.revalidate_until.get(),
            life.stale_until.get(),
            cost,
        ] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&u32::to_le_bytes(payload_len));
        out.extend_from_slice(&u16::to_le_bytes(etag_len));
        out.extend_from_slice(&[0; 2]);
        for tag in &self.tags {
            out.extend_from_slice(&tag.to_le_bytes());
        }
        out.extend_from_slice(etag.as_bytes());
        out.extend_from_slice(self.payload);
        let checksum = XxHash3_64::oneshot(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        Ok(out)
    }
}

impl<'a> Frame<'a> {
    /// Reads an entry of the given schema from bytes that anybody may have written.
    pub fn decode(bytes: &'a [u8], schema: u64) -> Result<Self, Undecodable> {
        let mut header = Reader(bytes);
        if header.array() != Some(MAGIC) {
            return Err(Undecodable::Foreign);
        }
        let [version] = header.array().ok_or(Undecodable::Corrupt)?;
        // Before the checksum: another version may have another one.
        if version != VERSION {
            return Err(Undecodable::Version(version));
        }
        let body = checked(bytes).ok_or(Undecodable::Corrupt)?;
        let mut body = Reader(body);
        let _ = body.take(MAGIC.len() + 1);
        let frame = Self::read(&mut body).ok_or(Undecodable::Malformed)?;
        if frame.schema == schema {
            Ok(frame)
        } else {
            Err(Undecodable::Schema {
                expected: schema,
                found: frame.schema,
            })
        }
    }

    /// Reads what stands between version and checksum.
    fn read(from: &mut Reader<'a>) -> Option<Self> {
        let [flags] = from.array()?;
        let tags = usize::from(u16::from_le_bytes(from.array()?));
        let schema = from.number()?;
        let life = Life {
            created: from.moment()?,
            fresh_until: from.moment()?,
            revalidate_until: from.moment()?,
            stale_until: from.moment()?,
            load_cost: Duration::from_micros(from.number()?),
            negative: flags & NEGATIVE != 0,
        };
        let payload_len = usize::try_from(u32::from_le_bytes(from.array()?)).ok()?;
        let etag_len = usize::from(u16::from_le_bytes(from.array()?));
        let reserved: [u8; 2] = from.array()?;
        let known = flags <= PACKED | SEALED && flags & 3 != 3 && reserved == [0; 2];
        let bounded = tags <= MAX_TAGS && etag_len <= MAX_ETAG && payload_len <= MAX_PAYLOAD;
        if !(known && bounded && life.is_in_order()) {
            return None;
        }
        let tags = (0..tags).map(|_| from.number()).collect::<Option<_>>()?;
        let etag = std::str::from_utf8(from.take(etag_len)?).ok()?;
        let payload = from.take(payload_len)?;
        from.0.is_empty().then_some(Self {
            schema,
            life,
            tags,
            etag: (!etag.is_empty()).then_some(etag),
            packed: flags & PACKED != 0,
            sealed: flags & SEALED != 0,
            payload,
        })
    }
}

/// The tags of what may be a frame, without a look at anything else: for tiers that keep marks.
pub fn tags(bytes: &[u8]) -> impl Iterator<Item = u64> {
    let many = Reader(bytes.get(TAGS_AT..).unwrap_or_default()).array();
    let many = usize::from(many.map_or(0, u16::from_le_bytes)).min(MAX_TAGS);
    let (tags, _) = bytes.get(HEADER..).unwrap_or_default().as_chunks();
    tags.iter().take(many).map(|tag| u64::from_le_bytes(*tag))
}

/// When what may be a frame was written.
#[must_use]
pub fn created(bytes: &[u8]) -> Option<WallMillis> {
    let at = Reader(bytes.get(CREATED_AT..)?).number()?;
    Some(WallMillis::new(at))
}

/// The schema of what may be a frame.
#[must_use]
pub fn schema_of(bytes: &[u8]) -> Option<u64> {
    Reader(bytes.get(SCHEMA_AT..)?).number()
}

/// When the load of what may be a frame began, and until when it is fresh.
#[must_use]
pub fn times(bytes: &[u8]) -> Option<(WallMillis, WallMillis)> {
    let mut from = Reader(bytes.get(CREATED_AT..)?);
    Some((from.moment()?, from.moment()?))
}

/// `len` as the number that it is written as, if it is within `most`.
fn within<N: TryFrom<usize>>(
    len: usize,
    most: usize,
    too_large: fn(usize) -> TooLarge,
) -> Result<N, TooLarge> {
    let bounded = Some(len).filter(|len| *len <= most);
    bounded
        .and_then(|len| N::try_from(len).ok())
        .ok_or(too_large(len))
}

/// What the checksum covers, if it is right.
fn checked(bytes: &[u8]) -> Option<&[u8]> {
    let (body, checksum) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM)?)?;
    let checksum = u64::from_le_bytes(checksum.try_into().ok()?);
    (XxHash3_64::oneshot(body) == checksum).then_some(body)
}

/// Takes bytes from the front, as long as there are any.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn number(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn moment(&mut self) -> Option<WallMillis> {
        self.number().map(WallMillis::new)
    }
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
