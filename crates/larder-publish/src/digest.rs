//! What a file is, by its bytes: hashed as it is read, so that a program of 256 MiB takes no more memory than one of one.

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, Read},
    path::Path,
};

use aws_lc_rs::digest::{Context, SHA256};
use md5::{Digest as _, Md5};

/// How much is read at once.
const CHUNK: usize = 256 * 1024;

/// What a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digests {
    /// Its SHA-256 in hexadecimal digits.
    pub sha256: String,
    /// Its MD5 likewise, which is what S3 calls most objects' bytes by; nothing is believed because of it.
    pub md5: Option<String>,
    /// Its bytes.
    pub size: u64,
}

/// A SHA-256 of what is given bit by bit.
pub(crate) struct Sha256(Context);

impl Sha256 {
    pub(crate) fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn finish(self) -> String {
        hex(self.0.finish().as_ref())
    }
}

/// The SHA-256 of `bytes` in hexadecimal digits.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    larder_artifact::Sha256::of(bytes).to_string()
}

/// What the file at `path` is, with its MD5 if that is wanted: it takes the longer of the two.
pub(crate) fn of_file(path: &Path, with_md5: bool) -> io::Result<Digests> {
    of(File::open(path)?, with_md5)
}

fn of(mut from: impl Read, with_md5: bool) -> io::Result<Digests> {
    let mut sha256 = Sha256::new();
    let mut md5 = with_md5.then(Md5::new);
    let mut size = 0_u64;
    let mut chunk = vec![0; CHUNK];
    loop {
        let count = match from.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let read = chunk.get(..count).unwrap_or_default();
        sha256.update(read);
        if let Some(md5) = &mut md5 {
            md5.update(read);
        }
        size += u64::try_from(count).unwrap_or(u64::MAX);
    }
    Ok(Digests {
        sha256: sha256.finish(),
        md5: md5.map(|md5| hex(&md5.finalize())),
        size,
    })
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_hashes_are_of_all_bytes() {
        let digests = of(&b"abc"[..], true).unwrap();
        // FIPS 180-2, appendix B.1; RFC 1321, A.5.
        assert_eq!(
            digests.sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(
            digests.md5.as_deref(),
            Some("900150983cd24fb0d6963f7d28e17f72")
        );
        assert_eq!(digests.size, 3);
        let long = vec![7_u8; CHUNK * 2 + 1];
        let digests = of(long.as_slice(), false).unwrap();
        assert_eq!((digests.sha256, digests.md5), (sha256(&long), None));
    }
}
