//! What the cache counts: by keyspace and tier, since the process began.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// What one keyspace counted in one tier, or at its origin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Served fresh.
    pub hits: u64,
    /// Served stale.
    pub stale: u64,
    /// Asked for, and not there, or no longer of use.
    pub misses: u64,
    /// Could not be asked, or written.
    pub errors: u64,
    /// There, and no entry of this keyspace: torn, foreign, or of another schema.
    pub undecodable: u64,
    /// Bytes of frames that were read.
    pub read_bytes: u64,
    /// Bytes of frames that were written.
    pub written_bytes: u64,
    /// What the served values took to load once, and did not take again.
    pub saved: Duration,
}

/// One row of a [snapshot](crate::Cache::snapshot).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The keyspace's name.
    pub keyspace: &'static str,
    /// The tier's name; `memory` for memory.
    pub tier: &'static str,
    /// What was counted.
    pub counts: Counts,
}

/// What one keyspace counted at its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loads {
    /// The keyspace's name.
    pub keyspace: &'static str,
    /// Loads that were begun.
    pub loads: u64,
    /// Of these, those that failed.
    pub errors: u64,
}

/// Everything that was counted, and how much is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// By keyspace and tier.
    pub tiers: Vec<Row>,
    /// By keyspace.
    pub loads: Vec<Loads>,
    /// Entries in memory.
    pub memory_entries: u64,
    /// The bytes that they count as.
    pub memory_bytes: u64,
    /// Refreshes and write-backs that were dropped, since their invocation's time was over.
    pub dropped: u64,
}

/// The counters of one keyspace in one tier.
#[derive(Debug, Default)]
pub(crate) struct TierCounters {
    pub(crate) hits: Served,
    pub(crate) stale: Served,
    pub(crate) misses: Counter,
    pub(crate) errors: Counter,
    pub(crate) undecodable: Counter,
    pub(crate) read_bytes: Counter,
    pub(crate) written_bytes: Counter,
}

impl TierCounters {
    pub(crate) fn counts(&self) -> Counts {
        Counts {
            hits: self.hits.get().0,
            stale: self.stale.get().0,
            misses: self.misses.get(),
            errors: self.errors.get(),
            undecodable: self.undecodable.get(),
            read_bytes: self.read_bytes.get(),
            written_bytes: self.written_bytes.get(),
            saved: self.hits.get().1 + self.stale.get().1,
        }
    }
}

/// The counters of one keyspace.
#[derive(Debug)]
pub(crate) struct SpaceCounters {
    pub(crate) keyspace: &'static str,
    pub(crate) memory: TierCounters,
    pub(crate) tiers: Box<[TierCounters]>,
    pub(crate) loads: Counter,
    pub(crate) load_errors: Counter,
}

impl SpaceCounters {
    pub(crate) fn new(keyspace: &'static str, tiers: usize) -> Self {
        Self {
            keyspace,
            memory: TierCounters::default(),
            tiers: (0..tiers).map(|_| TierCounters::default()).collect(),
            loads: Counter::default(),
            load_errors: Counter::default(),
        }
    }
}

/// How often something was served, and what that saved, in one number: a hit in memory takes little more than the
/// two atomic additions that it would be otherwise.
#[derive(Debug, Default)]
pub(crate) struct Served {
    /// The upper 20 bits count, the lower 44 are microseconds.
    recent: AtomicU64,
    /// What no longer fits there.
    times: Counter,
    micros: Counter,
}

const MICROS: u32 = 44;
const ONCE: u64 = 1 << MICROS;
/// Half of what either part holds: long before it runs over, it is emptied.
const FULL: u64 = (1 << 63) | (ONCE >> 1);
/// 12 days. What took longer counts as this.
const MOST: u64 = 1 << 40;

impl Served {
    #[inline]
    pub(crate) fn add(&self, saved: Duration) {
        let micros = u64::try_from(saved.as_micros()).map_or(MOST, |micros| micros.min(MOST));
        let before = self.recent.fetch_add(ONCE | micros, Ordering::Relaxed);
        if before & FULL != 0 {
            self.empty();
        }
    }

    #[cold]
    fn empty(&self) {
        let recent = self.recent.swap(0, Ordering::Relaxed);
        self.times.add(recent >> MICROS);
        self.micros.add(recent & (ONCE - 1));
    }

    /// How often, and what it saved.
    pub(crate) fn get(&self) -> (u64, Duration) {
        let recent = self.recent.load(Ordering::Relaxed);
        let times = self.times.get() + (recent >> MICROS);
        let micros = self.micros.get() + (recent & (ONCE - 1));
        (times, Duration::from_micros(micros))
    }
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    #[inline]
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_served_is_counted_past_what_one_number_holds() {
        let served = Served::default();
        let (times, each) = (3_000_000, Duration::from_mins(90));
        for _ in 0..times {
            served.add(each);
        }
        assert_eq!(served.get(), (times, each * u32::try_from(times).unwrap()));
    }
}
