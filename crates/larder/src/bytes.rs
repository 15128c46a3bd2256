//! Bytes that need no allocation as long as they are few.

use std::{
    hash::{Hash, Hasher},
    ops::Deref,
};

/// How many bytes of a key need no allocation.
const INLINE: usize = 72;

/// Bytes, few of them in place.
#[derive(Clone, Debug)]
pub(crate) enum Bytes {
    Inline { len: u8, bytes: [u8; INLINE] },
    Heap(Vec<u8>),
}

impl Bytes {
    /// None yet.
    pub(crate) const EMPTY: Self = Self::Inline {
        len: 0,
        bytes: [0; INLINE],
    };

    /// Adds some.
    #[inline]
    pub(crate) fn push(&mut self, more: &[u8]) {
        match self {
            Self::Inline { len, bytes } => {
                let from = usize::from(*len);
                if let Some(room) = bytes.get_mut(from..from + more.len()) {
                    room.copy_from_slice(more);
                    // It fits, so it is less than 256.
                    *len = u8::try_from(from + more.len()).unwrap_or(u8::MAX);
                } else {
                    let mut heap = Vec::with_capacity(2 * (from + more.len()));
                    heap.extend_from_slice(bytes.get(..from).unwrap_or_default());
                    heap.extend_from_slice(more);
                    *self = Self::Heap(heap);
                }
            }
            Self::Heap(bytes) => bytes.extend_from_slice(more),
        }
    }
}

impl Deref for Bytes {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Self::Inline { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Self::Heap(bytes) => bytes,
        }
    }
}

impl PartialEq for Bytes {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Bytes {}

impl Hash for Bytes {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_the_same_whether_they_fit_or_not() {
        let mut bytes = Bytes::EMPTY;
        let mut expected = Vec::new();
        for n in 0..100_u8 {
            let more = vec![n; usize::from(n % 7)];
            bytes.push(&more);
            expected.extend(more);
            assert_eq!(*bytes, *expected);
        }
        assert!(matches!(bytes, Bytes::Heap(_)));
    }
}
