//! The source: one conditional GET for metadata, one streamed GET for a binary.

use std::{io, time::Duration};

use backon::{ExponentialBuilder, Retryable as _};
use reqwest::{
    Client, Response, StatusCode, Version,
    header::{
        ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, ETAG, HeaderValue, IF_NONE_MATCH,
        LOCATION, TRANSFER_ENCODING,
    },
    redirect::{Attempt, Policy},
};
use url::Url;

use crate::{document, error::Error, invalid_metadata::InvalidMetadata, metadata};

/// For one try at the metadata, answer and all: a few hundred bytes from a CDN. A socket that died
/// while the environment was frozen shows itself only by silence, so this is also what finding that
/// out costs.
const METADATA: Duration = Duration::from_secs(4);
const REDIRECTS: usize = 3;

/// Names in `Content-Encoding` that leave the body readable: S3 keeps the second of an upload.
const READABLE: [&str; 4] = ["identity", "aws-chunked", "gzip", "x-gzip"];
/// How much of another one is shown.
const SHOWN: usize = 40;

/// What the source said to a conditional request.
#[derive(Debug)]
pub(crate) enum Fetched {
    NotModified,
    Document {
        etag: Option<HeaderValue>,
        body: Vec<u8>,
    },
}

/// A connection pool to sources.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    client: Client,
}

impl Http {
    /// Connects to nothing yet.
    pub(crate) fn new() -> Result<Self, Error> {
        let client = larder_lambda::http_client()
            .map_err(|error| Error::Setup {
                source: error.into(),
            })?
            .redirect(Policy::custom(within_one_origin))
            .build()
            .map_err(|error| Error::Setup {
                source: error.into(),
            })?;
        Ok(Self { client })
    }

    /// Asks for the metadata at `url`, or whether it still is what `etag` names. Tried again where
    /// that may help.
    pub(crate) async fn metadata(
        &self,
        url: &Url,
        etag: Option<&HeaderValue>,
    ) -> Result<Fetched, Error> {
        let attempt = || async {
            let mut request = self.client.get(url.clone()).timeout(METADATA);
            if let Some(etag) = etag {
                request = request.header(IF_NONE_MATCH, etag);
            }
            let response = self.send(url, request).await?;
            if etag.is_some() && response.status() == StatusCode::NOT_MODIFIED {
                return Ok(Fetched::NotModified);
            }
            let etag = response.headers().get(ETAG).cloned();
            let response = success(url, response)?;
            readable(url, &response)?;
            let is_open_ended = is_open_ended(&response);
            let body = bounded(url, response).await?;
            if is_open_ended && document::is_cut(&body) {
                return Err(broke_off(url, body.len()));
            }
            Ok(Fetched::Document { etag, body })
        };
        attempt.retry(backoff()).when(Error::is_retryable).await
    }

    /// Opens the download at `url` as it lies there, and says how long the source says it is.
    pub(crate) async fn open(&self, url: &Url) -> Result<Download, Error> {
        // Hashes are of the bytes as stored, so nothing on the way may re-encode them.
        let request = self
            .client
            .get(url.clone())
            .header(ACCEPT_ENCODING, "identity");
        let response = success(url, self.send(url, request).await?)?;
        let length = response
            .headers()
            .get(CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse().ok());
        Ok(Download {
            url: url.clone(),
            is_open_ended: is_open_ended(&response),
            response,
            length,
        })
    }

    async fn send(&self, url: &Url, request: reqwest::RequestBuilder) -> Result<Response, Error> {
        request.send().await.map_err(unreachable(url))
    }
}

/// A download that has begun.
#[derive(Debug)]
pub(crate) struct Download {
    url: Url,
    response: Response,
    /// `Content-Length`, where the source sent one.
    pub(crate) length: Option<u64>,
    /// Whether only the end of the connection ends the body, so that one that was cut looks complete.
    pub(crate) is_open_ended: bool,
}

impl Download {
    /// Writes all of it to `to` and returns the number of bytes that came. Writing is to the page
    /// cache or memory, so it is done right here: handing each piece to another thread would cost
    /// more than it takes.
    ///
    /// The outer error is the source's, the inner one `to`'s.
    pub(crate) async fn copy_to(
        &mut self,
        to: &mut impl io::Write,
    ) -> Result<io::Result<u64>, Error> {
        let mut count = 0_u64;
        while let Some(piece) = self
            .response
            .chunk()
            .await
            .map_err(unreachable(&self.url))?
        {
            if let Err(error) = to.write_all(&piece) {
                return Ok(Err(error));
            }
            count += u64::try_from(piece.len()).unwrap_or_default();
        }
        Ok(Ok(count))
    }
}

/// Three tries within a second and a half: what is gone for longer is for the next invocation.
pub(crate) fn backoff() -> ExponentialBuilder {
    ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(1))
        .with_max_times(2)
        .with_jitter()
}

fn within_one_origin(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let asked = attempt.previous().first().map(Url::origin);
    if asked.as_ref() == Some(&attempt.url().origin()) && attempt.previous().len() <= REDIRECTS {
        attempt.follow()
    } else {
        attempt.stop()
    }
}

fn success(url: &Url, response: Response) -> Result<Response, Error> {
    let status = response.status();
    if status == StatusCode::OK {
        return Ok(response);
    }
    let url = Box::new(url.clone());
    match response
        .headers()
        .get(LOCATION)
        .and_then(|to| to.to_str().ok())
    {
        Some(to) if status.is_redirection() => {
            let to = if to.len() <= 200 {
                format!("to {to}")
            } else {
                "to a very long address".to_owned()
            };
            Err(Error::Redirect { url, to })
        }
        _ => Err(Error::Status {
            url,
            status: status.as_u16(),
        }),
    }
}

/// Fails where the body is packed in a way that is not understood.
fn readable(url: &Url, response: &Response) -> Result<(), Error> {
    let named = response.headers().get_all(CONTENT_ENCODING);
    let named = named.iter().filter_map(|value| value.to_str().ok());
    let named = named.flat_map(|value| value.split(',')).map(str::trim);
    let mut others = named.filter(|name| {
        let is_readable = |readable: &&str| readable.eq_ignore_ascii_case(name);
        !name.is_empty() && !READABLE.iter().any(is_readable)
    });
    let Some(other) = others.next() else {
        return Ok(());
    };
    Err(Error::Metadata {
        url: Box::new(url.clone()),
        source: InvalidMetadata::Encoding(other.chars().take(SHOWN).collect()),
    })
}

/// Whether only the end of the connection ends the body (RFC 9112, 6.3, 8).
fn is_open_ended(response: &Response) -> bool {
    let headers = response.headers();
    response.version() <= Version::HTTP_11
        && !headers.contains_key(CONTENT_LENGTH)
        && !headers.contains_key(TRANSFER_ENCODING)
}

/// A body that ended before it was complete, and did not say so.
fn broke_off(url: &Url, got: usize) -> Error {
    Error::BrokeOff {
        url: Box::new(url.clone()),
        got: u64::try_from(got).unwrap_or(u64::MAX),
    }
}

/// The body, or an error as soon as it is longer than metadata may be.
async fn bounded(url: &Url, mut response: Response) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(unreachable(url))? {
        body.extend_from_slice(&piece);
        if body.len() > metadata::MAX_BYTES {
            let max = metadata::MAX_BYTES;
            let source = InvalidMetadata::TooLong { max };
            return Err(Error::Metadata {
                url: Box::new(url.clone()),
                source,
            });
        }
    }
    Ok(body)
}

fn unreachable(url: &Url) -> impl FnOnce(reqwest::Error) -> Error + use<> {
    let url = Box::new(url.clone());
    // The URL is in our own message already.
    move |source| Error::Unreachable {
        url,
        source: source.without_url(),
    }
}
