//! SHA-256 that cannot be bypassed: what is written can be had back only once it has been checked.

use std::{
    fmt,
    io::{self, Read, Write},
    str::FromStr,
};

use aws_lc_rs::digest::{Context, SHA256};

/// How much is read at once when a file is hashed: past this, larger reads gain nothing measurable.
const CHUNK: usize = 256 * 1024;

/// A SHA-256 digest; prints and parses as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sha256([u8; 32]);

impl Sha256 {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut hash = Context::new(&SHA256);
        hash.update(bytes);
        Self::finish(hash)
    }

    fn finish(hash: Context) -> Self {
        let mut digest = [0; 32];
        digest.copy_from_slice(hash.finish().as_ref());
        Self(digest)
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a SHA-256 is 64 hexadecimal digits")]
pub struct NotADigest;

impl FromStr for Sha256 {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Self, NotADigest> {
        let mut digest = [0; 32];
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != digest.len() || !rest.is_empty() {
            return Err(NotADigest);
        }
        for (byte, [high, low]) in digest.iter_mut().zip(pairs) {
            *byte = hex(*high)
                .zip(hex(*low))
                .map(|(high, low)| high << 4 | low)
                .ok_or(NotADigest)?;
        }
        Ok(Self(digest))
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

/// Bytes that are not what was promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// Fewer or more bytes than the size says. Where there are more, they are not counted to the
    /// end.
    #[error("{got} bytes where the metadata says {expected}")]
    Size {
        /// What the metadata says.
        expected: u64,
        /// What came; one past `expected` where more than that came.
        got: u64,
    },
    /// The right number of other bytes.
    #[error("SHA-256 {got} where the metadata says {expected}")]
    Digest {
        /// What the metadata says.
        expected: Sha256,
        /// What came.
        got: Sha256,
    },
}

/// Writes through to `W`, hashing and counting; gives `W` back from [`Verifying::finish`] only, and
/// only if size and SHA-256 are right. It never writes more than the size it was given.
pub(crate) struct Verifying<W> {
    inner: W,
    hash: Context,
    size: u64,
    sha256: Sha256,
    written: u64,
}

impl<W: Write> Verifying<W> {
    pub(crate) fn new(inner: W, size: u64, sha256: Sha256) -> Self {
        Self {
            inner,
            hash: Context::new(&SHA256),
            size,
            sha256,
            written: 0,
        }
    }

    /// Tells a stream that was cut from a wrong one: fewer bytes than the size says, or exactly the right ones.
    pub(crate) fn is_beginning(&self) -> bool {
        self.written < self.size || Sha256::finish(self.hash.clone()) == self.sha256
    }

    pub(crate) fn finish(self) -> Result<W, Mismatch> {
        if self.written != self.size {
            return Err(Mismatch::Size {
                expected: self.size,
                got: self.written,
            });
        }
        let got = Sha256::finish(self.hash);
        if got == self.sha256 {
            Ok(self.inner)
        } else {
            Err(Mismatch::Digest {
                expected: self.sha256,
                got,
            })
        }
    }
}

impl<W: Write> Write for Verifying<W> {
    /// Fails with a [`Mismatch::Size`] inside an [`io::Error`] for a byte too many.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.size - self.written;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > room {
            return Err(io::Error::other(Mismatch::Size {
                expected: self.size,
                got: self.size.saturating_add(1),
            }));
        }
        let count = self.inner.write(bytes)?;
        let (taken, _) = bytes.split_at_checked(count).unwrap_or((bytes, &[]));
        self.hash.update(taken);
        self.written += u64::try_from(taken.len()).unwrap_or_default();
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Copies all of `from` into `to` in chunks of [`CHUNK`].
pub(crate) fn copy(mut from: impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        to.write_all(buffer.get(..count).unwrap_or_default())?;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// FIPS 180-4 examples: the empty message and "abc".
    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn verify(bytes: &[u8], size: u64, sha256: &str) -> Result<Vec<u8>, Mismatch> {
        let mut verifying = Verifying::new(Vec::new(), size, sha256.parse().unwrap());
        match verifying.write_all(bytes) {
            Ok(()) => verifying.finish(),
            Err(error) => Err(*error.get_ref().unwrap().downcast_ref::<Mismatch>().unwrap()),
        }
    }

    #[test]
    fn the_right_bytes_come_back() {
        assert_eq!(verify(b"abc", 3, ABC).unwrap(), b"abc");
        assert_eq!(verify(b"", 0, EMPTY).unwrap(), b"");
    }

    #[test]
    fn other_bytes_do_not() {
        assert!(matches!(
            verify(b"abd", 3, ABC),
            Err(Mismatch::Digest { .. })
        ));
        assert_eq!(
            verify(b"ab", 3, ABC),
            Err(Mismatch::Size {
                expected: 3,
                got: 2
            })
        );
        assert_eq!(
            verify(b"abcd", 3, ABC),
            Err(Mismatch::Size {
                expected: 3,
                got: 4
            })
        );
    }

    #[test]
    fn not_a_byte_more_than_the_size_is_written() {
        let mut verifying = Verifying::new(Vec::new(), 3, ABC.parse().unwrap());
        verifying.write_all(b"ab").unwrap();
        verifying.write_all(b"cd").unwrap_err();
        assert_eq!(verifying.inner, b"ab");
    }

    #[test]
    fn a_digest_is_64_hexadecimal_digits() {
        assert_eq!(
            ABC.to_uppercase().parse::<Sha256>().unwrap().to_string(),
            ABC
        );
        for wrong in [
            "",
            "ab",
            &ABC[1..],
            &format!("{ABC}0"),
            &ABC.replace('b', "g"),
            &"é".repeat(32),
        ] {
            assert_eq!(wrong.parse::<Sha256>(), Err(NotADigest), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..20)) {
            let whole = pieces.concat();
            let mut verifying = Verifying::new(Vec::new(), u64::try_from(whole.len()).unwrap(), Sha256::of(&whole));
            for piece in &pieces {
                verifying.write_all(piece).unwrap();
            }
            prop_assert_eq!(verifying.finish().unwrap(), whole);
        }
    }
}
