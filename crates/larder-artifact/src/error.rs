//! What can go wrong on the way to a verified binary.

use std::{io, path::PathBuf, time::Duration};

use url::Url;

use crate::{digest::Mismatch, disk, invalid_metadata::InvalidMetadata};

/// What kind of failure it is, for callers that map it to their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The source says that there is no such artifact.
    NotFound,
    /// The source cannot be reached or fails.
    Upstream,
    /// Bytes, metadata or signatures are not what they should be.
    Integrity,
    /// The time given was not enough.
    Timeout,
    /// This machine: its disk, its limits.
    Local,
}

/// A failure to get hold of a verified binary.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The HTTP client could not be made.
    #[error("could not set up the HTTP client")]
    Setup {
        /// The TLS or HTTP library's error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No answer, or one that broke off.
    #[error("could not reach {url}")]
    Unreachable {
        /// What was asked for.
        url: Box<Url>,
        /// The transport's error.
        source: reqwest::Error,
    },
    /// An answer that ended with its connection, before it was complete.
    #[error(
        "{url} broke off after {got} bytes: the connection ended, and the answer has no Content-Length"
    )]
    BrokeOff {
        /// What was asked for.
        url: Box<Url>,
        /// The bytes that came.
        got: u64,
    },
    /// An answer with a status that is neither success nor "not modified".
    #[error("{url} answered {status}")]
    Status {
        /// What was asked for.
        url: Box<Url>,
        /// The HTTP status.
        status: u16,
    },
    /// A redirect to another host, or more than a few of them.
    #[error("{url} redirects {to}, which is not followed: only redirects within one origin are")]
    Redirect {
        /// What was asked for.
        url: Box<Url>,
        /// Where to, in words.
        to: String,
    },
    /// Metadata that cannot be used.
    #[error("the metadata at {url} cannot be used")]
    Metadata {
        /// Where it came from.
        url: Box<Url>,
        /// What is wrong with it.
        source: InvalidMetadata,
    },
    /// A download that is not what the metadata promises.
    #[error(
        "{url} is not what its metadata says: {source}; publish the binary again, then its metadata"
    )]
    Content {
        /// The download.
        url: Box<Url>,
        /// How it differs.
        source: Mismatch,
    },
    /// A compressed download that does not decompress.
    #[error("{url} is not the gzip file that its metadata says it is")]
    Compression {
        /// The download.
        url: Box<Url>,
        /// The decompressor's error.
        source: io::Error,
    },
    /// Not enough disk space.
    #[error(
        "no space for {size} bytes in {}: {available} bytes are free; give the function more ephemeral storage",
        dir.display()
    )]
    DiskFull {
        /// Where the binary was to go.
        dir: PathBuf,
        /// Its size in bytes.
        size: u64,
        /// What was free, in bytes.
        available: u64,
    },
    /// Another error of a file or a directory.
    #[error("could not {doing} {}", path.display())]
    Disk {
        /// What was being done, as a verb.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Time ran out.
    #[error("could not {doing} within {} ms", time.as_millis())]
    Timeout {
        /// What was being done, as a verb.
        doing: &'static str,
        /// The time given.
        time: Duration,
    },
}

impl Error {
    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            // S3 answers 403 for an object that is missing to whoever may not list the bucket.
            Self::Status {
                status: 403 | 404 | 410,
                ..
            } => ErrorKind::NotFound,
            Self::Unreachable { .. } | Self::BrokeOff { .. } | Self::Status { .. } => {
                ErrorKind::Upstream
            }
            Self::Redirect { .. }
            | Self::Metadata { .. }
            | Self::Content { .. }
            | Self::Compression { .. } => ErrorKind::Integrity,
            Self::Timeout { .. } => ErrorKind::Timeout,
            Self::Setup { .. } | Self::DiskFull { .. } | Self::Disk { .. } => ErrorKind::Local,
        }
    }

    /// Whether the same request may well succeed a moment later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::BrokeOff { .. } => true,
            Self::Status { status, .. } => matches!(status, 408 | 425 | 429 | 500..),
            _ => false,
        }
    }

    /// Whether the last verified binary may stand in: the source is away, or says nothing newer
    /// than we know, or there is no room for what is newer beside it. A source that is there and says
    /// something wrong is not such a case.
    #[must_use]
    pub fn allows_stale(&self) -> bool {
        match self {
            Self::Metadata { source, .. } => {
                matches!(
                    source,
                    InvalidMetadata::Expired { .. } | InvalidMetadata::RolledBack { .. }
                )
            }
            Self::Timeout { .. } | Self::DiskFull { .. } => true,
            Self::Disk { source, .. } => disk::is_full(source),
            other => other.is_retryable(),
        }
    }

    pub(crate) fn disk(
        doing: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Disk {
            doing,
            path,
            source,
        }
    }
}

/// An error and all its causes in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    fn status(status: u16) -> Error {
        Error::Status {
            url: Box::new(Url::parse("https://releases.example.com/x").unwrap()),
            status,
        }
    }

    #[test]
    fn a_server_in_trouble_is_asked_again_and_may_be_stood_in_for() {
        for code in [408, 429, 500, 502, 503, 504] {
            assert!(
                status(code).is_retryable() && status(code).allows_stale(),
                "{code}"
            );
            assert_eq!(status(code).kind(), ErrorKind::Upstream);
        }
    }

    #[test]
    fn a_full_disk_is_stood_in_for_and_a_broken_one_is_not() {
        let full = Error::DiskFull {
            dir: "/tmp".into(),
            size: 2,
            available: 1,
        };
        assert!(full.allows_stale() && !full.is_retryable());
        for (errno, is_full) in [
            (Errno::NOSPC, true),
            (Errno::DQUOT, true),
            (Errno::FBIG, true),
            (Errno::IO, false),
            (Errno::ACCESS, false),
        ] {
            let error = Error::disk("create a file in", "/tmp")(errno.into());
            assert_eq!(error.allows_stale(), is_full, "{errno}");
            assert_eq!(error.kind(), ErrorKind::Local);
        }
    }

    #[test]
    fn a_server_that_says_no_is_believed() {
        for code in [403, 404, 410] {
            assert!(
                !status(code).is_retryable() && !status(code).allows_stale(),
                "{code}"
            );
            assert_eq!(status(code).kind(), ErrorKind::NotFound);
        }
        assert_eq!(status(400).kind(), ErrorKind::Upstream);
        assert!(!status(400).is_retryable());
    }
}
