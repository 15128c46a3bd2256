//! The cache-info file beside a binary: what was verified, and when the source last confirmed it.

use std::path::Path;

use jiff::{Timestamp, fmt::temporal::DateTimePrinter};
use serde::{Deserialize, Serialize};

use crate::{
    digest::Sha256,
    disk::{self, Staged},
    error::Error,
    metadata::Release,
    trust::Proof,
};

/// More than any such file has; what is longer is not ours.
const MAX_BYTES: u64 = 256 * 1024;

/// The file's content. The first five keys are the format that other readers know; they stay as
/// they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Fields")]
pub struct CacheInfo {
    /// The release's version.
    pub version: String,
    /// SHA-256 of the binary, 64 hexadecimal digits.
    pub sha256: String,
    /// Bytes of the binary.
    #[serde(rename = "binarySize")]
    pub binary_size: u64,
    /// When it was downloaded, seconds since 1970.
    pub cached_at: f64,
    /// The same as RFC 3339 text in UTC. Older writers left the `Z` out; nothing here depends on
    /// it.
    pub cache_date: String,
    /// When the source last said that this is the newest, seconds since 1970. Without it,
    /// `cached_at` counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed_at: Option<f64>,
    /// The signed text and its signature, so that another process can verify them without the
    /// source.
    #[serde(flatten)]
    pub(crate) proof: Option<Proof>,
}

/// The same as it is read. No `flatten`, which reads the fields of other programs through, and fails
/// where it cannot.
#[derive(Deserialize)]
struct Fields {
    version: String,
    sha256: String,
    #[serde(rename = "binarySize")]
    binary_size: u64,
    cached_at: f64,
    cache_date: String,
    confirmed_at: Option<f64>,
    signed: Option<String>,
    sig: Option<String>,
}

impl From<Fields> for CacheInfo {
    fn from(fields: Fields) -> Self {
        let proof = fields.signed.zip(fields.sig);
        Self {
            version: fields.version,
            sha256: fields.sha256,
            binary_size: fields.binary_size,
            cached_at: fields.cached_at,
            cache_date: fields.cache_date,
            confirmed_at: fields.confirmed_at,
            proof: proof.map(|(signed, sig)| Proof { signed, sig }),
        }
    }
}

impl CacheInfo {
    /// What to write for `release`, downloaded at `now`.
    pub(crate) fn new(release: &Release, now: Timestamp) -> Self {
        Self {
            version: release.version.clone(),
            sha256: release.sha256.to_string(),
            binary_size: release.size,
            cached_at: now.as_duration().as_secs_f64(),
            cache_date: DateTimePrinter::new()
                .precision(Some(0))
                .timestamp_to_string(&now),
            confirmed_at: Some(now.as_duration().as_secs_f64()),
            proof: release
                .signature
                .as_ref()
                .map(|signed| signed.proof.clone()),
        }
    }

    /// Reads a file's content, from bytes that anybody may have written.
    pub fn parse(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json)
    }

    /// Replaces the file at `path` in one step. No fsync: the disk of a Lambda environment dies with
    /// it, and a torn file reads as unreadable, which costs a download and no more.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Error> {
        use std::io::Write as _;
        let json =
            serde_json::to_vec(self).map_err(|error| Error::disk("write", path)(error.into()))?;
        let mut staged = Staged::private(path)?;
        staged
            .write_all(&json)
            .map_err(Error::disk("write", path))?;
        staged.install().map(drop)
    }

    /// The digest, if it is one.
    pub(crate) fn digest(&self) -> Option<Sha256> {
        self.sha256.parse().ok()
    }

    /// When the source last confirmed it, in seconds since 1970.
    pub(crate) fn confirmed_at(&self) -> f64 {
        self.confirmed_at.unwrap_or(self.cached_at)
    }
}

/// What lies where the info file should.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum OnDisk {
    Missing,
    Unreadable,
    Info(Box<CacheInfo>),
}

impl OnDisk {
    pub(crate) fn read(path: &Path) -> Self {
        let read = || -> std::io::Result<Vec<u8>> {
            use std::io::Read as _;
            let mut json = Vec::new();
            disk::open(path)?.take(MAX_BYTES).read_to_end(&mut json)?;
            Ok(json)
        };
        match read() {
            Ok(json) => {
                CacheInfo::parse(&json).map_or(Self::Unreadable, |info| Self::Info(Box::new(info)))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Self::Missing,
            Err(_) => Self::Unreadable,
        }
    }

    pub(crate) fn info(self) -> Option<CacheInfo> {
        match self {
            Self::Info(info) => Some(*info),
            Self::Missing | Self::Unreadable => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn seed_example() -> Value {
        json!({
            "version": "2025.08.31.200811-da23b42",
            "sha256": "95405db6c7269221f529ea541494595c5d4d820b7946441fce425a13208f83b1",
            "binarySize": 30_256_930,
            "cached_at": 1_693_507_200.0,
            "cache_date": "2025-08-31T20:08:14Z",
        })
    }

    #[test]
    fn the_five_keys_alone_are_read_and_written_as_they_were() {
        let info = CacheInfo::parse(seed_example().to_string().as_bytes()).unwrap();
        assert_eq!(info.confirmed_at().to_bits(), 1_693_507_200.0_f64.to_bits());
        assert_eq!(serde_json::to_value(&info).unwrap(), seed_example());
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_as_it_was(cached_at: f64, confirmed_at: Option<f64>) {
            prop_assume!(cached_at.is_finite() && confirmed_at.is_none_or(f64::is_finite));
            let mut info = CacheInfo::parse(seed_example().to_string().as_bytes()).unwrap();
            (info.cached_at, info.confirmed_at) = (cached_at, confirmed_at);
            let written = serde_json::to_vec(&info).unwrap();
            prop_assert_eq!(CacheInfo::parse(&written).unwrap(), info);
        }
    }

    #[test]
    fn a_naive_date_is_read_and_more_keys_are_ignored() {
        let mut old = seed_example();
        old["cache_date"] = "2025-08-31T20:08:14.123456".into();
        old["note"] = "from another writer".into();
        CacheInfo::parse(old.to_string().as_bytes()).unwrap();
    }

    #[test]
    fn keys_of_other_programs_may_hold_anything() {
        let info = seed_example().to_string();
        let nested = format!("{}{}", "[".repeat(200), "]".repeat(200));
        for value in [r#""cut \ud83d""#, "1e999", nested.as_str()] {
            let more = info.replacen('{', &format!("{{\"note\":{value},"), 1);
            CacheInfo::parse(more.as_bytes()).unwrap();
        }
    }

    #[test]
    fn anything_else_is_unreadable_not_missing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache.json");
        assert_eq!(OnDisk::read(&path), OnDisk::Missing);
        for content in ["", "null", "{\"version\": 1}", "\u{0}\u{1}"] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(OnDisk::read(&path), OnDisk::Unreadable, "{content:?}");
        }
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", &path).unwrap();
        assert_eq!(
            OnDisk::read(&path),
            OnDisk::Unreadable,
            "a link leads anywhere"
        );
    }
}
