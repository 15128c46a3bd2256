//! Publishing a monitor, as a release pipeline does it.
//!
//! The versioned object first, then the mutable `latest`, and the metadata last: whoever reads the
//! metadata finds what it names. The versioned object never changes and may be cached for good;
//! `latest` always has to be asked about; the metadata may be a minute old, so that all is right
//! even if no cache is ever invalidated.

use anyhow::Context as _;
use aws_sdk_s3::Client;
use cdn::release::Release;
use jiff::{SignedDuration, Timestamp};
use larder_artifact::{Compression, platform};
use larder_publish::{
    metadata::{Build, Document, MIN_RUNNER, Origin},
    packed,
    sign::Signer,
    store::{A_MINUTE, ALWAYS_ASK, Content, IMMUTABLE, JSON, Object, PROGRAM, Store},
};
use serde_json::Value;

pub use larder_publish::digest::sha256;

/// What the names of all binaries begin with.
const PREFIX: &str = "watchy";

/// A bucket of releases and the key that signs them.
pub struct Publisher {
    store: Store,
    base_url: String,
    signer: Signer,
}

/// A release to be published.
#[derive(Clone, Debug)]
pub struct NewRelease {
    /// The monitor's name, such as `slack`.
    pub monitor: String,
    /// Its version.
    pub version: String,
    /// The program.
    pub binary: Vec<u8>,
    /// What the program runs on.
    pub platform: String,
    /// Whether the objects are packed.
    pub gzip: bool,
    /// The number that only ever grows.
    pub epoch: u64,
    /// How long the signature is good for.
    pub valid_for: SignedDuration,
}

impl NewRelease {
    /// A release for this machine, unpacked, of epoch 1, good for two weeks.
    #[must_use]
    pub fn new(monitor: &str, version: &str, binary: impl Into<Vec<u8>>) -> Self {
        Self {
            monitor: monitor.to_owned(),
            version: version.to_owned(),
            binary: binary.into(),
            platform: platform(),
            gzip: false,
            epoch: 1,
            valid_for: SignedDuration::from_hours(14 * 24),
        }
    }

    /// Where it lies.
    pub(crate) fn at(&self) -> Release<'_> {
        Release {
            prefix: PREFIX,
            monitor: &self.monitor,
        }
    }

    fn compression(&self) -> Compression {
        if self.gzip {
            Compression::Gzip
        } else {
            Compression::None
        }
    }
}

impl Publisher {
    /// Makes the bucket, and a development key that lives as long as this process.
    pub async fn create(s3: Client, bucket: &str, base_url: &str) -> anyhow::Result<Self> {
        s3.create_bucket()
            .bucket(bucket)
            .send()
            .await
            .context("could not make the releases bucket")?;
        Ok(Self {
            store: Store::of(s3, bucket),
            base_url: base_url.to_owned(),
            signer: Signer::generate().context("could not make a signing key")?,
        })
    }

    /// The key that verifies what is signed here, for `TRUSTED_KEYS`.
    #[must_use]
    pub fn public_key(&self) -> String {
        self.signer.public_key()
    }

    /// Publishes `release` and returns its metadata.
    pub async fn publish(&self, release: &NewRelease) -> anyhow::Result<Value> {
        let metadata = self.upload(release).await?;
        self.put_metadata(&release.monitor, &metadata).await?;
        Ok(metadata)
    }

    /// Uploads the objects of `release` without its metadata, which is returned.
    pub async fn upload(&self, release: &NewRelease) -> anyhow::Result<Value> {
        let metadata = self.metadata(release)?;
        let object = if release.gzip {
            packed(&release.binary)?
        } else {
            release.binary.clone()
        };
        let sha256 = sha256(&release.binary);
        let at = release.at();
        for (key, cache_control) in [
            (at.versioned(&release.version), IMMUTABLE),
            (at.latest(), ALWAYS_ASK),
        ] {
            let described = Object {
                sha256: Some(&sha256),
                compression: release.compression(),
                ..Object::new(&key, PROGRAM, cache_control)
            };
            let content = Content::Bytes(object.clone());
            self.store.put(&described, content).await?;
        }
        Ok(metadata)
    }

    /// Uploads metadata as it stands, right or wrong.
    pub async fn put_metadata(&self, monitor: &str, metadata: &Value) -> anyhow::Result<()> {
        self.put_metadata_bytes(monitor, metadata.to_string().into_bytes())
            .await
    }

    /// Uploads any bytes where metadata should be.
    pub async fn put_metadata_bytes(&self, monitor: &str, bytes: Vec<u8>) -> anyhow::Result<()> {
        let release = Release {
            prefix: PREFIX,
            monitor,
        };
        self.put(&release.metadata(), bytes, JSON, A_MINUTE).await
    }

    /// Uploads any object.
    pub async fn put(
        &self,
        key: &str,
        body: Vec<u8>,
        content_type: &str,
        cache_control: &str,
    ) -> anyhow::Result<()> {
        let object = Object::new(key, content_type, cache_control);
        self.store.put(&object, Content::Bytes(body)).await?;
        Ok(())
    }

    /// The metadata of `release`, signed.
    pub fn metadata(&self, release: &NewRelease) -> anyhow::Result<Value> {
        let now = Timestamp::now();
        let build = Build {
            platform: release.platform.clone(),
            sha256: sha256(&release.binary),
            size: u64::try_from(release.binary.len())?,
            compression: release.compression(),
            key: release.at().versioned(&release.version),
        };
        let document = Document {
            release: release.at(),
            version: &release.version,
            url: &self.base_url,
            plain: &build,
            others: &[],
            epoch: release.epoch,
            published: now,
            expires: now + release.valid_for,
            min_runner: MIN_RUNNER,
            binary_type: "rust",
            origin: Origin::default(),
        };
        Ok(document.to_json(Some(&self.signer))?)
    }

    /// A minisign signature over `text`.
    pub fn sign(&self, text: &str) -> anyhow::Result<String> {
        Ok(self.signer.sign(text)?)
    }
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publisher")
            .field("bucket", &self.store.bucket())
            .field("base_url", &self.base_url)
            .finish_non_exhaustive()
    }
}
