//! Why nothing was invalidated, and what that means for whoever asked.

use std::{fmt, time::Duration};

use anyhow::Chain;
use cdn::{ErrorKind, LookupError, OrderError, Rejected};
use larder_lambda::{Error, ErrorKind as LambdaKind};

use crate::gather::Changed;

/// Why nothing was invalidated. Prints with all of its causes.
#[derive(Debug)]
pub(crate) enum Failed {
    /// Which distribution is not known.
    Lookup(LookupError),
    /// `CloudFront` has refused, or there is no room.
    Order(OrderError),
    /// `CloudFront` could not be asked how an invalidation stands.
    Asked(cdn::Error),
    /// An object that no item can name.
    Rejected(Rejected),
    /// A message that cannot be meant.
    Invalid(String),
    /// It took longer than there was time for.
    Late(Duration),
}

impl Failed {
    /// What it means.
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::Lookup(LookupError::NotFound(_)) => ErrorKind::NoDistribution,
            Self::Lookup(LookupError::Refused(error)) => error.kind,
            Self::Order(error) => error.kind(),
            Self::Asked(error) => error.kind,
            Self::Rejected(_) | Self::Invalid(_) => ErrorKind::Invalid,
            Self::Lookup(_) | Self::Late(_) => ErrorKind::Unavailable,
        }
    }

    /// Where to part changes that failed together, of which those with wildcards come last, so that some of them may succeed: what is
    /// refused may be one item of many, and where there is no room for a wildcard there may be for paths.
    pub(crate) fn parting(&self, changes: &[Changed]) -> Option<usize> {
        let half = (changes.len() > 1).then_some(changes.len() / 2);
        match self {
            Self::Order(OrderError::NoRoom { .. }) => {
                let narrow = changes.partition_point(|change| !change.is_wide());
                let is_mixed = (1..changes.len()).contains(&narrow);
                if is_mixed { Some(narrow) } else { half }
            }
            _ => half.filter(|_| self.kind() == ErrorKind::Invalid),
        }
    }

    /// The same as an invocation's error.
    pub(crate) fn into_error(self) -> Error {
        let kind = match self.kind() {
            ErrorKind::NoDistribution | ErrorKind::NoInvalidation => LambdaKind::NotFound,
            ErrorKind::Invalid => LambdaKind::BadRequest,
            _ if matches!(self, Self::Late(_)) => LambdaKind::Timeout,
            _ => LambdaKind::Upstream,
        };
        Error::message(kind, self)
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lookup(error @ LookupError::NotFound(_)) => {
                write!(f, "{error}, as DISTRIBUTION_ID")
            }
            Self::Lookup(error) => chain(f, error),
            Self::Order(error) => chain(f, error),
            Self::Asked(error) => chain(f, error),
            Self::Rejected(rejected) => write!(
                f,
                "the object cannot be invalidated by its name: {rejected}"
            ),
            Self::Invalid(problem) => write!(f, "the message means nothing: {problem}"),
            Self::Late(time) => write!(f, "not done within {} ms; ask again", time.as_millis()),
        }
    }
}

/// An error, and what caused it.
fn chain(f: &mut fmt::Formatter<'_>, error: &(dyn std::error::Error + 'static)) -> fmt::Result {
    let all: Vec<_> = Chain::new(error).map(ToString::to_string).collect();
    f.write_str(&all.join(": "))
}

impl From<LookupError> for Failed {
    fn from(error: LookupError) -> Self {
        Self::Lookup(error)
    }
}
