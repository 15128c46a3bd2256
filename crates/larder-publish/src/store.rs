//! The port to the bucket: objects with what caches and readers have to be told of them.

mod reading;

use std::{collections::HashMap, path::Path, time::Duration};

use aws_sdk_s3::{
    Client,
    config::{Builder, timeout::TimeoutConfig},
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
    primitives::ByteStream,
    types::MetadataDirective,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_types::{SdkConfig, service_config::ServiceConfigKey};
use larder_artifact::Compression;
use larder_lambda::event::bounded;

pub(crate) use reading::{Found, Held, Listed};

/// For readers and caches: it never changes.
pub const IMMUTABLE: &str = "public, max-age=31536000, immutable";
/// For what is asked about each time.
pub const ALWAYS_ASK: &str = "no-cache";
/// For metadata: right within a minute, even if no cache is ever told.
pub const A_MINUTE: &str = "public, max-age=60";
/// What no cache keeps and nobody needs.
pub(crate) const NOBODYS: &str = "private, no-store";

/// What programs are, to whoever downloads them.
pub const PROGRAM: &str = "application/octet-stream";
/// What metadata is.
pub const JSON: &str = "application/json";

const CONNECT: Duration = Duration::from_secs(5);
/// For what is small.
const ATTEMPT: Duration = Duration::from_secs(20);
const ALL_ATTEMPTS: Duration = Duration::from_mins(1);
/// An upload slower than this, in bytes a second, is given up.
const SLOWEST: u64 = 64 * 1024;

/// A bucket.
#[derive(Clone, Debug)]
pub struct Store {
    client: Client,
    bucket: String,
}

/// What an object is called and what is said of it.
#[derive(Clone, Copy, Debug)]
pub struct Object<'a> {
    /// Its key.
    pub key: &'a str,
    /// What it is: `Content-Type`.
    pub content_type: &'a str,
    /// For how long it may be kept: `Cache-Control`.
    pub cache_control: &'a str,
    /// SHA-256 of the file in it, unpacked, for whoever wants to know without reading it.
    pub sha256: Option<&'a str>,
    /// How the file in it is packed.
    pub compression: Compression,
    /// What has to be there for it to be written.
    pub only_if: OnlyIf<'a>,
}

/// What has to be there for an object to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnlyIf<'a> {
    /// Anything.
    Anything,
    /// Nothing.
    Nothing,
    /// The object of this `ETag`.
    Same(&'a str),
}

/// What is in an object.
#[derive(Debug)]
pub enum Content<'a> {
    /// These bytes.
    Bytes(Vec<u8>),
    /// What is in this file, read while it is sent.
    File(&'a Path),
}

/// An object that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// How many bytes it has.
    pub size: u64,
    /// Its `ETag`.
    pub etag: String,
}

/// The bucket could not be asked, or has refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// What had to be there for the object to be written is not, or not any more.
    #[error("{0} was written by somebody else meanwhile")]
    Changed(String),
    /// S3 has refused, or gave no answer.
    #[error("S3's {operation} of {key} in the bucket {bucket} failed: {cause}")]
    Refused {
        /// What was asked.
        operation: &'static str,
        /// Of which object.
        key: String,
        /// In which bucket.
        bucket: String,
        /// Why.
        cause: String,
    },
    /// A file cannot be read.
    #[error("{0} cannot be read")]
    File(String, #[source] std::io::Error),
    /// There is more than there should be.
    #[error("{0} is larger than {1}")]
    TooLarge(String, String),
}

/// The user metadata that tell of the file in an object.
const SHA256: &str = "sha256";
const COMPRESSION: &str = "compression";
const GZIP: &str = "gzip";

impl Store {
    /// With the credentials and the endpoint of `config`. Connects to nothing yet.
    #[must_use]
    pub fn new(config: &SdkConfig, bucket: &str) -> Self {
        // Where nobody has set up a name server for it, a bucket cannot be a part of the host's name.
        let elsewhere = config.endpoint_url().is_some() || endpoint_of_s3(config).is_some();
        let mut settings = Builder::from(config).timeout_config(timeouts(0));
        settings.set_force_path_style(elsewhere.then_some(true));
        Self::of(Client::from_conf(settings.build()), bucket)
    }

    /// By a client that there is.
    #[must_use]
    pub fn of(client: Client, bucket: &str) -> Self {
        Self {
            client,
            bucket: bucket.to_owned(),
        }
    }

    /// Its name.
    #[must_use]
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// Writes an object.
    pub async fn put(
        &self,
        object: &Object<'_>,
        content: Content<'_>,
    ) -> Result<Written, StoreError> {
        let (body, size) = body(content).await?;
        let put = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(object.key)
            .content_type(object.content_type)
            .cache_control(object.cache_control)
            .set_metadata(object.metadata())
            .body(body);
        let put = match object.only_if {
            OnlyIf::Anything => put,
            OnlyIf::Nothing => put.if_none_match("*"),
            OnlyIf::Same(etag) => put.if_match(etag),
        };
        let longer = aws_sdk_s3::config::Config::builder().timeout_config(timeouts(size));
        let sent = put.customize().config_override(longer).send().await;
        match sent {
            Ok(put) => Ok(Written {
                size,
                etag: put.e_tag.unwrap_or_default(),
            }),
            Err(error) if matches!(status(&error), Some(409 | 412)) => {
                Err(StoreError::Changed(object.key.to_owned()))
            }
            Err(error) => Err(self.refused("PutObject", object.key, &error)),
        }
    }

    /// Writes an object of the same bytes as another one of the bucket, of that size, which nobody has to send again.
    pub(crate) async fn copy(
        &self,
        from: &str,
        object: &Object<'_>,
        size: u64,
    ) -> Result<(), StoreError> {
        // Nothing that a release's key may have has to be encoded.
        let source = format!("{}/{from}", self.bucket);
        let copy = self
            .client
            .copy_object()
            .copy_source(source)
            .bucket(&self.bucket)
            .key(object.key)
            .metadata_directive(MetadataDirective::Replace)
            .content_type(object.content_type)
            .cache_control(object.cache_control)
            .set_metadata(object.metadata());
        let longer = aws_sdk_s3::config::Config::builder().timeout_config(timeouts(size));
        let copied = copy.customize().config_override(longer).send().await;
        copied
            .map(drop)
            .map_err(|error| self.refused("CopyObject", object.key, &error))
    }

    /// Removes an object, of that `ETag` if one is given; one that is not there is no error.
    pub(crate) async fn delete(&self, key: &str, etag: Option<&str>) -> Result<(), StoreError> {
        let delete = self.client.delete_object().bucket(&self.bucket).key(key);
        let deleted = delete.set_if_match(etag.map(str::to_owned)).send().await;
        match deleted {
            Ok(_) => Ok(()),
            Err(error) if etag.is_some() && status(&error) == Some(404) => Ok(()),
            Err(error) if matches!(status(&error), Some(409 | 412)) => {
                Err(StoreError::Changed(key.to_owned()))
            }
            Err(error) => Err(self.refused("DeleteObject", key, &error)),
        }
    }

    fn refused<E>(
        &self,
        operation: &'static str,
        key: &str,
        error: &SdkError<E, HttpResponse>,
    ) -> StoreError
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
    {
        let cause = match (error.code(), error.message(), status(error)) {
            (Some(code), Some(message), _) => format!("{code}: {message}"),
            (Some(code), None, _) => code.to_owned(),
            // HEAD has no words for it.
            (None, _, Some(403)) => "403, access denied".to_owned(),
            (None, _, Some(301)) => {
                "301, the bucket is in another Region: set AWS_REGION".to_owned()
            }
            _ => DisplayErrorContext(error).to_string(),
        };
        StoreError::Refused {
            operation,
            key: key.to_owned(),
            bucket: self.bucket.clone(),
            cause: bounded(cause, 500),
        }
    }
}

impl<'a> Object<'a> {
    /// One of which nothing is said but what every object is told of, whatever is there.
    #[must_use]
    pub const fn new(key: &'a str, content_type: &'a str, cache_control: &'a str) -> Self {
        Self {
            key,
            content_type,
            cache_control,
            sha256: None,
            compression: Compression::None,
            only_if: OnlyIf::Anything,
        }
    }

    fn metadata(&self) -> Option<HashMap<String, String>> {
        let sha256 = self.sha256?;
        let mut metadata = HashMap::from([(SHA256.to_owned(), sha256.to_owned())]);
        if self.compression == Compression::Gzip {
            metadata.insert(COMPRESSION.to_owned(), GZIP.to_owned());
        }
        Some(metadata)
    }
}

async fn body(content: Content<'_>) -> Result<(ByteStream, u64), StoreError> {
    match content {
        Content::Bytes(bytes) => {
            let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            Ok((ByteStream::from(bytes), size))
        }
        Content::File(path) => {
            let failed = |error| StoreError::File(path.display().to_string(), error);
            let size = std::fs::metadata(path).map_err(failed)?.len();
            let body = ByteStream::from_path(path).await;
            let body = body.map_err(|error| failed(std::io::Error::other(error)))?;
            Ok((body, size))
        }
    }
}

/// For a request with a body of so many bytes.
fn timeouts(size: u64) -> TimeoutConfig {
    let sending = Duration::from_secs(size / SLOWEST);
    TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .operation_attempt_timeout(ATTEMPT + sending)
        .operation_timeout(ALL_ATTEMPTS + sending * 2)
        .build()
}

/// Where S3 is, if the standard settings name a place for it alone.
fn endpoint_of_s3(config: &SdkConfig) -> Option<String> {
    let key = ServiceConfigKey::builder()
        .service_id("S3")
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build();
    config.service_config()?.load_config(key.ok()?)
}

fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    Some(error.raw_response()?.status().as_u16())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_large_has_longer() {
        let of = |size| timeouts(size).operation_attempt_timeout();
        assert_eq!(of(0), Some(ATTEMPT));
        assert_eq!(of(256 << 20), Some(ATTEMPT + Duration::from_secs(4096)));
    }
}
