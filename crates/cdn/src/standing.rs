//! How an invalidation stands, as answers tell it.

use serde::{Deserialize, Serialize};

use crate::{cloudfront::Invalidation, invalidator::Done};

/// How an invalidation stands. As JSON its name in small letters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// All edges have carried it out.
    Completed,
    /// It is under way, or put off until there is room.
    Submitted,
    /// There was nothing to do, or the same was asked for before.
    #[default]
    Skipped,
    /// It could not be had.
    Failed,
}

impl Invalidation {
    /// How it stands by itself, whoever has asked for it.
    #[must_use]
    pub fn standing(&self) -> Standing {
        if self.is_completed {
            Standing::Completed
        } else {
            Standing::Submitted
        }
    }
}

impl Done {
    /// How it stands for whoever has ordered it.
    #[must_use]
    pub fn standing(&self) -> Standing {
        if self.is_new {
            self.invalidation.standing()
        } else {
            Standing::Skipped
        }
    }
}
