//! A hasher for what is a hash already: it is taken as it is.

use std::hash::Hasher;

use twox_hash::XxHash3_64;

#[derive(Default)]
pub(crate) struct Hashed(u64);

impl Hasher for Hashed {
    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }

    /// Nothing comes here but what is no hash; it is found all the same.
    fn write(&mut self, bytes: &[u8]) {
        self.0 = XxHash3_64::oneshot(bytes);
    }

    #[inline]
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
