//! How CloudFront fails, told apart by what can be done about it.

use std::fmt;

use aws_sdk_cloudfront::{
    config::http::HttpResponse,
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
};

/// What a failure means for whoever asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// 3,000 paths or 15 wildcards would be in progress: again once some are done.
    TooManyInProgress,
    /// The account asks too often: again later.
    Throttled,
    /// The service is overloaded or away, or did not answer in time: again later.
    Unavailable,
    /// The reference was used for an earlier invalidation: what was asked for was asked before.
    Duplicate,
    /// An item is none that `CloudFront` takes.
    Invalid,
    /// There is no such distribution.
    NoDistribution,
    /// There is no such invalidation.
    NoInvalidation,
    /// The credentials may not do this.
    Denied,
    /// Anything else.
    Other,
}

impl ErrorKind {
    /// Whether the same may succeed later.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        matches!(
            self,
            Self::TooManyInProgress | Self::Throttled | Self::Unavailable
        )
    }

    fn of(code: &str, status: u16, message: &str) -> Self {
        match code {
            "TooManyInvalidationsInProgress" => Self::TooManyInProgress,
            "Throttling"
            | "ThrottlingException"
            | "RequestLimitExceeded"
            | "TooManyRequestsException" => Self::Throttled,
            "InvalidationBatchAlreadyExists" => Self::Duplicate,
            // Documented for invalid arguments of any sort, and seen for this one.
            "InvalidArgument" if message.contains("caller reference that was used") => {
                Self::Duplicate
            }
            "InvalidArgument" | "BatchTooLarge" | "InconsistentQuantities" | "MissingBody" => {
                Self::Invalid
            }
            "NoSuchDistribution" => Self::NoDistribution,
            "NoSuchInvalidation" => Self::NoInvalidation,
            "AccessDenied" | "AccessDeniedException" => Self::Denied,
            "ServiceUnavailable" => Self::Unavailable,
            _ => match status {
                403 => Self::Denied,
                429 => Self::Throttled,
                500.. => Self::Unavailable,
                _ => Self::Other,
            },
        }
    }
}

/// `CloudFront` has refused something, or cannot be asked.
#[derive(Debug, thiserror::Error)]
#[error("CloudFront's {operation} of {on} failed: {}", Told(.code.as_deref(), .message.as_deref()))]
pub struct Error {
    /// What it means.
    pub kind: ErrorKind,
    /// The service's own code for it, if it answered.
    pub code: Option<String>,
    operation: &'static str,
    on: String,
    message: Option<String>,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Code and message, as far as there are any.
struct Told<'a>(Option<&'a str>, Option<&'a str>);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Told(Some(code), Some(message)) => write!(f, "{code}: {message}"),
            Told(Some(one), None) | Told(None, Some(one)) => f.write_str(one),
            Told(None, None) => f.write_str("it gave no answer"),
        }
    }
}

impl Error {
    /// What an operation on a distribution came to.
    pub(crate) fn of<E>(operation: &'static str, on: &str, error: SdkError<E, HttpResponse>) -> Self
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        let code = error.code().map(str::to_owned);
        let message = error
            .message()
            .map(|text| text.chars().take(300).collect::<String>());
        let status = error
            .raw_response()
            .map(|response| response.status().as_u16());
        let kind = match (&code, status) {
            // Not sent, not answered, or not in time.
            (None, None) => ErrorKind::Unavailable,
            (code, status) => ErrorKind::of(
                code.as_deref().unwrap_or_default(),
                status.unwrap_or_default(),
                message.as_deref().unwrap_or_default(),
            ),
        };
        let message = message.or_else(|| status.map(|status| format!("it answered {status}")));
        // What the service says is said already.
        let is_said = message.is_some();
        Self {
            kind,
            code,
            operation,
            on: on.to_owned(),
            message,
            source: (!is_said).then(|| Box::new(error).into()),
        }
    }

    /// An answer that lacks what every answer has.
    pub(crate) fn no_answer(operation: &'static str, on: &str) -> Self {
        Self {
            kind: ErrorKind::Other,
            code: None,
            operation,
            on: on.to_owned(),
            message: Some("the answer is empty".to_owned()),
            source: None,
        }
    }

    /// Whether the same may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.kind.is_retryable()
    }
}

/// An error of any client with all of its causes, cut where it would fill a log.
pub(crate) fn told(error: &(impl std::error::Error + 'static)) -> String {
    let told = DisplayErrorContext(error).to_string();
    told.chars().take(500).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_done_later_is_told_from_what_cannot() {
        let duplicate = "Your request contains a caller reference that was used for a previous invalidation batch for the same distribution.";
        for (code, status, message, kind) in [
            (
                "TooManyInvalidationsInProgress",
                400,
                "",
                ErrorKind::TooManyInProgress,
            ),
            ("Throttling", 400, "Rate exceeded", ErrorKind::Throttled),
            ("ServiceUnavailable", 503, "", ErrorKind::Unavailable),
            ("", 502, "", ErrorKind::Unavailable),
            ("InvalidArgument", 400, duplicate, ErrorKind::Duplicate),
            (
                "InvalidationBatchAlreadyExists",
                400,
                "",
                ErrorKind::Duplicate,
            ),
            (
                "InvalidArgument",
                400,
                "one or more invalid invalidation paths.",
                ErrorKind::Invalid,
            ),
            ("AccessDenied", 403, "", ErrorKind::Denied),
            ("SignatureDoesNotMatch", 403, "", ErrorKind::Denied),
            ("NoSuchDistribution", 404, "", ErrorKind::NoDistribution),
            ("Teapot", 418, "", ErrorKind::Other),
        ] {
            assert_eq!(ErrorKind::of(code, status, message), kind, "{code}");
        }
    }
}
