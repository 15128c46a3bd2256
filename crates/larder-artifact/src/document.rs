//! metadata.json as others write it. Each field is read when it is asked for, so that what belongs to
//! another reader, or to another machine's build, may be anything. Pure.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    io::{self, Read as _},
};

use flate2::read::MultiGzDecoder;
use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::value::RawValue;

use crate::{
    invalid_metadata::{InvalidMetadata, field},
    json,
    metadata::{Compression, MAX_BYTES},
};

/// What a gzip file begins with (RFC 1952, 2.3.1), and no JSON.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The text of metadata, unpacked, without a byte order mark.
#[derive(Clone, Debug)]
pub struct Document<'a>(Cow<'a, str>);

/// The fields of metadata, or of one of its `platforms`, none of which was read.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fields<'a> {
    #[serde(borrow)]
    version: Option<&'a RawValue>,
    #[serde(borrow)]
    platforms: Option<&'a RawValue>,
    #[serde(borrow, rename = "target_platform")]
    target_platform: Option<&'a RawValue>,
    #[serde(borrow)]
    download_url: Option<&'a RawValue>,
    #[serde(borrow)]
    sha256: Option<&'a RawValue>,
    #[serde(borrow)]
    binary_size: Option<&'a RawValue>,
    #[serde(borrow)]
    compression: Option<&'a RawValue>,
    #[serde(borrow)]
    signed: Option<&'a RawValue>,
    #[serde(borrow)]
    sig: Option<&'a RawValue>,
    #[serde(borrow)]
    build_time: Option<&'a RawValue>,
    #[serde(borrow)]
    git_commit: Option<&'a RawValue>,
    #[serde(borrow)]
    build_number: Option<&'a RawValue>,
}

/// One build, as metadata describes it. What is missing is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Build {
    /// `downloadUrl`.
    pub download_url: Option<String>,
    /// `sha256`, of the unpacked file.
    pub sha256: Option<String>,
    /// `binarySize`, of the unpacked file.
    pub binary_size: Option<u64>,
    /// `compression`.
    pub compression: Compression,
    /// `signed`.
    pub signed: Option<String>,
    /// `sig`.
    pub sig: Option<String>,
}

/// Origin of a build, which is there for people: text, or a number as it is written; anything else is
/// none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// `buildTime`.
    pub build_time: Option<String>,
    /// `gitCommit`.
    pub git_commit: Option<String>,
    /// `buildNumber`.
    pub build_number: Option<String>,
}

impl<'a> Document<'a> {
    /// Takes the bytes of metadata, which may be a gzip file. Fails where they are longer than metadata may
    /// be, unpacked too, or do not unpack.
    pub fn open(bytes: &'a [u8]) -> Result<Self, InvalidMetadata> {
        let too_long = InvalidMetadata::TooLong { max: MAX_BYTES };
        if bytes.len() > MAX_BYTES {
            return Err(too_long);
        }
        if !bytes.starts_with(&GZIP) {
            return Ok(Self(match String::from_utf8_lossy(bytes) {
                Cow::Borrowed(text) => mended(text),
                Cow::Owned(text) => Cow::Owned(mended(&text).into_owned()),
            }));
        }
        let mut unpacked = Vec::new();
        let most = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX);
        let mut unpacking = MultiGzDecoder::new(bytes).take(most.saturating_add(1));
        unpacking
            .read_to_end(&mut unpacked)
            .map_err(InvalidMetadata::Packed)?;
        if unpacked.len() > MAX_BYTES {
            return Err(too_long);
        }
        let text = String::from_utf8_lossy(&unpacked);
        Ok(Self(Cow::Owned(mended(&text).into_owned())))
    }

    /// Reads which fields there are. Fails if it is not one JSON object.
    pub fn fields(&self) -> Result<Fields<'_>, InvalidMetadata> {
        Ok(Fields::of(&self.0)?)
    }
}

/// The text as a strict reader takes it.
fn mended(text: &str) -> Cow<'_, str> {
    json::mend_surrogates(text.trim_start_matches(json::BYTE_ORDER_MARK))
}

/// Whether these bytes are the beginning of metadata, and their end is missing.
pub(crate) fn is_cut(bytes: &[u8]) -> bool {
    match Document::open(bytes) {
        Ok(document) => {
            serde_json::from_str::<IgnoredAny>(&document.0).is_err_and(|error| error.is_eof())
        }
        Err(InvalidMetadata::Packed(error)) => error.kind() == io::ErrorKind::UnexpectedEof,
        Err(_) => false,
    }
}

impl<'a> Fields<'a> {
    fn of(object: &'a str) -> serde_json::Result<Self> {
        // A list would be taken for the fields in their order.
        if object.trim_start().starts_with('[') {
            return Err(serde::de::Error::custom("a list, not an object"));
        }
        serde_json::from_str(object)
    }

    /// `version`.
    pub fn version(&self) -> Result<Option<String>, InvalidMetadata> {
        read("version", self.version, "a text")
    }

    /// `target_platform`.
    pub fn target_platform(&self) -> Result<Option<String>, InvalidMetadata> {
        read("target_platform", self.target_platform, "a text")
    }

    /// `platforms`, none of which was read.
    pub fn platforms(&self) -> Result<Option<BTreeMap<String, &'a RawValue>>, InvalidMetadata> {
        let wanted = "an object with a build for each platform";
        let builds = self.platforms.map(|builds| {
            serde_json::from_str(builds.get()).map_err(|_| unlike("platforms", builds, wanted))
        });
        builds.transpose()
    }

    /// The fields of one of `platforms`, which is called so.
    pub fn of_platform(platform: &str, build: &'a RawValue) -> Result<Self, InvalidMetadata> {
        let object = build.get();
        let problem = || {
            let said = json::shown(object);
            field(
                "platforms",
                format!("has {said} for {platform}, not a build"),
            )
        };
        Self::of(object).map_err(|_| problem())
    }

    /// The fields that describe a build.
    pub fn build(&self) -> Result<Build, InvalidMetadata> {
        let compression = "`none` or `gzip`";
        let (signed, sig) = self.signature()?;
        Ok(Build {
            download_url: read("downloadUrl", self.download_url, "a text")?,
            sha256: read("sha256", self.sha256, "a text")?,
            binary_size: read("binarySize", self.binary_size, "a whole number of bytes")?,
            compression: read("compression", self.compression, compression)?.unwrap_or_default(),
            signed,
            sig,
        })
    }

    /// `signed` and `sig`.
    pub fn signature(&self) -> Result<(Option<String>, Option<String>), InvalidMetadata> {
        Ok((
            read("signed", self.signed, "a text")?,
            read("sig", self.sig, "a text")?,
        ))
    }

    /// The fields that tell where a build comes from.
    #[must_use]
    pub fn origin(&self) -> Origin {
        Origin {
            build_time: told(self.build_time),
            git_commit: told(self.git_commit),
            build_number: told(self.build_number),
        }
    }
}

fn read<T: DeserializeOwned>(
    name: &'static str,
    value: Option<&RawValue>,
    wanted: &str,
) -> Result<Option<T>, InvalidMetadata> {
    let value = value
        .map(|value| serde_json::from_str(value.get()).map_err(|_| unlike(name, value, wanted)));
    value.transpose()
}

fn unlike(name: &'static str, value: &RawValue, wanted: &str) -> InvalidMetadata {
    let said = json::shown(value.get());
    field(name, format!("is {said}, not {wanted}"))
}

/// A text, or a number as it is written.
fn told(value: Option<&RawValue>) -> Option<String> {
    let value = value?.get();
    let is_number = |first: char| first == '-' || first.is_ascii_digit();
    if value.starts_with(is_number) {
        return Some(value.to_owned());
    }
    serde_json::from_str(value).ok()
}

/// Whether both name the same machine. `linux-arm64` and `linux-amd64` are how other ecosystems spell
/// `linux-aarch64` and `linux-x86_64`.
pub(crate) fn is_same_platform(named: &str, platform: &str) -> bool {
    let named = named.to_ascii_lowercase();
    let spelled = match named.rsplit_once('-') {
        Some((os, "arm64")) => format!("{os}-aarch64"),
        Some((os, "amd64" | "x64")) => format!("{os}-x86_64"),
        _ => named,
    };
    spelled == platform
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut packing = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packing.write_all(bytes).unwrap();
        packing.finish().unwrap()
    }

    #[test]
    fn gzip_is_unpacked_within_the_bound() {
        let plain = br#"{"version":"1.0"}"#;
        let version = |bytes: &[u8]| Document::open(bytes)?.fields()?.version();
        assert_eq!(version(&packed(plain)).unwrap().as_deref(), Some("1.0"));
        let marked = ["\u{feff}".as_bytes(), plain].concat();
        assert_eq!(version(&packed(&marked)).unwrap().as_deref(), Some("1.0"));

        for bomb in [
            packed(&vec![b' '; MAX_BYTES + 1]),
            packed(&vec![b' '; 16 << 20]),
        ] {
            let error = version(&bomb).unwrap_err();
            assert!(matches!(error, InvalidMetadata::TooLong { .. }), "{error}");
        }
        let error = version(b"\x1f\x8bnonsense").unwrap_err();
        assert!(matches!(error, InvalidMetadata::Packed(_)), "{error}");
    }

    #[test]
    fn a_beginning_without_its_end_is_told_from_nonsense() {
        let whole = br#"{"version":"1.0","sha256":"ab"}"#;
        for end in 0..whole.len() {
            assert!(is_cut(&whole[..end]), "{end}");
        }
        let gzip = packed(whole);
        for end in 2..gzip.len() {
            assert!(is_cut(&gzip[..end]), "{end} of {}", gzip.len());
        }
        for other in [&whole[..], &gzip, b"<html>", b"{]"] {
            assert!(!is_cut(other), "{}", String::from_utf8_lossy(other));
        }
    }

    #[test]
    fn an_origin_is_text_or_a_number_as_it_is_written() {
        let json = br#"{"buildNumber":17,"gitCommit":["c"],"buildTime":"then"}"#;
        let document = Document::open(json).unwrap();
        let Origin {
            build_time,
            git_commit,
            build_number,
        } = document.fields().unwrap().origin();
        assert_eq!(build_number.as_deref(), Some("17"));
        assert_eq!((build_time.as_deref(), git_commit), (Some("then"), None));
    }

    #[test]
    fn a_list_is_no_object() {
        let list = format!("[{}null]", "null,".repeat(11));
        let document = Document::open(list.as_bytes()).unwrap();
        assert!(document.fields().is_err());
    }
}
