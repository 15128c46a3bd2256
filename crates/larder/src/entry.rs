//! What a loader gives and what a caller gets.

use std::{fmt, sync::Arc, time::Duration};

use crate::{clock::WallMillis, decide::Freshness, scope::Scope, tier::TierError};

/// What a load came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loaded<V> {
    /// There is a value.
    Value(Entry<V>),
    /// What [`Load::etag`] names is still right: the stale value lives anew.
    NotModified,
    /// There is none, and this is certain. A failure is an error instead.
    Absent,
}

impl<V> From<V> for Loaded<V> {
    fn from(value: V) -> Self {
        Self::Value(Entry::new(value))
    }
}

impl<V> From<Entry<V>> for Loaded<V> {
    fn from(entry: Entry<V>) -> Self {
        Self::Value(entry)
    }
}

/// A value, and what is known of it beside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<V> {
    pub(crate) value: V,
    pub(crate) fresh: Option<Duration>,
    pub(crate) until: Option<WallMillis>,
    pub(crate) tags: Vec<Scope>,
    pub(crate) etag: Option<Arc<str>>,
}

impl<V> Entry<V> {
    /// A value that lives as its keyspace's policy says.
    #[must_use]
    pub const fn new(value: V) -> Self {
        Self {
            value,
            fresh: None,
            until: None,
            tags: Vec::new(),
            etag: None,
        }
    }

    /// Fresh for `time` instead of the policy's.
    #[must_use]
    pub fn fresh(self, time: Duration) -> Self {
        Self {
            fresh: Some(time),
            ..self
        }
    }

    /// Not served past `moment`, fresh or stale: a token's own expiry.
    #[must_use]
    pub fn until(self, moment: WallMillis) -> Self {
        Self {
            until: Some(moment),
            ..self
        }
    }

    /// Covered by the invalidation of any of `tags`. [`MAX_TAGS`](crate::frame::MAX_TAGS) is the most.
    #[must_use]
    pub fn tags<T: AsRef<str>>(self, tags: impl IntoIterator<Item = T>) -> Self {
        let tags = tags.into_iter().map(|tag| Scope::tag(tag.as_ref()));
        Self {
            tags: tags.collect(),
            ..self
        }
    }

    /// What the origin calls this version of it.
    #[must_use]
    pub fn etag(self, etag: impl Into<Arc<str>>) -> Self {
        Self {
            etag: Some(etag.into()),
            ..self
        }
    }
}

/// What a loader is told.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Load<V> {
    /// The value so far, too old to be served as fresh.
    pub stale: Option<Arc<V>>,
    /// What the origin called it, for a conditional request.
    pub etag: Option<Arc<str>>,
    /// The time it has; `None` if nobody bounds it.
    pub time_left: Option<Duration>,
}

/// A value that was got.
pub struct Cached<V> {
    /// It.
    pub value: Arc<V>,
    /// Where it came from.
    pub source: Source,
    /// Whether it is still fresh.
    pub state: Freshness,
    /// Which version of it this is.
    pub version: Version,
    pub(crate) served: WallMillis,
}

impl<V> Cached<V> {
    /// The time from when its load began to when it was got.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.served.since(self.version.0)
    }
}

impl<V> Clone for Cached<V> {
    fn clone(&self) -> Self {
        Self {
            value: Arc::clone(&self.value),
            ..*self
        }
    }
}

impl<V: fmt::Debug> fmt::Debug for Cached<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cached")
            .field("value", &self.value)
            .field("source", &self.source)
            .field("state", &self.state)
            .field("age", &self.age())
            .finish_non_exhaustive()
    }
}

/// Where a value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// This process's memory.
    Memory,
    /// The tier of this name.
    Tier(&'static str),
    /// Its loader.
    Origin,
}

/// Tells a value from the one that took its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub(crate) WallMillis);

/// What a look-up without a loader came to.
#[derive(Clone, Debug)]
pub enum Lookup<V> {
    /// There is a value.
    Hit(Cached<V>),
    /// It is known that there is none.
    Absent,
    /// Nothing is known.
    Miss,
}

impl<V> Lookup<V> {
    /// The value, if there is one.
    #[must_use]
    pub fn hit(self) -> Option<Cached<V>> {
        match self {
            Self::Hit(cached) => Some(cached),
            Self::Absent | Self::Miss => None,
        }
    }
}

/// What a write has reached.
#[must_use = "it says what could not be reached"]
#[derive(Debug, Default)]
pub struct Receipt {
    /// The tiers that did not take it, each with why. What was invalidated is told to them again, until
    /// they have it; and this process does not believe them until then.
    pub missed: Vec<TierError>,
}

impl Receipt {
    pub(crate) fn of<T>(results: impl IntoIterator<Item = Result<T, TierError>>) -> Self {
        Self {
            missed: results.into_iter().filter_map(Result::err).collect(),
        }
    }

    /// Whether every tier has it.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.missed.is_empty()
    }
}
