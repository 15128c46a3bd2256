//! A decoded entry, as it goes from hand to hand.

use std::{any::Any, sync::Arc};

use crate::{clock::WallMillis, life::Life, scope::Scope};

/// A decoded entry of any type.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    /// `None` where it says that there is no value.
    pub(crate) value: Option<Arc<dyn Any + Send + Sync>>,
    pub(crate) life: Life,
    /// Until when it is served without a second thought: it is fresh, and not due for a refresh.
    pub(crate) quiet_until: WallMillis,
    /// When the tier that keeps the marks was asked about it.
    pub(crate) checked: WallMillis,
    /// Which of the marks that are known were looked at.
    pub(crate) generation: u64,
    pub(crate) labels: Option<Arc<Labels>>,
    /// The bytes of its frame.
    pub(crate) weight: u32,
}

/// A value whose type its keyspace knows.
pub(crate) fn erased<V: Send + Sync + 'static>(value: V) -> Arc<dyn Any + Send + Sync> {
    Arc::new(value)
}

/// What few entries have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Labels {
    pub(crate) tags: Vec<Scope>,
    pub(crate) etag: Option<Arc<str>>,
}

impl Labels {
    /// Labels, where there are any.
    pub(crate) fn new(tags: Vec<Scope>, etag: Option<Arc<str>>) -> Option<Arc<Self>> {
        (!tags.is_empty() || etag.is_some()).then(|| Arc::new(Self { tags, etag }))
    }
}
