//! Publishing a monitor, as a release pipeline does it.
//!
//! The versioned object first, then the mutable `latest`, and the metadata last: whoever reads the
//! metadata finds what it names. The versioned object never changes and may be cached for good;
//! `latest` always has to be asked about; the metadata may be a minute old, so that all is right
//! even if no cache is ever invalidated.

use std::io::Write as _;

use anyhow::Context as _;
use aws_sdk_s3::{Client, primitives::ByteStream};
use flate2::{Compression, write::GzEncoder};
use jiff::{SignedDuration, Timestamp};
use larder_artifact::platform;
use minisign::KeyPair;
use serde_json::{Value, json};

const IMMUTABLE: &str = "public, max-age=31536000, immutable";
const ALWAYS_ASK: &str = "no-cache";
const A_MINUTE: &str = "public, max-age=60";

/// A bucket of releases and the key that signs them.
pub struct Publisher {
    s3: Client,
    bucket: String,
    base_url: String,
    keys: KeyPair,
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
}

impl Publisher {
    /// Makes the bucket, and a development key that lives as long as this process.
    pub async fn create(s3: Client, bucket: &str, base_url: &str) -> anyhow::Result<Self> {
        s3.create_bucket()
            .bucket(bucket)
            .send()
            .await
            .context("could not make the releases bucket")?;
        let keys =
            KeyPair::generate_unencrypted_keypair().context("could not make a signing key")?;
        let (bucket, base_url) = (bucket.to_owned(), base_url.to_owned());
        Ok(Self {
            s3,
            bucket,
            base_url,
            keys,
        })
    }

    /// The key that verifies what is signed here, for `TRUSTED_KEYS`.
    #[must_use]
    pub fn public_key(&self) -> String {
        self.keys.pk.to_base64()
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
        let NewRelease {
            monitor, version, ..
        } = release;
        let object = if release.gzip {
            gzip(&release.binary)?
        } else {
            release.binary.clone()
        };
        let name = |version: &str| {
            format!("binaries/{monitor}-monitor/watchy-{monitor}-monitor-{version}")
        };
        self.put(
            &name(version),
            object.clone(),
            "application/octet-stream",
            IMMUTABLE,
        )
        .await?;
        self.put(
            &name("latest"),
            object,
            "application/octet-stream",
            ALWAYS_ASK,
        )
        .await?;
        Ok(metadata)
    }

    /// Uploads metadata as it stands, right or wrong.
    pub async fn put_metadata(&self, monitor: &str, metadata: &Value) -> anyhow::Result<()> {
        self.put_metadata_bytes(monitor, metadata.to_string().into_bytes())
            .await
    }

    /// Uploads any bytes where metadata should be.
    pub async fn put_metadata_bytes(&self, monitor: &str, bytes: Vec<u8>) -> anyhow::Result<()> {
        let key = format!("binaries/{monitor}-monitor/metadata.json");
        self.put(&key, bytes, "application/json", A_MINUTE).await
    }

    /// Uploads any object.
    pub async fn put(
        &self,
        key: &str,
        body: Vec<u8>,
        content_type: &str,
        cache_control: &str,
    ) -> anyhow::Result<()> {
        self.s3
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .content_type(content_type)
            .cache_control(cache_control)
            .body(ByteStream::from(body))
            .send()
            .await
            .with_context(|| format!("could not upload {key}"))?;
        Ok(())
    }

    /// The metadata of `release`, signed.
    pub fn metadata(&self, release: &NewRelease) -> anyhow::Result<Value> {
        let NewRelease {
            monitor,
            version,
            binary,
            ..
        } = release;
        let now = Timestamp::now();
        let sha256 = sha256(binary);
        let base = format!(
            "{}/binaries/{monitor}-monitor/watchy-{monitor}-monitor",
            self.base_url
        );
        let download_url = format!("{base}-{version}");
        let text = json!({
            "schema": 1,
            "monitor": monitor,
            "target": release.platform,
            "version": version,
            "epoch": release.epoch,
            "published_at": now.to_string(),
            "expires_at": (now + release.valid_for).to_string(),
            "sha256": sha256,
            "size": binary.len(),
            "url": download_url,
            "min_runner": "0.1.0",
        })
        .to_string();
        Ok(json!({
            "compression": if release.gzip { "gzip" } else { "none" },
            "version": version,
            "buildTime": now.to_string(),
            "downloadUrl": download_url,
            "latestUrl": format!("{base}-latest"),
            "sha256": sha256,
            "binarySize": binary.len(),
            "target_platform": release.platform,
            "lambda_compatible": true,
            "binary_type": "rust",
            "sig": self.sign(&text)?,
            "signed": text,
        }))
    }

    /// A minisign signature over `text`.
    pub fn sign(&self, text: &str) -> anyhow::Result<String> {
        let signature = minisign::sign(
            Some(&self.keys.pk),
            &self.keys.sk,
            text.as_bytes(),
            None,
            None,
        );
        Ok(signature.context("could not sign")?.into_string())
    }
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publisher")
            .field("bucket", &self.bucket)
            .field("base_url", &self.base_url)
            .finish_non_exhaustive()
    }
}

/// The SHA-256 of `bytes` in hexadecimal digits.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    larder_artifact::Sha256::of(bytes).to_string()
}

fn gzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(bytes)?;
    packed.finish()
}
