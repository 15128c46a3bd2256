//! Keys in memory: as they are kept, and as they are looked for, which takes no copy of them.

use std::hash::{Hash, Hasher};

use quick_cache::Equivalent;

use crate::key::{Key, KeyWriter, length};

/// A key as it is kept, with its hash: small, so that a hit touches few lines of the processor's cache.
pub(super) struct Stored {
    pub(super) hash: u64,
    pub(super) schema: u64,
    pub(super) parts: Box<[u8]>,
}

impl PartialEq for Stored {
    fn eq(&self, other: &Self) -> bool {
        (self.schema, &self.parts) == (other.schema, &other.parts)
    }
}

impl Eq for Stored {}

impl Hash for Stored {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// A key that is looked for.
pub(super) struct Sought<'a, K: ?Sized> {
    pub(super) hash: u64,
    pub(super) schema: u64,
    pub(super) key: &'a K,
}

impl<K: ?Sized> Hash for Sought<'_, K> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl<K: Key + ?Sized> Equivalent<Stored> for Sought<'_, K> {
    #[inline]
    fn equivalent(&self, stored: &Stored) -> bool {
        self.schema == stored.schema && Comparing::is_equal(self.key, &stored.parts)
    }
}

/// Hashes a key as it writes itself: all its parts as one, since those that differ only in where they part are
/// told apart when they are compared.
pub(super) struct Hashing<H>(pub(super) H);

impl<H: Hasher> KeyWriter for Hashing<H> {
    #[inline]
    fn bytes(&mut self, part: &[u8]) -> &mut Self {
        self.0.write(part);
        self
    }
}

/// Compares a key, as it writes itself, with the parts of another.
struct Comparing<'a> {
    rest: &'a [u8],
    equal: bool,
}

impl<'a> Comparing<'a> {
    /// Whether `key` has these parts, as a [`Stored`] key keeps them.
    #[inline]
    fn is_equal(key: &(impl Key + ?Sized), parts: &'a [u8]) -> bool {
        let mut comparing = Self {
            rest: parts,
            equal: true,
        };
        key.write(&mut comparing);
        comparing.equal && comparing.rest.is_empty()
    }
}

impl KeyWriter for Comparing<'_> {
    #[inline]
    fn bytes(&mut self, part: &[u8]) -> &mut Self {
        let rest = self.rest.strip_prefix(&length(part).to_le_bytes());
        match rest.and_then(|rest| rest.strip_prefix(part)) {
            Some(rest) => self.rest = rest,
            None => self.equal = false,
        }
        self
    }
}
