//! Errors as Lambda sees them: one of six kinds and the whole chain of causes.

use std::fmt;

use lambda_runtime::Diagnostic;

/// Why an invocation failed: the closed set of `errorType` values that alarms and callers can rely
/// on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The event or a field of it is not what the function takes. Repeating it cannot help.
    BadRequest,
    /// What the event names does not exist.
    NotFound,
    /// A system that we call, or a program that we run, failed. Repeating it may help.
    Upstream,
    /// Bytes are not what their author said they are.
    Integrity,
    /// The time given was not enough.
    Timeout,
    /// Anything else: our settings, our disk, our bug.
    Internal,
}

impl ErrorKind {
    /// The `errorType` in the answer.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "BadRequest",
            Self::NotFound => "NotFound",
            Self::Upstream => "Upstream",
            Self::Integrity => "Integrity",
            Self::Timeout => "Timeout",
            Self::Internal => "Internal",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An invocation's failure: its kind, and what was being done when what went wrong.
///
/// Printing it gives the whole chain, `could not read metadata: connection refused`, because the
/// answer to the caller is the only place where a cause can be read. Anything that becomes an
/// [`anyhow::Error`] becomes an `Internal` error by `?`; [`Kind::kind`] names a better one.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    cause: anyhow::Error,
}

impl Error {
    /// An error of `kind` with `cause`, a message or another error.
    pub fn new(kind: ErrorKind, cause: impl Into<anyhow::Error>) -> Self {
        Self {
            kind,
            cause: cause.into(),
        }
    }

    /// An error of `kind` that has no further cause.
    pub fn message(kind: ErrorKind, message: impl fmt::Display) -> Self {
        Self {
            kind,
            cause: anyhow::Error::msg(message.to_string()),
        }
    }

    /// Which of the six it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.cause)
    }
}

impl<E: Into<anyhow::Error>> From<E> for Error {
    fn from(cause: E) -> Self {
        Self::new(ErrorKind::Internal, cause)
    }
}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        Self {
            error_type: error.kind.as_str().to_owned(),
            error_message: error.to_string(),
        }
    }
}

/// Names the kind of a result's error.
pub trait Kind<T> {
    /// The same result, its error an [`Error`] of `kind`.
    fn kind(self, kind: ErrorKind) -> Result<T, Error>;
}

impl<T, E: Into<anyhow::Error>> Kind<T> for Result<T, E> {
    fn kind(self, kind: ErrorKind) -> Result<T, Error> {
        self.map_err(|cause| Error::new(kind, cause))
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn the_diagnostic_holds_the_kind_and_the_whole_chain() {
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let failed: anyhow::Result<()> = Err(refused).context("could not read metadata of slack");

        let diagnostic = Diagnostic::from(failed.kind(ErrorKind::Upstream).unwrap_err());

        assert_eq!(diagnostic.error_type, "Upstream");
        assert_eq!(
            diagnostic.error_message,
            "could not read metadata of slack: connection refused"
        );
    }

    #[test]
    fn an_error_of_no_named_kind_is_internal() {
        fn fails() -> Result<(), Error> {
            Err(std::io::Error::other("disk on fire"))?
        }
        assert_eq!(fails().unwrap_err().kind(), ErrorKind::Internal);
    }
}
