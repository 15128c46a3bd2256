//! What can go wrong, and whether it may be tried again.

use std::{fmt, sync::Arc, time::Duration};

use crate::{codec::CodecError, frame::TooLarge, key::KeyTooLong, tier::TierError};

/// A cache that could not do what it was asked to. Tiers' failures are among it only where there is
/// nobody else to ask.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The key cannot be stored.
    #[error(transparent)]
    Key(#[from] KeyTooLong),
    /// The value cannot be written as bytes.
    #[error("a value of keyspace `{keyspace}` cannot be encoded: {source}")]
    Encode {
        /// Whose value.
        keyspace: &'static str,
        /// What the codec said.
        source: CodecError,
    },
    /// The entry has no frame.
    #[error("an entry of keyspace `{keyspace}` is too large: {source}")]
    TooLarge {
        /// Whose entry.
        keyspace: &'static str,
        /// By what.
        source: TooLarge,
    },
    /// No tier had it, and not all could be asked.
    #[error(transparent)]
    Tier(#[from] TierError),
}

impl Error {
    /// Whether the same may succeed a little later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Tier(error) if error.is_retryable())
    }
}

/// A value that could not be had. All who waited for the same load get the same.
#[non_exhaustive]
pub enum LoadError<E> {
    /// The loader failed, and nothing could stand in.
    Origin(Arc<E>),
    /// The loader took longer than its hard timeout.
    Timeout(Duration),
    /// The loader panicked.
    Panicked,
    /// The loader said that a value is not modified, and there was none.
    NothingToKeep,
}

impl<E> LoadError<E> {
    /// Whether the same may succeed a little later, as far as the cache can tell: of an origin's error its
    /// owner knows more.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Timeout(_))
    }
}

impl<E> Clone for LoadError<E> {
    fn clone(&self) -> Self {
        match self {
            Self::Origin(error) => Self::Origin(Arc::clone(error)),
            Self::Timeout(after) => Self::Timeout(*after),
            Self::Panicked => Self::Panicked,
            Self::NothingToKeep => Self::NothingToKeep,
        }
    }
}

impl<E: fmt::Display> fmt::Display for LoadError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Origin(error) => write!(f, "the value could not be loaded: {error}"),
            Self::Timeout(after) => write!(
                f,
                "the value was not loaded within {} ms: give it a longer hard timeout",
                after.as_millis()
            ),
            Self::Panicked => f.write_str("the loader panicked"),
            Self::NothingToKeep => f.write_str(
                "the loader said that the value is not modified, and it had none to keep: answer so only where `Load::stale` is there",
            ),
        }
    }
}

impl<E: fmt::Debug> fmt::Debug for LoadError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Origin(error) => f.debug_tuple("Origin").field(error).finish(),
            Self::Timeout(after) => f.debug_tuple("Timeout").field(after).finish(),
            Self::Panicked => f.write_str("Panicked"),
            Self::NothingToKeep => f.write_str("NothingToKeep"),
        }
    }
}

impl<E: std::error::Error + 'static> std::error::Error for LoadError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Origin(error) => error.source(),
            Self::Timeout(_) | Self::Panicked | Self::NothingToKeep => None,
        }
    }
}
