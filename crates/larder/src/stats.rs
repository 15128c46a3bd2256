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
    pub(crate) hits: Tally,
    pub(crate) stale: Tally,
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
    /// Quiet hits in memory, by its shards: who adds has the shard's lock.
    pub(crate) quiet: Box<[Tally]>,
    pub(crate) tiers: Box<[TierCounters]>,
    pub(crate) loads: Counter,
    pub(crate) load_errors: Counter,
    pub(crate) load_cost: LoadCost,
}

/// What a keyspace's loads take: a moving average, in microseconds; 0 while nothing is known.
#[derive(Debug, Default)]
pub(crate) struct LoadCost(AtomicU64);

impl LoadCost {
    /// Share of the newest load in the average.
    const WEIGHT: u64 = 4;

    pub(crate) fn known(&self) -> Option<Duration> {
        let micros = self.0.load(Ordering::Relaxed);
        (micros > 0).then(|| Duration::from_micros(micros))
    }

    /// Takes account of a load. Of two at the same time one may be lost, which an average bears.
    pub(crate) fn observe(&self, cost: Duration) {
        let (known, new) = (self.0.load(Ordering::Relaxed), micros(cost).max(1));
        let average = if known == 0 {
            new
        } else {
            (known - known / Self::WEIGHT).saturating_add(new / Self::WEIGHT)
        };
        self.0.store(average.max(1), Ordering::Relaxed);
    }

    /// Takes what is told of a load of another process, while nothing is known of any.
    pub(crate) fn learn(&self, cost: Duration) {
        // Where it fails, something better is known. 0 stands for a value that was put without a load.
        let _ = self
            .0
            .compare_exchange(0, micros(cost), Ordering::Relaxed, Ordering::Relaxed);
    }
}

impl SpaceCounters {
    /// For so many shards of memory and so many tiers.
    pub(crate) fn new(keyspace: &'static str, shards: usize, tiers: usize) -> Self {
        Self {
            keyspace,
            memory: TierCounters::default(),
            quiet: (0..shards).map(|_| Tally::default()).collect(),
            tiers: (0..tiers).map(|_| TierCounters::default()).collect(),
            loads: Counter::default(),
            load_errors: Counter::default(),
            load_cost: LoadCost::default(),
        }
    }

    /// What was counted in memory.
    pub(crate) fn in_memory(&self) -> Counts {
        self.quiet.iter().fold(self.memory.counts(), |sum, tally| {
            let (hits, saved) = tally.get();
            Counts {
                hits: sum.hits + hits,
                saved: sum.saved + saved,
                ..sum
            }
        })
    }
}

/// How often something was served, and what that saved.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct Tally {
    times: AtomicU64,
    micros: AtomicU64,
}

impl Tally {
    pub(crate) fn add(&self, saved: Duration) {
        self.times.fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(micros(saved), Ordering::Relaxed);
    }

    /// The same, for one who knows that nobody else adds now: a tenth of the time.
    #[inline]
    pub(crate) fn add_alone(&self, saved: Duration) {
        let add = |to: &AtomicU64, more| {
            to.store(
                to.load(Ordering::Relaxed).wrapping_add(more),
                Ordering::Relaxed,
            );
        };
        add(&self.times, 1);
        add(&self.micros, micros(saved));
    }

    /// How often, and what it saved.
    pub(crate) fn get(&self) -> (u64, Duration) {
        let micros = self.micros.load(Ordering::Relaxed);
        let times = self.times.load(Ordering::Relaxed);
        (times, Duration::from_micros(micros))
    }
}

/// `time` in microseconds; what is over 300 years, which no load takes, wraps.
#[inline]
fn micros(time: Duration) -> u64 {
    let seconds = time.as_secs().wrapping_mul(1_000_000);
    seconds.wrapping_add(time.subsec_micros().into())
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
    fn averages_load_costs_and_learns_from_others_only_at_first() {
        let cost = LoadCost::default();
        assert_eq!(cost.known(), None);
        cost.learn(Duration::from_millis(8));
        cost.learn(Duration::from_secs(9));
        assert_eq!(cost.known(), Some(Duration::from_millis(8)));
        cost.observe(Duration::from_millis(16));
        assert_eq!(cost.known(), Some(Duration::from_millis(10)));
        for _ in 0..100 {
            cost.observe(Duration::ZERO);
        }
        assert!(
            cost.known()
                .is_some_and(|cost| cost < Duration::from_micros(10))
        );
    }
}
