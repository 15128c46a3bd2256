//! Whether what lies on disk is what is wanted. Pure.

use crate::{info::OnDisk, metadata::Release};

/// Why a binary has to be downloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Nothing is there yet.
    FirstUse,
    /// The source has another version.
    VersionChanged,
    /// The source has the same version with other bytes.
    ChecksumChanged,
    /// The info file is there and the binary is not.
    FileMissing,
    /// The info file is missing or does not parse, though a binary is there.
    InfoUnreadable,
    /// The binary is not the one that was verified.
    FileChanged,
}

impl Reason {
    /// The reason in answers and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FirstUse => "first_use",
            Self::VersionChanged => "version_changed",
            Self::ChecksumChanged => "checksum_changed",
            Self::FileMissing => "file_missing",
            Self::InfoUnreadable => "info_unreadable",
            Self::FileChanged => "file_changed",
        }
    }
}

/// Compares what the info file says with `wanted`. `None` means that the binary is the wanted one
/// if its content is what the info file says, which remains to be seen.
pub(crate) fn compare(info: &OnDisk, file_exists: bool, wanted: &Release) -> Option<Reason> {
    let info = match info {
        OnDisk::Missing if !file_exists => return Some(Reason::FirstUse),
        OnDisk::Missing | OnDisk::Unreadable => return Some(Reason::InfoUnreadable),
        OnDisk::Info(info) => info,
    };
    if !file_exists {
        Some(Reason::FileMissing)
    } else if info.version != wanted.version {
        Some(Reason::VersionChanged)
    } else if info.digest() != Some(wanted.sha256) || info.binary_size != wanted.size {
        Some(Reason::ChecksumChanged)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use url::Url;

    use super::*;
    use crate::{info::CacheInfo, metadata::Compression};

    fn release() -> Release {
        Release {
            version: "1.0".to_owned(),
            sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
                .parse()
                .unwrap(),
            size: 3,
            url: Url::parse("https://releases.example.com/tool-1.0").unwrap(),
            compression: Compression::None,
            signature: None,
        }
    }

    fn info(change: impl FnOnce(&mut CacheInfo)) -> OnDisk {
        let mut info = CacheInfo::new(&release(), Timestamp::UNIX_EPOCH);
        change(&mut info);
        OnDisk::Info(Box::new(info))
    }

    #[test]
    fn every_state_of_the_disk_has_its_reason() {
        let unchanged = info(|_| ());
        let cases = [
            (OnDisk::Missing, false, Some(Reason::FirstUse)),
            (OnDisk::Missing, true, Some(Reason::InfoUnreadable)),
            (OnDisk::Unreadable, false, Some(Reason::InfoUnreadable)),
            (OnDisk::Unreadable, true, Some(Reason::InfoUnreadable)),
            (unchanged.clone(), false, Some(Reason::FileMissing)),
            (unchanged, true, None),
            (
                info(|info| info.version = "0.9".to_owned()),
                true,
                Some(Reason::VersionChanged),
            ),
            (
                info(|info| info.sha256 = info.sha256.replace("ba", "ab")),
                true,
                Some(Reason::ChecksumChanged),
            ),
            (
                info(|info| info.sha256.clear()),
                true,
                Some(Reason::ChecksumChanged),
            ),
            (
                info(|info| info.binary_size = 4),
                true,
                Some(Reason::ChecksumChanged),
            ),
            (info(|info| info.sha256.make_ascii_uppercase()), true, None),
        ];
        for (on_disk, file_exists, expected) in cases {
            assert_eq!(
                compare(&on_disk, file_exists, &release()),
                expected,
                "{on_disk:?} {file_exists}"
            );
        }
    }
}
