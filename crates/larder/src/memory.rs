//! The nearest tier: decoded values in this process's memory, bounded by the bytes that they take encoded.
//!
//! A hit is what all the rest is measured by, so it does little: it hashes the key once, takes one lock, looks at
//! the entry where it lies, and counts itself while it has the lock, without an atomic operation of its own.
//! Nothing that is a user's is dropped under a lock.

mod sought;

use std::{
    any::Any,
    cell::RefCell,
    fmt,
    hash::{BuildHasher as _, BuildHasherDefault, Hasher as _},
    sync::Arc,
};

use parking_lot::{Mutex, MutexGuard};
use quick_cache::{Lifecycle, OptionsBuilder, Weighter, unsync};

use self::sought::{Hashing, Sought, Stored};
use crate::{
    clock::WallMillis,
    hashed::Hashed,
    held::Held,
    key::{Ident, Key, KeyHasher},
    stats::Tally,
};

/// What an entry takes beside its key and its encoded value, about: the sizes of what is kept of it here, the map's
/// own share, and what the allocations of key and value add.
const OVERHEAD: u64 = 256;

/// Decoded entries.
pub(crate) struct Memory {
    /// As many as there are processors, so that they seldom meet; to the next power of two.
    shards: Box<[Mutex<Shard>]>,
    hasher: KeyHasher,
}

type Shard = unsync::Cache<Stored, Held, ByBytes, BuildHasherDefault<Hashed>, Kept>;

/// Keeps what is evicted until the lock is given back: what a value does when it is dropped is its own affair.
#[derive(Clone)]
struct Kept;

impl Lifecycle<Stored, Held> for Kept {
    type RequestState = Vec<(Stored, Held)>;

    fn on_evict(&self, kept: &mut Self::RequestState, key: Stored, held: Held) {
        kept.push((key, held));
    }
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<Stored, Held> for ByBytes {
    fn weight(&self, key: &Stored, held: &Held) -> u64 {
        let key = u64::try_from(key.parts.len()).unwrap_or(u64::MAX);
        OVERHEAD + u64::from(held.weight) + key
    }
}

impl Memory {
    /// Room for so many bytes.
    pub(crate) fn new(bytes: u64) -> Option<Self> {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let count = processors.next_power_of_two();
        let share = bytes / u64::try_from(count).ok()?;
        let typical = OVERHEAD + 1024;
        let options = OptionsBuilder::new()
            .estimated_items_capacity(usize::try_from(share / typical).unwrap_or(usize::MAX))
            .weight_capacity(share)
            .build()
            .ok()?;
        let shard = || {
            Mutex::new(Shard::with_options(
                options.clone(),
                ByBytes,
                BuildHasherDefault::default(),
                Kept,
            ))
        };
        Some(Self {
            shards: (0..count).map(|_| shard()).collect(),
            hasher: KeyHasher::default(),
        })
    }

    /// How many may look at it at the same time.
    pub(crate) fn width(&self) -> usize {
        self.shards.len()
    }

    /// The value at `key`, and when its load began, if it is one to be served as it is, by `is_quiet`; and counts
    /// that it was, in the tally of its shard.
    #[expect(clippy::inline_always, reason = "measured: a tenth of a hit")]
    #[inline(always)]
    pub(crate) fn hit<K: Key + ?Sized>(
        &self,
        (schema, key): (u64, &K),
        tallies: &[Tally],
        is_quiet: impl FnOnce(&Held) -> bool,
    ) -> Option<(Arc<dyn Any + Send + Sync>, WallMillis)> {
        let (index, sought) = self.seek(schema, key);
        let (tally, shard) = (tallies.get(index)?, self.shards.get(index)?);
        let shard = shard.lock();
        let held = shard.get(&sought)?;
        if !is_quiet(held) {
            return None;
        }
        let value = held.value.clone()?;
        tally.add_alone(held.life.load_cost);
        Some((value, held.life.created))
    }

    /// All that is known at `key`.
    pub(crate) fn get(&self, key: &Ident) -> Option<Held> {
        let (shard, sought) = self.lock(key)?;
        shard.get(&sought).cloned()
    }

    /// Keeps `held`, unless what is there was loaded later.
    pub(crate) fn put(&self, key: &Ident, held: Held) {
        let mut evicted = Vec::new();
        let Some((mut shard, sought)) = self.lock(key) else {
            return;
        };
        let present = shard.peek(&sought);
        if present.is_some_and(|present| present.life.created > held.life.created) {
            return;
        }
        // The map would drop what it replaces.
        let replaced = present.and_then(|present| present.value.clone());
        let stored = Stored {
            hash: sought.hash,
            schema: sought.schema,
            parts: key.parts().into(),
        };
        shard.insert_with_lifecycle(stored, held, &mut evicted);
        drop(shard);
        drop((replaced, evicted));
    }

    pub(crate) fn remove(&self, key: &Ident) {
        let Some((mut shard, sought)) = self.lock(key) else {
            return;
        };
        let removed = shard.remove(&sought);
        drop(shard);
        drop(removed);
    }

    pub(crate) fn clear(&self) {
        for shard in &self.shards {
            let drained: Vec<_> = shard.lock().drain().collect();
            drop(drained);
        }
    }

    /// Entries, and the bytes they count as.
    pub(crate) fn size(&self) -> (u64, u64) {
        self.shards.iter().fold((0, 0), |(entries, bytes), shard| {
            let shard = shard.lock();
            let len = u64::try_from(shard.len()).unwrap_or(u64::MAX);
            (entries + len, bytes + shard.weight())
        })
    }

    /// Drops what has died: nothing else would, short of eviction.
    pub(crate) fn sweep(&self, now: WallMillis) {
        for shard in &self.shards {
            let dead = RefCell::new(Vec::new());
            shard.lock().retain(|_, held| {
                let lives = held.life.stale_until > now;
                if !lives {
                    dead.borrow_mut().push(held.value.clone());
                }
                lives
            });
        }
    }

    #[expect(clippy::inline_always, reason = "measured: a tenth of a hit")]
    #[inline(always)]
    fn seek<'a, K: Key + ?Sized>(&self, schema: u64, key: &'a K) -> (usize, Sought<'a, K>) {
        let mut hashing = Hashing(self.hasher.build_hasher());
        key.write(&mut hashing);
        // A schema's fingerprint is a hash itself.
        let hash = hashing.0.finish() ^ schema;
        // Neither the bits that a map's slots are told apart by nor those that they are found by.
        let index = usize::try_from(hash >> 40).unwrap_or(0) & (self.shards.len() - 1);
        (index, Sought { hash, schema, key })
    }

    fn lock<'a>(&self, key: &'a Ident) -> Option<(MutexGuard<'_, Shard>, Sought<'a, Ident>)> {
        let (index, sought) = self.seek(key.schema(), key);
        Some((self.shards.get(index)?.lock(), sought))
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{life::Life, policy::Policy};

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
