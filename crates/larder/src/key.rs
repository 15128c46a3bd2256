//! Keys: one builder for all tiers and all processes, so that what one writes another finds.
//!
//! `app:keyspace:schema:part:part…`. Every part is percent-encoded but for letters, digits, `.`, `_` and
//! `-`, so no part can reach into the next one, whatever it holds; and none is fit to be a path or a
//! pattern. Two different keys are never the same text.

use std::fmt::{self, Display, Write as _};

/// The longest key, in bytes: S3 has no room for more than 1,024, prefix included ("Naming Amazon S3
/// objects").
pub const MAX_KEY: usize = 512;

/// What a value is found by: something that has parts, each of which prints as what tells it apart.
///
/// Print ids, or hashes of what is personal: keys are in logs and in listings.
pub trait Key {
    /// Gives all parts, always as many.
    fn write(&self, to: &mut KeyWriter);
}

/// A key in the making.
#[derive(Clone, Debug)]
pub struct KeyWriter {
    text: String,
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

impl KeyWriter {
    /// What all keys of a keyspace in one schema begin with.
    pub(crate) fn new(app: &str, keyspace: &str, schema: u64) -> Self {
        let mut writer = Self {
            text: String::with_capacity(64),
        };
        encode(app, &mut writer.text);
        writer.part(keyspace).part(format_args!("{schema:016x}"));
        writer
    }

    /// Adds a part.
    pub fn part(&mut self, part: impl Display) -> &mut Self {
        self.text.push(':');
        // Writing to a string fails only where the part itself does.
        let _ = write!(Encoding(&mut self.text), "{part}");
        self
    }

    pub(crate) fn finish(self) -> Result<String, KeyTooLong> {
        let len = self.text.len();
        if len <= MAX_KEY {
            Ok(self.text)
        } else {
            Err(KeyTooLong { len })
        }
    }
}

/// Encodes what is printed to it.
struct Encoding<'a>(&'a mut String);

impl fmt::Write for Encoding<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        encode(text, self.0);
        Ok(())
    }
}

fn encode(text: &str, into: &mut String) {
    for byte in text.bytes() {
        match char::from(byte) {
            plain @ ('a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' | '-') => into.push(plain),
            _ => {
                let _ = write!(into, "%{byte:02X}");
            }
        }
    }
}

impl Key for str {
    fn write(&self, to: &mut KeyWriter) {
        to.part(self);
    }
}

impl Key for String {
    fn write(&self, to: &mut KeyWriter) {
        to.part(self);
    }
}

impl Key for u64 {
    fn write(&self, to: &mut KeyWriter) {
        to.part(self);
    }
}

impl<K: Key + ?Sized> Key for &K {
    fn write(&self, to: &mut KeyWriter) {
        (**self).write(to);
    }
}

impl<A: Key, B: Key> Key for (A, B) {
    fn write(&self, to: &mut KeyWriter) {
        self.0.write(to);
        self.1.write(to);
    }
}

impl<A: Key, B: Key, C: Key> Key for (A, B, C) {
    fn write(&self, to: &mut KeyWriter) {
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
        let mut writer = KeyWriter::new("larder", "reports", 0xabc);
        key.write(&mut writer);
        writer.finish()
    }

    #[test]
    fn a_key_is_plain_text_that_a_person_can_read() {
        let text = key(&("D05.SI", "2026-11-21", 7_u64)).unwrap();
        assert_eq!(text, "larder:reports:0000000000000abc:D05.SI:2026-11-21:7");
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

    proptest! {
        #[test]
        fn different_keys_are_different_texts(one: (String, String), other: (String, String)) {
            if let (Ok(first), Ok(second)) = (key(&one), key(&other)) {
                prop_assert_eq!(one == other, first == second);
                prop_assert!(first.bytes().all(|byte| byte.is_ascii_graphic()));
            }
        }
    }
}
