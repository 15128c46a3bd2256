//! metadata.json: what the newest release is, where it lies and how to know it. Pure: bytes in, a
//! [`Release`] out.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::{
    digest::Sha256,
    document::{Build, Document, Fields, is_same_platform},
    invalid_metadata::{InvalidMetadata, field},
    trust::{Proof, Trust},
};

/// More than any metadata needs, and little enough to read into memory from a stranger.
pub(crate) const MAX_BYTES: usize = 64 * 1024;

/// The edition of the signed text that this code understands.
const SCHEMA: u64 = 1;

/// This machine, as `target_platform` names it: `linux-x86_64` or `linux-aarch64`.
#[must_use]
pub fn platform() -> String {
    format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH)
}

/// How a binary is packed on its way. Its size and SHA-256 are always those of the unpacked file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// As one gzip stream.
    Gzip,
}

/// One release of one artifact for this machine, checked as far as metadata can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// Its version, letters, digits and `._+-` only.
    pub version: String,
    /// SHA-256 of the file.
    pub sha256: Sha256,
    /// Bytes of the file.
    pub size: u64,
    /// The immutable, versioned download, on the origin that the metadata came from.
    pub url: Url,
    /// How the download is packed.
    pub compression: Compression,
    /// The signed epoch and what proves it; none where the metadata was not signed.
    pub(crate) signature: Option<Signed>,
}

/// What a signature adds to a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signed {
    pub(crate) proof: Proof,
    pub(crate) epoch: u64,
    pub(crate) expires_at: Timestamp,
}

/// What a release has to fit.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The name that a signature has to be for.
    pub name: &'a str,
    /// The machine that it has to run on, as [`platform`] names it.
    pub platform: &'a str,
    /// The version of the program that is to run it.
    pub runner: &'a semver::Version,
    /// Where the metadata was fetched; the download has to lie on the same origin.
    pub base: &'a Url,
    /// The most bytes that it may have.
    pub max_size: u64,
    /// Whom to believe.
    pub trust: &'a Trust,
}

/// The text under the signature.
#[derive(Deserialize)]
pub(crate) struct SignedText {
    schema: u64,
    monitor: String,
    target: String,
    pub(crate) version: String,
    pub(crate) epoch: u64,
    expires_at: Timestamp,
    pub(crate) sha256: String,
    pub(crate) size: u64,
    url: String,
    min_runner: Option<semver::Version>,
}

impl Release {
    /// Reads metadata and checks all that does not change with time. Whether it has expired or was
    /// rolled back is checked when it is used.
    pub fn parse(json: &[u8], expected: &Expected<'_>) -> Result<Self, InvalidMetadata> {
        let document = Document::open(json)?;
        let fields = document.fields()?;
        let version = fields
            .version()?
            .filter(|version| is_version(version))
            .ok_or_else(|| {
                let problem = "is missing, or is not up to 128 letters, digits and ._+-";
                field("version", problem)
            })?;
        let build = select(&fields, expected.platform)?;
        let sha256 = build.sha256.as_deref().unwrap_or_default();
        let sha256: Sha256 = sha256
            .parse()
            .map_err(|_| field("sha256", "is missing or not 64 hexadecimal digits"))?;
        let size = build
            .binary_size
            .ok_or_else(|| field("binarySize", "is missing"))?;
        if size == 0 || size > expected.max_size {
            let max = expected.max_size;
            return Err(field(
                "binarySize",
                format!("is {size}, which is not from 1 to the {max} bytes allowed"),
            ));
        }
        let plain_url = build
            .download_url
            .as_deref()
            .ok_or_else(|| field("downloadUrl", "is missing"))?;
        let url = download_url(plain_url, expected.base)?;
        let signature = build.signature(expected.trust)?;
        let release = Self {
            version,
            sha256,
            size,
            url,
            compression: build.compression,
            signature: None,
        };
        match signature {
            Some(proof) => release.signed(proof, plain_url, expected),
            None => Ok(release),
        }
    }

    /// Holds the signed text against the plain fields and against what was asked for.
    fn signed(
        mut self,
        proof: Proof,
        plain_url: &str,
        expected: &Expected<'_>,
    ) -> Result<Self, InvalidMetadata> {
        let text = SignedText::parse(&proof)?;
        let same = [
            ("version", text.version == self.version),
            ("sha256", text.sha256.parse() == Ok(self.sha256)),
            ("binarySize", text.size == self.size),
            ("downloadUrl", text.url == plain_url),
        ];
        if let Some((name, _)) = same.into_iter().find(|(_, same)| !same) {
            return Err(InvalidMetadata::Disagrees(name));
        }
        text.check(expected.name, expected.platform)?;
        if let Some(needed) = text.min_runner.filter(|needed| needed > expected.runner) {
            return Err(InvalidMetadata::Runner {
                needed,
                runner: expected.runner.clone(),
            });
        }
        self.signature = Some(Signed {
            proof,
            epoch: text.epoch,
            expires_at: text.expires_at,
        });
        Ok(self)
    }

    /// Checks what may become untrue: expiry, and an epoch under `floor`.
    pub(crate) fn check_now(&self, now: Timestamp, floor: u64) -> Result<(), InvalidMetadata> {
        match &self.signature {
            Some(signed) if signed.epoch < floor => Err(InvalidMetadata::RolledBack {
                epoch: signed.epoch,
                floor,
            }),
            Some(signed) if signed.expires_at <= now => Err(InvalidMetadata::Expired {
                at: signed.expires_at,
            }),
            // Once an epoch has been seen, metadata without one is a step back too.
            None if floor > 0 => Err(InvalidMetadata::RolledBack { epoch: 0, floor }),
            _ => Ok(()),
        }
    }

    /// The signed epoch, 0 without a signature.
    pub(crate) fn epoch(&self) -> u64 {
        self.signature.as_ref().map_or(0, |signed| signed.epoch)
    }
}

impl Build {
    /// The proof, if there has to be one or can be: a signature that is there is never ignored by
    /// who can check it.
    fn signature(&self, trust: &Trust) -> Result<Option<Proof>, InvalidMetadata> {
        let proof = match (self.signed.clone(), self.sig.clone()) {
            (Some(signed), Some(sig)) => Some(Proof { signed, sig }),
            (None, None) => None,
            _ => {
                return Err(InvalidMetadata::Signature(
                    "is half there: `signed` and `sig` go together",
                ));
            }
        };
        match proof {
            Some(proof) if trust.verify(&proof) => Ok(Some(proof)),
            Some(_) if trust.required() || trust.has_keys() => {
                Err(InvalidMetadata::Signature("is by none of the trusted keys"))
            }
            None if trust.required() => Err(InvalidMetadata::Signature(
                "is missing, and one is required",
            )),
            // No key to check it with, and none asked for.
            _ => Ok(None),
        }
    }
}

impl SignedText {
    pub(crate) fn parse(proof: &Proof) -> Result<Self, InvalidMetadata> {
        let text: Self = serde_json::from_str(&proof.signed)
            .map_err(|error| field("signed", format!("is not the text that is signed: {error}")))?;
        if text.schema == SCHEMA {
            Ok(text)
        } else {
            Err(field(
                "signed",
                format!(
                    "has schema {}, and {SCHEMA} is what is understood",
                    text.schema
                ),
            ))
        }
    }

    /// A signature over another artifact or another machine's build is good, and not for this.
    pub(crate) fn check(&self, name: &str, platform: &str) -> Result<(), InvalidMetadata> {
        if self.monitor != name {
            return Err(field(
                "signed",
                format!("is for the monitor {:?}, not {name:?}", self.monitor),
            ));
        }
        if self.target != platform {
            return Err(InvalidMetadata::Platform {
                offered: self.target.clone(),
                machine: platform.to_owned(),
            });
        }
        Ok(())
    }
}

/// Reads the build for `platform`, and no other: out of the map if there is one, else the one at the
/// top level if it fits.
fn select(fields: &Fields<'_>, platform: &str) -> Result<Build, InvalidMetadata> {
    let elsewhere = |offered: String| InvalidMetadata::Platform {
        offered,
        machine: platform.to_owned(),
    };
    if let Some(builds) = fields.platforms()? {
        let mut fitting = builds.iter();
        let Some((named, build)) = fitting.find(|(named, _)| is_same_platform(named, platform))
        else {
            let offered: Vec<_> = builds.into_keys().collect();
            return Err(elsewhere(offered.join(", ")));
        };
        return Fields::of_platform(named, build)?.build();
    }
    match fields.target_platform()? {
        Some(named) if !is_same_platform(&named, platform) => Err(elsewhere(named)),
        _ => fields.build(),
    }
}

/// A download has to be on the origin that its metadata came from: nothing else was configured, so
/// nothing else may be asked, least of all something on this machine's own network.
fn download_url(text: &str, base: &Url) -> Result<Url, InvalidMetadata> {
    let url = base
        .join(text)
        .map_err(|error| field("downloadUrl", format!("is no URL: {error}")))?;
    if url.origin() == base.origin() && url.username().is_empty() && url.password().is_none() {
        Ok(url)
    } else {
        let origin = base.origin().ascii_serialization();
        Err(field(
            "downloadUrl",
            format!("is not on {origin}, where the metadata came from"),
        ))
    }
}

/// A version gets into log lines and answers, so it is short and plain.
fn is_version(text: &str) -> bool {
    text.len() <= 128
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._+-".contains(c))
}

#[cfg(test)]
#[path = "metadata_tests.rs"]
mod tests;
