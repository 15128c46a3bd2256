//! PDFs in the bucket: stored once, found again, and linked to anew with each answer.

use std::time::{Duration, SystemTime};

use aws_sdk_s3::{
    Client, config::ProvideCredentials as _, error::SdkError,
    operation::head_object::HeadObjectError, presigning::PresigningConfig, primitives::ByteStream,
};
use aws_types::{SdkConfig, sdk_config::SharedCredentialsProvider};

use crate::{keys, report::Report};

/// Which report a PDF is of, in its metadata.
const VERSION: &str = "report-generated-at";
/// Nothing tells a function when the session of its role ends, only that it has not ended yet. Lambda hands out new ones long
/// before: within this time a link is not outlived by what it was signed with.
const OF_A_SESSION: Duration = Duration::from_hours(1);
/// Taken off what credentials say of themselves: clocks differ.
const MARGIN: Duration = Duration::from_mins(1);

/// Where PDFs are.
#[derive(Clone, Debug)]
pub(crate) struct Pdfs {
    client: Client,
    bucket: String,
    life: Duration,
    credentials: Option<SharedCredentialsProvider>,
}

/// A link to a PDF.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) url: String,
    /// How long it can be followed.
    pub(crate) life: Duration,
}

/// The bucket could not be asked.
#[derive(Debug, thiserror::Error)]
#[error("the PDF cannot be {what} in the bucket {bucket}")]
pub(crate) struct NoPdf {
    what: &'static str,
    bucket: String,
    source: anyhow::Error,
}

impl Pdfs {
    pub(crate) fn new(client: Client, bucket: &str, life: Duration, aws: &SdkConfig) -> Self {
        Self {
            client,
            bucket: bucket.to_owned(),
            life,
            credentials: aws.credentials_provider(),
        }
    }

    /// Whether the PDF of exactly this report is there.
    pub(crate) async fn has(&self, report: &Report) -> Result<bool, NoPdf> {
        let head = self.client.head_object().bucket(&self.bucket);
        match head.key(name(report)).send().await {
            Ok(head) => {
                let of = head.metadata().and_then(|metadata| metadata.get(VERSION));
                Ok(of == Some(&report.generated_at.to_string()))
            }
            // 403 is what S3 answers for what is not there to whoever may not list.
            Err(error) if matches!(status(&error), Some(403 | 404)) => Ok(false),
            Err(error) => Err(self.error("found", error)),
        }
    }

    /// Stores the PDF of `report`, in the place of that of an earlier one.
    pub(crate) async fn put(&self, report: &Report, pdf: Vec<u8>) -> Result<(), NoPdf> {
        let put = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(name(report))
            .content_type("application/pdf")
            .metadata(VERSION, report.generated_at.to_string())
            .body(ByteStream::from(pdf));
        let put = put.send().await;
        put.map(drop).map_err(|error| self.error("stored", error))
    }

    /// Deletes all PDFs whose names begin with `prefix`.
    pub(crate) async fn delete(&self, prefix: &str) -> Result<(), NoPdf> {
        let list = self.client.list_objects_v2().bucket(&self.bucket);
        let mut pages = list.prefix(prefix).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.error("listed", error))?;
            for name in page.contents().iter().filter_map(|object| object.key()) {
                let delete = self.client.delete_object().bucket(&self.bucket).key(name);
                let deleted = delete.send().await;
                deleted.map_err(|error| self.error("deleted", error))?;
            }
        }
        Ok(())
    }

    /// A link to the PDF of `report`, for as long as is wished and no longer than the credentials live.
    pub(crate) async fn link(&self, report: &Report) -> Result<Link, NoPdf> {
        let life = self.life.min(self.credentials_life().await?);
        let config = PresigningConfig::expires_in(life);
        let config = config.map_err(|error| self.error("linked", error))?;
        let get = self.client.get_object().bucket(&self.bucket);
        let signed = get.key(name(report)).presigned(config).await;
        let signed = signed.map_err(|error| self.error("linked", error))?;
        let url = signed.uri().to_owned();
        Ok(Link { url, life })
    }

    async fn credentials_life(&self) -> Result<Duration, NoPdf> {
        let Some(provider) = &self.credentials else {
            return Ok(Duration::MAX);
        };
        let credentials = provider.provide_credentials().await;
        let credentials = credentials.map_err(|error| self.error("linked", error))?;
        Ok(life(
            credentials.expiry(),
            credentials.session_token().is_some(),
            SystemTime::now(),
        ))
    }

    fn error(&self, what: &'static str, source: impl Into<anyhow::Error>) -> NoPdf {
        NoPdf {
            what,
            bucket: self.bucket.clone(),
            source: source.into(),
        }
    }
}

fn name(report: &Report) -> String {
    keys::pdf(&report.ticker, report.date, report.language)
}

fn status(error: &SdkError<HeadObjectError>) -> Option<u16> {
    let response = error.raw_response();
    response.map(|response| response.status().as_u16())
}

/// How long credentials live at least: what they say, or else what is safe.
fn life(expiry: Option<SystemTime>, is_session: bool, now: SystemTime) -> Duration {
    match expiry {
        Some(expiry) => {
            let left = expiry.duration_since(now).unwrap_or_default();
            left.saturating_sub(MARGIN).max(Duration::from_secs(1))
        }
        None if is_session => OF_A_SESSION,
        None => Duration::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_presigned_url_outlives_no_credential() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(1_000);
        let minutes = |minutes| now + Duration::from_mins(minutes);
        assert_eq!(life(Some(minutes(31)), true, now), Duration::from_mins(30));
        assert_eq!(life(Some(now), true, now), Duration::from_secs(1));
        assert_eq!(life(None, true, now), OF_A_SESSION);
        assert_eq!(life(None, false, now), Duration::MAX);
    }
}
