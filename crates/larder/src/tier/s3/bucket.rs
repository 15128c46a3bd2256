//! Objects in a bucket: read, and written on conditions.

use aws_sdk_s3::{
    Client,
    error::{ProvideErrorMetadata as _, SdkError},
    primitives::ByteStream,
};

use super::{NAME, hedge::Hedge, object::Object};
use crate::tier::{TierError, TierErrorKind};

/// Where objects are, and what they are called.
pub(super) struct Bucket {
    pub(super) hedge: Hedge,
    pub(super) client: Client,
    pub(super) name: String,
    pub(super) prefix: String,
    pub(super) object_names: fn(&str) -> String,
}

impl Bucket {
    /// What the entry at `key` is called.
    pub(super) fn of(&self, key: &str) -> String {
        format!("{}{}", self.prefix, (self.object_names)(key))
    }

    pub(super) fn lease_of(&self, key: &str) -> String {
        format!("{}~leases/{}", self.prefix, key.replace(':', "/"))
    }

    /// An object, if it is there.
    pub(super) async fn get(&self, name: &str) -> Result<Option<Object>, TierError> {
        self.get_if_not(name, None).await.map(Got::object)
    }

    /// An object, if it is there, unless it still is the one that `etag` names.
    pub(super) async fn get_if_not(
        &self,
        name: &str,
        etag: Option<&str>,
    ) -> Result<Got, TierError> {
        self.hedge.run(|| Box::pin(self.get_once(name, etag))).await
    }

    async fn get_once(&self, name: &str, etag: Option<&str>) -> Result<Got, TierError> {
        let request = self.client.get_object().bucket(&self.name).key(name);
        match request
            .set_if_none_match(etag.map(str::to_owned))
            .send()
            .await
        {
            Ok(output) => {
                let object = Object::read(output).await;
                object
                    .map(Got::Object)
                    .map_err(|error| failed(error, TierErrorKind::Unreachable))
            }
            Err(error) if status(&error) == Some(304) => Ok(Got::Same),
            Err(error) if is_missing(&error) => Ok(Got::Missing),
            Err(error) => Err(sdk_error(&error)),
        }
    }

    /// What is known of an object, if it is there: its body is left out.
    pub(super) async fn head(&self, name: &str) -> Result<Option<Object>, TierError> {
        let request = self.client.head_object().bucket(&self.name).key(name);
        match request.send().await {
            Ok(output) => Ok(Some(Object {
                etag: output.e_tag,
                metadata: output.metadata.unwrap_or_default(),
                body: Vec::new(),
            })),
            // A HEAD has no body, so there is no code to tell one 403 from another.
            Err(error) if matches!(status(&error), Some(403 | 404)) => Ok(None),
            Err(error) => Err(sdk_error(&error)),
        }
    }

    pub(super) async fn put_if(
        &self,
        name: &str,
        body: String,
        there: Option<&str>,
    ) -> Result<Written, TierError> {
        let object = Object {
            body: body.into_bytes(),
            ..Object::default()
        };
        self.put_object(name, &object, there).await
    }

    /// Writes an object in the place of the one that `there` names, or of none.
    pub(super) async fn put_object(
        &self,
        name: &str,
        object: &Object,
        there: Option<&str>,
    ) -> Result<Written, TierError> {
        let request = self
            .client
            .put_object()
            .bucket(&self.name)
            .key(name)
            .content_type(content_type(name))
            .set_metadata(Some(object.metadata.clone()))
            .body(ByteStream::from(object.body.clone()));
        let request = match there {
            Some(etag) => request.if_match(etag),
            None => request.if_none_match("*"),
        };
        match request.send().await {
            Ok(output) => Ok(Written::Done { etag: output.e_tag }),
            // Precondition failed; or another conditional write at the same time; or gone meanwhile.
            Err(error) if matches!(status(&error), Some(404 | 409 | 412)) => Ok(Written::Refused),
            Err(error) => Err(sdk_error(&error)),
        }
    }

    pub(super) async fn delete(&self, name: &str) -> Result<(), TierError> {
        let request = self.client.delete_object().bucket(&self.name).key(name);
        request
            .send()
            .await
            .map(drop)
            .map_err(|error| sdk_error(&error))
    }
}

/// What a browser makes of an object, by its name: people look at them.
fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.') {
        Some((_, "json")) => "application/json",
        Some((_, "b64" | "txt")) => "text/plain",
        _ => "application/octet-stream",
    }
}

/// What a conditional PUT came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// The object is there, under this `ETag`.
    Done { etag: Option<String> },
    /// Another object was there than the caller said.
    Refused,
}

/// What a conditional GET came to.
pub(super) enum Got {
    Object(Object),
    Same,
    Missing,
}

impl Got {
    fn object(self) -> Option<Object> {
        match self {
            Self::Object(object) => Some(object),
            Self::Same | Self::Missing => None,
        }
    }
}

fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error
        .raw_response()
        .map(|response| response.status().as_u16())
}

/// Whether it says that there is no such object: with 403 where it may not be said.
fn is_missing<E: aws_sdk_s3::error::ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    match (status(error), error.code()) {
        (Some(404), code) => code != Some("NoSuchBucket"),
        (Some(403), Some("AccessDenied")) => true,
        _ => false,
    }
}

fn sdk_error<E>(error: &SdkError<E>) -> TierError
where
    E: std::error::Error + Send + Sync + 'static,
{
    let kind = match status(error) {
        Some(401 | 403) => TierErrorKind::Denied,
        Some(500..) => TierErrorKind::Unreachable,
        Some(_) => TierErrorKind::Failed,
        None => match error {
            SdkError::TimeoutError(_) => TierErrorKind::Timeout,
            _ => TierErrorKind::Unreachable,
        },
    };
    let text = aws_sdk_s3::error::DisplayErrorContext(error).to_string();
    TierError::new(NAME, kind).because(text)
}

fn failed(error: impl std::error::Error + Send + Sync + 'static, kind: TierErrorKind) -> TierError {
    TierError::new(NAME, kind).because(error)
}
