//! Keys: one builder for all tiers and all processes, so that what one writes another finds.
//!
//! As text, `app:keyspace:schema:part:part…`. Every part is percent-encoded but for letters, digits, `.`,
//! `_` and `-`, so no part can reach into the next one, whatever it holds; and none is fit to be a path or
//! a pattern. Two different keys are never the same text.
//!
//! In memory a key is its [`Ident`]: the parts as they are, behind their lengths. A hit in memory does not even make
//! that: it has the key write itself to a hasher, and then to what compares it with what lies there.

use std::fmt::{self, Display, Write as _};

use twox_hash::XxHash3_64;

use crate::bytes::Bytes;

/// The longest key, in bytes: S3 has no room for more than 1,024, prefix included ("Naming Amazon S3
/// objects").
pub const MAX_KEY: usize = 512;

/// What a value is found by: something that has parts, each of which prints as what tells it apart.
///
/// Print ids, or hashes of what is personal: keys are in logs and in listings.
///
/// ```
/// use larder::{Key, KeyWriter};
///
/// struct Report { ticker: String, day: u32 }
///
/// impl Key for Report {
///     fn write(&self, to: &mut impl KeyWriter) {
///         to.text(&self.ticker).part(self.day);
///     }
/// }
/// ```
pub trait Key {
    /// Gives all parts, always as many, and the same whenever it is asked.
    fn write(&self, to: &mut impl KeyWriter);
}

/// A key that is longer than [`MAX_KEY`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a key of {len} bytes is too long, {MAX_KEY} is the most: give an id, or a hash of what is long"
)]
pub struct KeyTooLong {
    /// Its length, encoded.
    pub len: usize,
}

/// How many bytes the length before each part takes.
const LENGTH: usize = size_of::<u32>();

/// What takes a key's parts.
pub trait KeyWriter {
    /// Adds a part, of any bytes.
    fn bytes(&mut self, part: &[u8]) -> &mut Self;

    /// Adds a part.
    #[inline]
    fn text(&mut self, part: &str) -> &mut Self {
        self.bytes(part.as_bytes())
    }

    /// Adds a part, as it prints.
    fn part(&mut self, part: impl Display) -> &mut Self {
        let mut printed = Bytes::EMPTY;
        // Writing to bytes fails only where the part itself does.
        let _ = write!(Appending(&mut printed), "{part}");
        self.bytes(&printed)
    }
}

/// Prints to the end of bytes.
struct Appending<'a>(&'a mut Bytes);

impl fmt::Write for Appending<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.push(text.as_bytes());
        Ok(())
    }
}

/// A key as it is told apart in this process.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Ident {
    schema: u64,
    /// Each part behind its length.
    parts: Bytes,
}

impl KeyWriter for Ident {
    fn bytes(&mut self, part: &[u8]) -> &mut Self {
        self.parts.push(&length(part).to_le_bytes());
        self.parts.push(part);
        self
    }
}

impl Key for Ident {
    #[inline]
    fn write(&self, to: &mut impl KeyWriter) {
        for (_, part) in Parts::of(&self.parts) {
            to.bytes(part);
        }
    }
}

/// The length of a part, as it stands before it.
#[inline]
pub(crate) fn length(part: &[u8]) -> u32 {
    u32::try_from(part.len()).unwrap_or(u32::MAX)
}

/// Hashes keys, seeded anew in every process.
#[cfg(feature = "memory")]
pub(crate) type KeyHasher = quick_cache::DefaultHashBuilder;
#[cfg(not(feature = "memory"))]
pub(crate) type KeyHasher = std::hash::RandomState;

impl Ident {
    pub(crate) fn new(schema: u64, key: &(impl Key + ?Sized)) -> Self {
        let mut ident = Self {
            schema,
            parts: Bytes::EMPTY,
        };
        key.write(&mut ident);
        ident
    }

    /// The schema of its keyspace.
    #[inline]
    pub(crate) const fn schema(&self) -> u64 {
        self.schema
    }

    /// The parts, each behind its length.
    #[inline]
    pub(crate) fn parts(&self) -> &[u8] {
        &self.parts
    }

    /// What it is called wherever bytes are kept, behind the [`prefix`] of its keyspace.
    pub(crate) fn text(&self, prefix: &str) -> Result<String, KeyTooLong> {
        let mut text = String::with_capacity(prefix.len() + 2 * self.parts.len());
        text.push_str(prefix);
        for (_, part) in Parts::of(self.parts()) {
            text.push(':');
            encode(part, &mut text);
        }
        match text.len() {
            ..=MAX_KEY => Ok(text),
            len => Err(KeyTooLong { len }),
        }
    }

    /// Hashes of all that it begins with, from none of its parts to all of them, whatever its schema
    /// is. `seed` tells keyspaces apart.
    pub(crate) fn prefixes(&self, seed: u64) -> impl Iterator<Item = u64> {
        let body = self.parts();
        let ends = std::iter::once(0).chain(Parts::of(body).map(|(end, _)| end));
        ends.map(move |end| {
            let prefix = body.get(..end).unwrap_or_default();
            XxHash3_64::oneshot_with_seed(seed, prefix)
        })
    }

    /// The hash of all its parts, whatever its schema is.
    pub(crate) fn parts_hash(&self, seed: u64) -> u64 {
        XxHash3_64::oneshot_with_seed(seed, self.parts())
    }
}

impl fmt::Debug for Ident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = Parts::of(self.parts()).map(|(_, part)| String::from_utf8_lossy(part));
        f.debug_list().entries(parts).finish()
    }
}

/// What the texts of all keys of a keyspace in one schema begin with.
pub(crate) fn prefix(app: &str, keyspace: &str, schema: u64) -> String {
    let mut prefix = String::with_capacity(64);
    encode(app.as_bytes(), &mut prefix);
    prefix.push(':');
    encode(keyspace.as_bytes(), &mut prefix);
    let _ = write!(prefix, ":{schema:016x}");
    prefix
}

/// The parts of a key, each with where it ends.
struct Parts<'a> {
    of: &'a [u8],
    at: usize,
}

impl<'a> Parts<'a> {
    fn of(of: &'a [u8]) -> Self {
        Self { of, at: 0 }
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = (usize, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (length, rest) = self.of.get(self.at..)?.split_at_checked(LENGTH)?;
        let length = u32::from_le_bytes(length.try_into().ok()?);
        let part = rest.get(..usize::try_from(length).ok()?)?;
        self.at += LENGTH + part.len();
        Some((self.at, part))
    }
}

/// Percent-encodes what stands in a key.
pub(crate) fn encode(bytes: &[u8], into: &mut String) {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let mut rest = bytes;
    while !rest.is_empty() {
        let plain = rest.iter().take_while(|byte| is_plain(byte)).count();
        let (run, other) = rest.split_at(plain);
        // All of it is ASCII.
        into.push_str(std::str::from_utf8(run).unwrap_or_default());
        if let Some(byte) = other.first() {
            let _ = write!(into, "%{byte:02X}");
        }
        rest = other.get(1..).unwrap_or_default();
    }
}

/// What [`encode`] was given, if it is text.
#[cfg(feature = "s3")]
pub(crate) fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'%' {
            let (digits, after) = after.split_at_checked(2)?;
            let digits = std::str::from_utf8(digits).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = after;
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

impl Key for str {
    #[inline]
    fn write(&self, to: &mut impl KeyWriter) {
        to.text(self);
    }
}

impl Key for String {
    #[inline]
    fn write(&self, to: &mut impl KeyWriter) {
        to.text(self);
    }
}

impl Key for u64 {
    #[inline]
    fn write(&self, to: &mut impl KeyWriter) {
        to.part(self);
    }
}

/// The only key of a keyspace that holds one value.
impl Key for () {
    #[inline]
    fn write(&self, _: &mut impl KeyWriter) {}
}

impl<K: Key + ?Sized> Key for &K {
    #[inline]
    fn write(&self, to: &mut impl KeyWriter) {
        (**self).write(to);
    }
}

impl<A: Key, B: Key> Key for (A, B) {
    #[inline]
    fn write(&self, to: &mut impl KeyWriter) {
        self.0.write(to);
        self.1.write(to);
    }
}

impl<A: Key, B: Key, C: Key> Key for (A, B, C) {
    #[inline]
    fn write(&self, to: &mut impl KeyWriter) {
        self.0.write(to);
        self.1.write(to);
        self.2.write(to);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(key: &impl Key) -> Result<String, KeyTooLong> {
        Ident::new(0xabc, key).text(&prefix("larder", "reports", 0xabc))
    }

    #[test]
    fn a_key_is_plain_text_that_a_person_can_read() {
        let text = key(&("D05.SI", "2026-11-21", 7_u64)).unwrap();
        assert_eq!(text, "larder:reports:0000000000000abc:D05.SI:2026-11-21:7");
        assert_eq!(key(&()).unwrap(), "larder:reports:0000000000000abc");
    }

    #[test]
    fn no_part_reaches_into_the_next_one_or_anywhere_else() {
        assert_ne!(key(&("a:b", "c")), key(&("a", "b:c")));
        assert_ne!(key(&("a", "")), key(&("", "a")));
        let hostile = key(&"../*?[x]\n%2E é").unwrap();
        assert!(
            hostile.ends_with(":..%2F%2A%3F%5Bx%5D%0A%252E%20%C3%A9"),
            "{hostile}"
        );
    }

    #[test]
    fn what_is_too_long_is_refused_and_not_cut() {
        assert!(key(&"x".repeat(MAX_KEY - 32)).is_ok());
        assert_eq!(
            key(&"x".repeat(MAX_KEY)),
            Err(KeyTooLong { len: MAX_KEY + 32 })
        );
    }

    #[test]
    fn a_key_lies_under_its_leading_parts_and_under_no_other() {
        let under = |key: &dyn Fn() -> Ident, prefix: Ident| {
            key().prefixes(1).any(|hash| hash == prefix.parts_hash(1))
        };
        let report = || Ident::new(7, &("D05.SI", "2026-11-21"));
        assert!(under(&report, Ident::new(0, &())));
        assert!(under(&report, Ident::new(0, &"D05.SI")));
        assert!(under(&report, report()));
        assert!(!under(&report, Ident::new(7, &"D05")));
        assert!(!under(&report, Ident::new(7, &"2026-11-21")));
        assert!(
            !report()
                .prefixes(2)
                .any(|hash| hash == report().parts_hash(1))
        );
    }

    proptest! {
        #[test]
        fn different_keys_are_different_texts_and_idents(one: (String, String), other: (String, String)) {
            prop_assert_eq!(one == other, Ident::new(1, &one) == Ident::new(1, &other));
            if let (Ok(first), Ok(second)) = (key(&one), key(&other)) {
                prop_assert_eq!(one == other, first == second);
                prop_assert!(first.bytes().all(|byte| byte.is_ascii_graphic()));
            }
        }
    }
}
