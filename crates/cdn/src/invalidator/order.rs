//! What is to be invalidated, and what that came to.

use crate::{
    cloudfront::Invalidation,
    error::{Error, ErrorKind},
    item::Item,
    known::Known,
    plan::{NoRoom, Plan},
};

/// What is to be invalidated.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// Of which distribution.
    pub distribution: &'a str,
    /// What changed.
    pub changed: &'a [Item],
    /// What else there may be.
    pub known: Known<'a>,
    /// Because of what: versions of objects, or of a deployment. The same items because of the same are one invalidation.
    pub content: &'a [String],
}

/// What an order came to.
#[derive(Clone, Debug)]
pub struct Done {
    /// The items that were asked for.
    pub plan: Plan,
    /// The invalidation.
    pub invalidation: Invalidation,
    /// Whether it was made now, and not earlier.
    pub is_new: bool,
    /// How many items are billed for it: none if it was made earlier.
    pub billed: u64,
    /// How many the month has had by now, as far as it is known.
    pub month: u64,
    /// What it cost, in dollars.
    pub cost: f64,
}

/// An order could not be carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OrderError {
    /// It is more than a distribution takes at a time, however empty.
    #[error("{0}: name fewer paths, or wildcards for them")]
    TooLarge(NoRoom),
    /// There is no room beside what is in progress.
    #[error("too much is in progress on {distribution}: {no_room}")]
    NoRoom {
        /// Of which distribution.
        distribution: String,
        /// What there is room for.
        no_room: NoRoom,
    },
    /// There are tags, and the distribution knows of none.
    #[error(
        "{tag} is a tag, and {distribution} has no cache tags: set its CacheTagConfig, or name paths"
    )]
    NoTags {
        /// Of which distribution.
        distribution: String,
        /// One of the tags.
        tag: Item,
    },
    /// `CloudFront` has refused it, or cannot be asked.
    #[error(transparent)]
    CloudFront(#[from] Error),
}

impl OrderError {
    /// What it means.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::TooLarge(_) | Self::NoTags { .. } => ErrorKind::Invalid,
            Self::NoRoom { .. } => ErrorKind::TooManyInProgress,
            Self::CloudFront(error) => error.kind,
        }
    }

    /// Whether the same may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.kind().is_retryable()
    }
}
