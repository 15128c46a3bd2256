//! Answers of the function's URL.

use std::collections::BTreeMap;

use larder_lambda::{Error, ErrorKind};
use serde::Serialize;
use serde_json::{Value, json};

use super::Request;
use crate::{answer::Failure, html};

/// The content that our pages load: no scripts, nothing from elsewhere.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'";
/// For how long a client should leave a source alone that is away: as long as this process does.
const RETRY_AFTER_SECONDS: i64 = crate::reports::ALONE.as_secs();

/// An answer to a [`Request`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    status_code: u16,
    headers: BTreeMap<&'static str, String>,
    /// Never any; `cargo lambda watch` answers 500 where the field is missing.
    cookies: [&'static str; 0],
    body: String,
    is_base64_encoded: bool,
}

impl Response {
    fn new(status_code: u16, kind: &str, body: String) -> Self {
        let headers = [
            ("content-type", kind),
            ("content-security-policy", POLICY),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
        ];
        Self {
            status_code,
            headers: headers.map(|(name, value)| (name, value.to_owned())).into(),
            cookies: [],
            body,
            is_base64_encoded: false,
        }
    }

    pub(super) fn json(status_code: u16, body: &Value) -> Self {
        Self::new(status_code, "application/json", body.to_string())
    }

    pub(super) fn html(status_code: u16, body: String) -> Self {
        Self::new(status_code, "text/html; charset=utf-8", body)
    }

    pub(super) fn png(base64: String) -> Self {
        let mut response = Self::new(200, "image/png", base64);
        response.is_base64_encoded = true;
        response
    }

    pub(super) fn redirect(to: String) -> Self {
        Self::new(302, "text/plain", String::new()).with("location", to)
    }

    /// The answer to a webhook that was read.
    pub(crate) fn taken() -> Self {
        Self::json(200, &json!({}))
    }

    /// Refuses `request` with `status_code`: a page for a browser, JSON for any other client.
    pub(crate) fn refusal(request: &Request, status_code: u16, error: &Error) -> Self {
        let failure = Failure {
            kind: error.kind().as_str(),
            message: public_message(error),
        };
        let mut response = if request.wants_page() {
            let title = title(status_code);
            let page = html::refusal(title, &failure.message, &request.root());
            Self::html(status_code, page)
        } else {
            Self::json(status_code, &json!({ "error": failure }))
        };
        if status_code == 503 {
            response = response.with("retry-after", RETRY_AFTER_SECONDS.to_string());
        }
        response
    }

    /// The answer to a request that cannot be read.
    pub(crate) fn unreadable(why: String) -> Self {
        let failure = Failure {
            kind: ErrorKind::BadRequest.as_str(),
            message: why,
        };
        Self::json(400, &json!({ "error": failure }))
    }

    /// Answers `request` with the status of `error`.
    pub(super) fn failure(request: &Request, error: &Error) -> Self {
        Self::refusal(request, status_of(error.kind()), error)
    }

    pub(super) fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// The same without a body, as `HEAD` wants it.
    pub(super) fn without_body(self) -> Self {
        Self {
            body: String::new(),
            is_base64_encoded: false,
            ..self
        }
    }

    /// Checks for a status of 500 or more.
    pub(super) fn is_failure(&self) -> bool {
        self.status_code >= 500
    }
}

fn status_of(kind: ErrorKind) -> u16 {
    match kind {
        ErrorKind::BadRequest => 400,
        ErrorKind::NotFound => 404,
        ErrorKind::Upstream | ErrorKind::Timeout => 503,
        ErrorKind::Integrity => 502,
        ErrorKind::Internal => 500,
    }
}

/// The message for the client: the whole error of a bad request, and no cause of a failure of ours.
fn public_message(error: &Error) -> String {
    match error.kind() {
        ErrorKind::BadRequest | ErrorKind::NotFound => error.to_string(),
        ErrorKind::Upstream => format!(
            "a source that is needed for this does not answer: try again in {RETRY_AFTER_SECONDS} s"
        ),
        ErrorKind::Timeout => {
            format!("this was not done in time: try again in {RETRY_AFTER_SECONDS} s")
        }
        ErrorKind::Integrity | ErrorKind::Internal => {
            "the function failed: its log has the cause".to_owned()
        }
    }
}

fn title(status_code: u16) -> &'static str {
    match status_code {
        400 => "Bad request",
        403 => "Forbidden",
        404 => "Not found",
        405 => "Method not allowed",
        503 => "Not available",
        _ => "Error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_error_has_a_status_and_keeps_causes_private() {
        let request = Request::of("GET", "/reports/DBS19", &[]);
        let cases = [
            (ErrorKind::BadRequest, 400, true, None),
            (ErrorKind::NotFound, 404, true, None),
            (ErrorKind::Upstream, 503, false, Some("30")),
            (ErrorKind::Timeout, 503, false, Some("30")),
            (ErrorKind::Integrity, 502, false, None),
            (ErrorKind::Internal, 500, false, None),
        ];
        for (kind, status, is_told, retry_after) in cases {
            let error = Error::message(kind, "of D05.SI");
            let response = Response::failure(&request, &error);
            assert_eq!(response.status_code, status);
            assert_eq!(response.body.contains("of D05.SI"), is_told, "{kind}");
            assert!(response.body.contains(kind.as_str()), "{}", response.body);
            let after = response.headers.get("retry-after").map(String::as_str);
            assert_eq!(after, retry_after);
            assert_eq!(response.is_failure(), status >= 500);
        }
    }

    #[test]
    fn refusals_are_pages_for_browsers_and_escape_what_was_asked() {
        let browser = Request::of("GET", "/reports/x", &[]).accepting("text/html,*/*;q=0.8");
        let error = Error::message(ErrorKind::BadRequest, "\"<script>\" is no ticker");
        let page = Response::failure(&browser, &error);
        assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
        assert!(page.body.contains("Bad request") && page.body.contains("&lt;script&gt;"));
        assert!(!page.body.contains("<script>"));
        let empty = page.without_body();
        assert_eq!((empty.status_code, empty.body.as_str()), (400, ""));
    }

    #[test]
    fn answers_name_their_cookies_though_there_are_none() {
        let answer = serde_json::to_value(Response::taken()).unwrap();
        assert_eq!(answer["cookies"], json!([]));
    }
}
