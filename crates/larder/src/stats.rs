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
    pub(crate) hits: Counter,
    pub(crate) stale: Counter,
    pub(crate) misses: Counter,
    pub(crate) errors: Counter,
    pub(crate) undecodable: Counter,
    pub(crate) read_bytes: Counter,
    pub(crate) written_bytes: Counter,
    pub(crate) saved_micros: Counter,
}

impl TierCounters {
    pub(crate) fn counts(&self) -> Counts {
        Counts {
            hits: self.hits.get(),
            stale: self.stale.get(),
            misses: self.misses.get(),
            errors: self.errors.get(),
            undecodable: self.undecodable.get(),
            read_bytes: self.read_bytes.get(),
            written_bytes: self.written_bytes.get(),
            saved: Duration::from_micros(self.saved_micros.get()),
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
