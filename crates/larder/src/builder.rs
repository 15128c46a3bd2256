//! Setting up a cache.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;

#[cfg(feature = "seal")]
use crate::seal::SealingKey;
use crate::{
    cache::{Cache, Inner, new_owner},
    clock::Clock,
    coherence::Coherence,
    failures::Failures,
    flight::Flights,
    guard::Guarded,
    memory::Memory,
    tier::{Reach, Tier},
};

/// Sets up a [`Cache`]. Nothing is connected or opened before it is used.
#[derive(Debug)]
pub struct CacheBuilder {
    app: String,
    enabled: bool,
    clock: Option<Box<dyn Clock>>,
    memory: Option<Memory>,
    tiers: Vec<Arc<dyn Tier>>,
    timeout: Option<Duration>,
    tier_timeouts: Vec<TierTimeout>,
    max_unverified: Duration,
    default_fresh: Duration,
    #[cfg(feature = "seal")]
    sealing_key: Option<SealingKey>,
}

/// Time limit of one tier.
#[derive(Debug)]
struct TierTimeout {
    name: &'static str,
    timeout: Duration,
}

impl CacheBuilder {
    /// One that has no tiers yet.
    pub(crate) fn new(app: String) -> Self {
        Self {
            app,
            enabled: true,
            clock: None,
            memory: None,
            tiers: Vec::new(),
            timeout: None,
            tier_timeouts: Vec::new(),
            max_unverified: Duration::from_secs(5),
            default_fresh: Duration::from_mins(5),
            #[cfg(feature = "seal")]
            sealing_key: None,
        }
    }

    /// Off: every read goes to its origin, and nothing is written.
    #[must_use]
    pub fn enabled(self, enabled: bool) -> Self {
        Self { enabled, ..self }
    }

    /// Decoded values in memory, for as many bytes as they take encoded, and some more.
    #[cfg(feature = "memory")]
    #[must_use]
    pub fn memory(self, bytes: u64) -> Self {
        Self {
            memory: Memory::new(bytes),
            ..self
        }
    }

    /// One more tier, asked after those before it.
    #[must_use]
    pub fn tier(mut self, tier: impl Tier + 'static) -> Self {
        self.tiers.push(Arc::new(tier));
        self
    }

    /// How long one operation of a shared tier may take, connecting included, and the failures of that tier in one
    /// invocation. By default each tier has [its own limit](Tier::time_limit): Redis 100 ms and 1 s where it has to
    /// connect, S3 5 s. A look-up gives up earlier where the value is not [worth](crate::Policy::load_cost) as much.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self {
            timeout: Some(timeout),
            ..self
        }
    }

    /// The same for the tier of this [name](Tier::name) alone. Takes precedence over [`timeout`](Self::timeout).
    #[must_use]
    pub fn tier_timeout(mut self, name: &'static str, timeout: Duration) -> Self {
        self.tier_timeouts.push(TierTimeout { name, timeout });
        self
    }

    /// For how long what lies in memory or on disk is served without asking a shared tier whether it
    /// has been invalidated. 5 s by default.
    #[must_use]
    pub fn max_unverified(self, time: Duration) -> Self {
        Self {
            max_unverified: time,
            ..self
        }
    }

    /// How long values are fresh whose keyspace [names no time](crate::Policy::by_default). 5 minutes by default.
    #[must_use]
    pub fn default_fresh(self, time: Duration) -> Self {
        Self {
            default_fresh: time,
            ..self
        }
    }

    /// What [sealed](crate::Keyspace::sealed) keyspaces are encrypted with. Without it they stay in memory.
    #[cfg(feature = "seal")]
    #[must_use]
    pub fn sealing_key(self, key: SealingKey) -> Self {
        Self {
            sealing_key: Some(key),
            ..self
        }
    }

    /// Another clock.
    #[must_use]
    pub fn clock(self, clock: impl Clock + 'static) -> Self {
        Self {
            clock: Some(Box::new(clock)),
            ..self
        }
    }

    /// Keeps only the tiers that processes share, for a program that writes what others read; `None` where there is none.
    #[must_use]
    pub fn shared_only(mut self) -> Option<Self> {
        self.memory = None;
        self.tiers.retain(|tier| tier.reach() == Reach::Shared);
        (!self.tiers.is_empty()).then_some(self)
    }

    /// The cache.
    #[must_use]
    pub fn build(self) -> Cache {
        let guarded = self.tiers.into_iter().enumerate();
        let tiers: Vec<_> = guarded
            .map(|(index, tier)| {
                let named = |named: &&TierTimeout| named.name == tier.name();
                let named = self.tier_timeouts.iter().rev().find(named);
                let timeout = named.map(|named| named.timeout).or(self.timeout);
                Guarded::new(tier, index, timeout)
            })
            .collect();
        let shared = tiers.iter().position(Guarded::is_shared);
        let authority = shared.or(if tiers.is_empty() { None } else { Some(0) });
        let coherence = Coherence::new(self.max_unverified);
        Cache {
            inner: Arc::new(Inner {
                app: self.app,
                enabled: self.enabled,
                clock: self.clock,
                memory: self.memory,
                tiers,
                authority,
                shares_marks: shared.is_some(),
                coherence,
                flights: Flights::default(),
                failures: Failures::default(),
                owner: Mutex::new(new_owner()),
                default_fresh: self.default_fresh,
                #[cfg(feature = "seal")]
                sealing_key: self.sealing_key,
                dropped: Arc::default(),
                spaces: Mutex::default(),
            }),
        }
    }
}
