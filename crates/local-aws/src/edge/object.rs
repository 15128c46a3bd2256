//! An object as the edge holds it, and the answers it makes of it.

use std::time::{Duration, Instant};

use aws_sdk_s3::{
    Client,
    error::SdkError,
    operation::get_object::{GetObjectError, GetObjectOutput},
    primitives::DateTimeFormat,
};
use axum::{
    body::{Body, Bytes},
    response::Response,
};
use http::{HeaderMap, StatusCode, header, response::Builder};
use uuid::Uuid;

use super::{covered, freshness::lifetime};

/// The metadata that S3 sends as `x-amz-meta-cache-tag`, which a distribution may be told to look for.
const TAGS: [&str; 2] = ["cache-tag", "cache-tags"];

/// The bucket behind an edge.
#[derive(Debug)]
pub(super) struct Origin {
    s3: Client,
    bucket: String,
    /// What stands before every key: nothing, or `folder/`.
    prefix: String,
}

/// What the origin said, and until when it holds.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
    content_type: String,
    etag: Option<String>,
    last_modified: Option<String>,
    cache_control: Option<String>,
    /// What it may be invalidated by, in lower case.
    pub(super) tags: Vec<String>,
    since: Instant,
    lifetime: Duration,
}

impl Origin {
    pub(super) fn new(s3: Client, bucket: &str, path: &str) -> Self {
        let path = path.trim_matches('/');
        Self {
            s3,
            bucket: bucket.to_owned(),
            prefix: if path.is_empty() {
                String::new()
            } else {
                format!("{path}/")
            },
        }
    }

    /// Asks the origin, or only whether it changed where something is held: then `None` means that it
    /// did not. Fails if the origin gives no answer.
    pub(super) async fn fetch(
        &self,
        path: &str,
        held: Option<&Object>,
    ) -> anyhow::Result<Option<Object>> {
        // S3 takes a plus sign in a path for a blank.
        let path = path.trim_start_matches('/').replace('+', " ");
        let key = covered::decode(&path);
        let key = String::from_utf8_lossy(&key);
        if key.is_empty() {
            return Ok(Some(Object::error(StatusCode::FORBIDDEN)));
        }
        let sent = self
            .s3
            .get_object()
            .bucket(&self.bucket)
            .key(format!("{}{key}", self.prefix))
            .set_if_none_match(held.and_then(|held| held.etag.clone()))
            .send()
            .await;
        match sent {
            Ok(found) => Object::found(found).await.map(Some),
            Err(SdkError::ServiceError(error)) => {
                let status = StatusCode::from_u16(error.raw().status().as_u16())?;
                Ok(match (status, error.err()) {
                    (StatusCode::NOT_MODIFIED, _) => None,
                    (_, GetObjectError::NoSuchKey(_)) => Some(Object::error(StatusCode::NOT_FOUND)),
                    _ => Some(Object::error(status)),
                })
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl Object {
    async fn found(found: GetObjectOutput) -> anyhow::Result<Self> {
        let metadata = found.metadata.unwrap_or_default();
        let tags = TAGS.iter().filter_map(|name| metadata.get(*name));
        let cache_control = found.cache_control;
        Ok(Self {
            status: StatusCode::OK,
            content_type: found
                .content_type
                .unwrap_or_else(|| "binary/octet-stream".to_owned()),
            etag: found.e_tag,
            last_modified: found
                .last_modified
                .and_then(|time| time.fmt(DateTimeFormat::HttpDate).ok()),
            tags: tags.flat_map(|value| covered::tags(value)).collect(),
            lifetime: lifetime(true, cache_control.as_deref()),
            cache_control,
            since: Instant::now(),
            body: found.body.collect().await?.into_bytes(),
        })
    }

    pub(super) fn error(status: StatusCode) -> Self {
        let code = match status {
            StatusCode::NOT_FOUND => "NoSuchKey",
            StatusCode::FORBIDDEN => "AccessDenied",
            _ => "ServiceUnavailable",
        };
        Self {
            status,
            body: Bytes::from(format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code></Error>"
            )),
            content_type: "application/xml".to_owned(),
            etag: None,
            last_modified: None,
            cache_control: None,
            tags: Vec::new(),
            since: Instant::now(),
            lifetime: lifetime(false, None),
        }
    }

    pub(super) fn is_fresh(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) < self.lifetime
    }

    pub(super) fn may_be_kept(&self) -> bool {
        // What has to be asked about every time is kept for its ETag's sake.
        !self.lifetime.is_zero() || self.etag.is_some()
    }

    /// The same, just confirmed by the origin.
    pub(super) fn refreshed(&self) -> Self {
        Self {
            since: Instant::now(),
            ..self.clone()
        }
    }

    /// The answer to a request with these headers.
    pub(super) fn respond(&self, asked: &HeaderMap, cache: &'static str) -> Response {
        let text = |name| asked.get(name).and_then(|value| value.to_str().ok());
        let mut response = Response::builder()
            .header(header::SERVER, "AmazonS3")
            .header(header::VIA, "1.1 local.cloudfront.net (CloudFront)")
            .header("X-Cache", format!("{cache} from cloudfront"))
            .header("X-Amz-Cf-Id", Uuid::new_v4().simple().to_string())
            .header(header::AGE, self.since.elapsed().as_secs())
            .header(header::CONTENT_TYPE, &self.content_type)
            .header(header::ACCEPT_RANGES, "bytes");
        let validators = [
            (header::ETAG, &self.etag),
            (header::LAST_MODIFIED, &self.last_modified),
            (header::CACHE_CONTROL, &self.cache_control),
        ];
        for (name, value) in validators {
            if let Some(value) = value {
                response = response.header(name, value);
            }
        }
        if self.status.is_success() {
            if text(header::IF_NONE_MATCH).is_some_and(|asked| self.matches(asked)) {
                return finish(response.status(StatusCode::NOT_MODIFIED), Bytes::new());
            }
            if let Some(range) = text(header::RANGE) {
                return self.respond_range(range, response);
            }
        }
        finish(response.status(self.status), self.body.clone())
    }

    fn matches(&self, asked: &str) -> bool {
        let weak = |etag: &str| etag.trim().trim_start_matches("W/").to_owned();
        self.etag.as_deref().is_some_and(|etag| {
            asked
                .split(',')
                .any(|one| one.trim() == "*" || weak(one) == weak(etag))
        })
    }

    fn respond_range(&self, range: &str, response: Builder) -> Response {
        let length = self.body.len();
        match parse_range(range, length) {
            Some((from, to)) => {
                let response = response.header(
                    header::CONTENT_RANGE,
                    format!("bytes {from}-{}/{length}", to - 1),
                );
                finish(
                    response.status(StatusCode::PARTIAL_CONTENT),
                    self.body.slice(from..to),
                )
            }
            None => {
                let response = response.header(header::CONTENT_RANGE, format!("bytes */{length}"));
                finish(
                    response.status(StatusCode::RANGE_NOT_SATISFIABLE),
                    Bytes::new(),
                )
            }
        }
    }
}

fn finish(response: Builder, body: Bytes) -> Response {
    response.body(Body::from(body)).unwrap_or_default()
}

/// One range of `bytes=from-to`, `bytes=from-` or `bytes=-last`, as a half-open interval inside
/// `length`.
fn parse_range(range: &str, length: usize) -> Option<(usize, usize)> {
    let (from, to) = range.strip_prefix("bytes=")?.split_once('-')?;
    let (from, to) = match (from.parse::<usize>().ok(), to.parse::<usize>().ok()) {
        (Some(from), Some(to)) => (from, to.saturating_add(1).min(length)),
        (Some(from), None) if to.is_empty() => (from, length),
        (None, Some(last)) if from.is_empty() => (length.saturating_sub(last), length),
        _ => return None,
    };
    (from < to).then_some((from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_clipped_to_the_object() {
        assert_eq!(parse_range("bytes=0-3", 10), Some((0, 4)));
        assert_eq!(parse_range("bytes=8-99", 10), Some((8, 10)));
        assert_eq!(parse_range("bytes=4-", 10), Some((4, 10)));
        assert_eq!(parse_range("bytes=-3", 10), Some((7, 10)));
        for wrong in [
            "bytes=10-",
            "bytes=5-2",
            "bytes=a-b",
            "items=0-1",
            "bytes=",
            "bytes=-0",
        ] {
            assert_eq!(parse_range(wrong, 10), None, "{wrong}");
        }
    }
}
