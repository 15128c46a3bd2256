//! The nearest tier: decoded values in this process's memory, bounded by the bytes that they take encoded.

use std::{
    any::Any,
    hash::{Hash, Hasher},
    sync::Arc,
};

use quick_cache::{
    DefaultHashBuilder, Equivalent, OptionsBuilder, Weighter,
    sync::{Cache, DefaultLifecycle},
};

use crate::{clock::WallMillis, key::Ident, life::Life, scope::Scope};

/// What an entry takes beside its key and its encoded value, about: the sizes of what is kept of it here, the map's
/// own share, and what the allocations of key and value add.
const OVERHEAD: u64 = 256;

/// Decoded entries.
pub(crate) struct Memory {
    entries: Cache<Stored, Held, ByBytes>,
}

/// A key as it is kept: small, so that a hit touches few lines of the processor's cache.
#[derive(PartialEq, Eq)]
struct Stored(Box<[u8]>);

impl Hash for Stored {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // As an `Ident` does, by which it is found.
        state.write(&self.0);
    }
}

impl Equivalent<Stored> for Ident {
    #[inline]
    fn equivalent(&self, stored: &Stored) -> bool {
        self.bytes() == &*stored.0
    }
}

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

#[derive(Clone)]
struct ByBytes;

impl Weighter<Stored, Held> for ByBytes {
    fn weight(&self, key: &Stored, held: &Held) -> u64 {
        let key = u64::try_from(key.0.len()).unwrap_or(u64::MAX);
        OVERHEAD + u64::from(held.weight) + key
    }
}

impl Memory {
    /// Room for so many bytes.
    pub(crate) fn new(bytes: u64) -> Option<Self> {
        let typical = OVERHEAD + 1024;
        let options = OptionsBuilder::new()
            // Few, since each has its own share of the bytes, and what is larger than that has no room.
            .shards(std::thread::available_parallelism().map_or(1, usize::from))
            .estimated_items_capacity(usize::try_from(bytes / typical).unwrap_or(usize::MAX))
            .weight_capacity(bytes)
            .build()
            .ok()?;
        let entries = Cache::with_options(
            options,
            ByBytes,
            DefaultHashBuilder::default(),
            DefaultLifecycle::default(),
        );
        Some(Self { entries })
    }

    #[inline]
    pub(crate) fn get(&self, key: &Ident) -> Option<Held> {
        self.entries.get(key)
    }

    /// Keeps `held`, unless what is there was loaded later.
    pub(crate) fn put(&self, key: &Ident, held: Held) {
        let newer = |present: Held| present.life.created > held.life.created;
        if !self.entries.peek(key).is_some_and(newer) {
            self.entries.insert(Stored(key.bytes().into()), held);
        }
    }

    pub(crate) fn remove(&self, key: &Ident) {
        self.entries.remove(key);
    }

    pub(crate) fn clear(&self) {
        self.entries.clear();
    }

    /// Entries, and the bytes they count as.
    pub(crate) fn size(&self) -> (u64, u64) {
        let entries = u64::try_from(self.entries.len()).unwrap_or(u64::MAX);
        (entries, self.entries.weight())
    }

    /// Drops what has died: nothing else would, short of eviction.
    pub(crate) fn sweep(&self, now: WallMillis) {
        self.entries.retain(|_, held| held.life.stale_until > now);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::policy::Policy;

    const NOW: WallMillis = WallMillis::new(1_795_338_000_000);

    fn held(at: WallMillis, weight: u32) -> Held {
        let policy = Policy::fresh(Duration::from_mins(1));
        Held {
            value: Some(Arc::new(7_u64)),
            life: Life::of_value(&policy, at, Duration::ZERO, 1.0),
            quiet_until: at,
            checked: at,
            generation: 1,
            labels: None,
            weight,
        }
    }

    fn key(n: u64) -> Ident {
        Ident::new(0, &n)
    }

    #[test]
    fn it_never_holds_more_bytes_than_it_may() {
        let memory = Memory::new(64 << 10).unwrap();
        for n in 0..10_000 {
            memory.put(&key(n), held(NOW, 1024));
            assert!(memory.size().1 <= 64 << 10, "after {n}");
        }
        assert!(memory.size().0 > 20, "{:?}", memory.size());
        memory.put(&key(10_000), held(NOW, 1 << 20));
        assert!(memory.get(&key(10_000)).is_none(), "larger than all of it");
    }

    #[test]
    fn an_older_load_does_not_take_a_newer_ones_place() {
        let memory = Memory::new(64 << 10).unwrap();
        let later = NOW.plus(Duration::from_secs(1));
        memory.put(&key(1), held(later, 10));
        memory.put(&key(1), held(NOW, 10));
        assert_eq!(memory.get(&key(1)).unwrap().life.created, later);
    }

    #[test]
    fn what_has_died_is_swept() {
        let memory = Memory::new(64 << 10).unwrap();
        memory.put(&key(1), held(NOW, 10));
        memory.sweep(NOW.plus(Duration::from_secs(59)));
        assert_eq!(memory.size().0, 1);
        memory.sweep(NOW.plus(Duration::from_mins(1)));
        assert_eq!(memory.size(), (0, 0));
    }
}
