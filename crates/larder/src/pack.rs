//! Compression: what is large is made smaller before it leaves the process.

use std::borrow::Cow;

#[cfg(feature = "lz4")]
use crate::frame::MAX_PAYLOAD;

/// What is smaller is sent faster than it is compressed.
#[cfg(feature = "lz4")]
const LEAST: usize = 4096;

/// A byte of an LZ4 block stands for 255 at most ("LZ4 Block Format Description").
#[cfg(feature = "lz4")]
const MOST_A_BYTE: usize = 255;

/// `payload` as it is written, and whether that is packed: not where it would save less than an eighth.
#[cfg(feature = "lz4")]
pub(crate) fn pack(payload: Vec<u8>) -> (Vec<u8>, bool) {
    if payload.len() < LEAST {
        return (payload, false);
    }
    let packed = lz4_flex::block::compress_prepend_size(&payload);
    if packed.len() < payload.len() / 8 * 7 {
        (packed, true)
    } else {
        (payload, false)
    }
}

/// The same, in a program that does not compress.
#[cfg(not(feature = "lz4"))]
pub(crate) fn pack(payload: Vec<u8>) -> (Vec<u8>, bool) {
    (payload, false)
}

/// What was packed; `None` if it is nothing that was.
#[cfg(feature = "lz4")]
pub(crate) fn unpack(payload: &[u8]) -> Option<Cow<'_, [u8]>> {
    let (len, block) = payload.split_first_chunk()?;
    let len = usize::try_from(u32::from_le_bytes(*len)).ok()?;
    // Before so much is allocated, whoever wrote it.
    if len > MAX_PAYLOAD || len > block.len().saturating_mul(MOST_A_BYTE) {
        return None;
    }
    let unpacked = lz4_flex::block::decompress(block, len).ok()?;
    (unpacked.len() == len).then_some(Cow::Owned(unpacked))
}

/// The same, in a program that cannot: a miss.
#[cfg(not(feature = "lz4"))]
pub(crate) fn unpack(_payload: &[u8]) -> Option<Cow<'_, [u8]>> {
    None
}

#[cfg(all(test, feature = "lz4"))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_large_gets_smaller_unless_it_cannot() {
        let text = b"the same again and ".repeat(1_000);
        let (packed, is_packed) = pack(text.clone());
        assert!(is_packed && packed.len() < text.len() / 10);
        assert_eq!(unpack(&packed).unwrap(), text);
        let noise: Vec<u8> = (0..10_000).map(|_| fastrand::u8(..)).collect();
        assert_eq!(pack(noise.clone()), (noise, false));
        assert!(!pack(vec![0; 100]).1, "too small");
    }

    #[test]
    fn a_length_that_cannot_be_is_refused_before_it_is_allocated() {
        let mut bytes = u32::MAX.to_le_bytes().to_vec();
        bytes.extend([0; 16]);
        assert_eq!(unpack(&bytes), None);
        let mut bytes = 4_081_u32.to_le_bytes().to_vec();
        bytes.extend([0; 16]);
        assert_eq!(unpack(&bytes), None);
        assert_eq!(unpack(&[]), None);
    }

    proptest! {
        #[test]
        fn whatever_it_is_given_it_does_not_fail_badly(bytes: Vec<u8>) {
            let _ = unpack(&bytes);
        }
    }
}
