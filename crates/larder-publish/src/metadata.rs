//! metadata.json as it is written, and read again by the next who publishes. Pure.
//!
//! Its reader is `larder-artifact`; the format is in `docs/functions.md`, "Source". Fields that it does not read are there for programs
//! that have read them since before there were signatures.

use std::collections::BTreeMap;

use cdn::release::Release;
use jiff::Timestamp;
use larder_artifact::{
    Compression, InvalidMetadata,
    document::{self, Fields},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

pub use larder_artifact::document::Origin;

use crate::{
    binary::Platform,
    sign::{SignError, Signer},
};

/// No metadata is longer: nobody would read it.
pub const MAX_METADATA: usize = 64 * 1024;
/// The first version of Larder that reads what is written here.
pub const MIN_RUNNER: &str = "0.1.0";
/// The edition of the signed text.
const SCHEMA: u64 = 1;

/// One build of a release: for one platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Build {
    /// What it runs on, such as `linux-aarch64`.
    pub platform: String,
    /// SHA-256 of the unpacked file, in hexadecimal digits.
    pub sha256: String,
    /// Bytes of the unpacked file.
    pub size: u64,
    /// How the object is packed.
    pub compression: Compression,
    /// The key of the versioned object.
    pub key: String,
}

/// A release as its metadata tells of it.
#[derive(Clone, Debug)]
pub struct Document<'a> {
    /// Where it lies in its bucket.
    pub release: Release<'a>,
    /// Its version.
    pub version: &'a str,
    /// Where the bucket is served, such as `https://releases.watchy.cloud`.
    pub url: &'a str,
    /// The build that programs find which know of one platform only.
    pub plain: &'a Build,
    /// Builds for other platforms.
    pub others: &'a [Build],
    /// The number that only ever grows.
    pub epoch: u64,
    /// When it is signed.
    pub published: Timestamp,
    /// Until when the signature is good.
    pub expires: Timestamp,
    /// The first version of Larder that runs it.
    pub min_runner: &'a str,
    /// What it is made with, such as `rust`.
    pub binary_type: &'a str,
    /// What else is known of where it comes from.
    pub origin: Origin,
}

impl Document<'_> {
    /// The metadata, signed if there is someone to sign it.
    pub fn to_json(&self, signer: Option<&Signer>) -> Result<Value, SignError> {
        let mut document = self.build(self.plain, signer)?;
        let published = self.published.to_string();
        let build_time = self.origin.build_time.clone().unwrap_or(published);
        document.insert("version".to_owned(), json!(self.version));
        document.insert("buildTime".to_owned(), json!(build_time));
        document.insert(
            "latestUrl".to_owned(),
            json!(self.at(&self.release.latest())),
        );
        document.insert("lambda_compatible".to_owned(), json!(true));
        document.insert("binary_type".to_owned(), json!(self.binary_type));
        let optional = [
            ("gitCommit", &self.origin.git_commit),
            ("buildNumber", &self.origin.build_number),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                document.insert(name.to_owned(), json!(value));
            }
        }
        if !self.others.is_empty() {
            // Who reads these reads nothing of the plain fields, so its build is among them.
            let builds = std::iter::once(self.plain).chain(self.others);
            let builds = builds.map(|build| {
                let fields = self.build(build, signer)?;
                Ok((build.platform.clone(), Value::Object(fields)))
            });
            let builds: Map<_, _> = builds.collect::<Result<_, SignError>>()?;
            document.insert("platforms".to_owned(), Value::Object(builds));
        }
        Ok(Value::Object(document))
    }

    fn build(
        &self,
        build: &Build,
        signer: Option<&Signer>,
    ) -> Result<Map<String, Value>, SignError> {
        let url = self.at(&build.key);
        let mut fields = Map::new();
        fields.insert("compression".to_owned(), json!(build.compression));
        fields.insert("downloadUrl".to_owned(), json!(url));
        fields.insert("sha256".to_owned(), json!(build.sha256));
        fields.insert("binarySize".to_owned(), json!(build.size));
        fields.insert("target_platform".to_owned(), json!(build.platform));
        if let Some(signer) = signer {
            let signed = self.signed(build, &url);
            fields.insert("sig".to_owned(), json!(signer.sign(&signed)?));
            fields.insert("signed".to_owned(), json!(signed));
        }
        Ok(fields)
    }

    /// The text under the signature.
    fn signed(&self, build: &Build, url: &str) -> String {
        let text = json!({
            "schema": SCHEMA,
            "monitor": self.release.monitor,
            "target": build.platform,
            "version": self.version,
            "epoch": self.epoch,
            "published_at": self.published.to_string(),
            "expires_at": self.expires.to_string(),
            "sha256": build.sha256,
            "size": build.size,
            "url": url,
            "min_runner": self.min_runner,
        });
        text.to_string()
    }

    fn at(&self, key: &str) -> String {
        format!("{}/{key}", self.url)
    }
}

/// Metadata that was published before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// The version.
    pub version: String,
    /// The builds, by platform.
    pub builds: BTreeMap<String, Offered>,
    /// Builds that only their readers understand, by platform; with what was signed, if that is understood.
    pub others: BTreeMap<String, Option<Signed>>,
    /// The build of the plain fields.
    pub plain: Option<String>,
    /// Where it came from.
    pub origin: Origin,
}

/// A build that was published before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    /// SHA-256 of the unpacked file.
    pub sha256: String,
    /// Bytes of the unpacked file.
    pub size: u64,
    /// How it is packed.
    pub compression: Compression,
    /// Where it is.
    pub url: String,
    /// What was signed, if it was.
    pub signed: Option<Signed>,
}

/// What a signature is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The text.
    pub text: String,
    /// The signature.
    pub signature: String,
    /// Its epoch.
    pub epoch: u64,
    /// Until when it is good.
    pub expires: Timestamp,
}

#[derive(Deserialize)]
struct SignedText {
    epoch: u64,
    expires_at: Timestamp,
}

impl Published {
    /// Reads metadata as its readers do: of a build for another platform than those that are published
    /// from here nothing is expected, and of fields that no reader needs neither. Where it is none, what it
    /// was published for is not known.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidMetadata> {
        let opened = document::Document::open(bytes)?;
        let fields = opened.fields()?;
        let version = needed("version", fields.version()?)?;
        let mut published = Self {
            version,
            plain: fields.target_platform()?,
            origin: fields.origin(),
            ..Self::default()
        };
        let Some(platforms) = fields.platforms()? else {
            let platform = published.plain.clone().unwrap_or_default();
            published.add(platform, Ok(fields))?;
            return Ok(published);
        };
        for (platform, build) in platforms {
            let fields = Fields::of_platform(&platform, build);
            published.add(platform, fields)?;
        }
        Ok(published)
    }

    fn add(
        &mut self,
        platform: String,
        fields: Result<Fields<'_>, InvalidMetadata>,
    ) -> Result<(), InvalidMetadata> {
        let (offered, signed) = match fields {
            Ok(fields) => (Offered::read(&fields), Signed::read(&fields)),
            Err(error) => (Err(error), Ok(None)),
        };
        match offered {
            Ok(offered) => {
                self.builds.insert(platform, offered);
            }
            Err(error) if is_ours(&platform) => return Err(error),
            Err(_) => {
                self.others.insert(platform, signed.ok().flatten());
            }
        }
        Ok(())
    }

    /// The highest epoch that was signed.
    #[must_use]
    pub fn epoch(&self) -> Option<u64> {
        self.signed().map(|signed| signed.epoch).max()
    }

    /// Until when all of it is good; none where something is not signed.
    #[must_use]
    pub fn expires(&self) -> Option<Timestamp> {
        let expire = self
            .builds
            .values()
            .map(|build| Some(build.signed.as_ref()?.expires));
        expire.min().flatten()
    }

    /// Whether all of it is signed by this key.
    #[must_use]
    pub fn is_signed_by(&self, signer: &Signer) -> bool {
        self.builds.values().all(|build| {
            let signed = build.signed.as_ref();
            signed.is_some_and(|signed| signer.has_signed(&signed.text, &signed.signature))
        })
    }

    /// Whether it is of the same version and the same builds, at the same place.
    #[must_use]
    pub fn offers(&self, document: &Document<'_>) -> bool {
        let builds = || std::iter::once(document.plain).chain(document.others);
        self.version == document.version
            && self.plain.as_deref() == Some(document.plain.platform.as_str())
            && self.builds.len() + self.others.len() == builds().count()
            && builds().all(|build| {
                self.builds.get(&build.platform).is_some_and(|offered| {
                    offered.sha256 == build.sha256
                        && offered.size == build.size
                        && offered.compression == build.compression
                        && offered.url == document.at(&build.key)
                })
            })
    }

    fn signed(&self) -> impl Iterator<Item = &Signed> {
        let builds = self.builds.values().map(|build| &build.signed);
        builds.chain(self.others.values()).flatten()
    }
}

/// Whether builds for a platform are published from here; one that is not named is for such a one.
fn is_ours(platform: &str) -> bool {
    platform.is_empty() || platform.parse::<Platform>().is_ok()
}

fn needed<T>(field: &'static str, value: Option<T>) -> Result<T, InvalidMetadata> {
    value.ok_or_else(|| InvalidMetadata::Field {
        field,
        problem: "is missing".to_owned(),
    })
}

impl Offered {
    fn read(fields: &Fields<'_>) -> Result<Self, InvalidMetadata> {
        let build = fields.build()?;
        Ok(Self {
            sha256: needed("sha256", build.sha256)?,
            size: needed("binarySize", build.binary_size)?,
            compression: build.compression,
            url: needed("downloadUrl", build.download_url)?,
            signed: Signed::of(build.signed, build.sig)?,
        })
    }
}

impl Signed {
    /// What was signed of a build that is not understood otherwise.
    fn read(fields: &Fields<'_>) -> Result<Option<Self>, InvalidMetadata> {
        let (text, signature) = fields.signature()?;
        Self::of(text, signature)
    }

    fn of(
        text: Option<String>,
        signature: Option<String>,
    ) -> Result<Option<Self>, InvalidMetadata> {
        let Some((text, signature)) = text.zip(signature) else {
            return Ok(None);
        };
        let read = serde_json::from_str::<SignedText>(&text);
        let SignedText { epoch, expires_at } = read.map_err(|error| InvalidMetadata::Field {
            field: "signed",
            problem: format!(
                "has no epoch and expiry that can be read, at column {}",
                error.column()
            ),
        })?;
        Ok(Some(Self {
            text,
            signature,
            epoch,
            expires: expires_at,
        }))
    }
}

#[cfg(test)]
#[path = "metadata_tests.rs"]
mod tests;
