//! The cache: one a process, and what is set up once for it.

use std::{any::Any, fmt, sync::Arc, time::Duration};

use futures_util::{
    StreamExt as _,
    future::{BoxFuture, join_all},
    stream::FuturesUnordered,
};
use parking_lot::{Mutex, MutexGuard};

use crate::{
    builder::CacheBuilder,
    clock::{Clock, SystemClock, WallMillis},
    coherence::Coherence,
    entry::Receipt,
    failures::Failures,
    flight::Flights,
    guard::Guarded,
    invocation::{Drained, Invocation},
    key::Key,
    keyspace::Keyspace,
    memory::Memory,
    scope::{Mark, Scope},
    space::Space,
    stats::{Counter, Loads, Row, SpaceCounters, Stats, Tally, TierCounters},
    tier::{News, ReadBatch, TierError, WriteBatch},
};

/// Tiers, and what is known of them. A clone is the same cache.
#[derive(Clone)]
pub struct Cache {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) app: String,
    pub(crate) enabled: bool,
    /// The system's, where it is none.
    pub(crate) clock: Option<Box<dyn Clock>>,
    pub(crate) memory: Option<Memory>,
    pub(crate) tiers: Vec<Guarded>,
    /// Which of them keeps the marks that all processes agree on.
    pub(crate) authority: Option<usize>,
    /// Whether other processes write marks there.
    pub(crate) shares_marks: bool,
    pub(crate) coherence: Coherence,
    pub(crate) flights: Flights,
    pub(crate) failures: Failures,
    /// Who asks for leases: this cache, in this process.
    pub(crate) owner: Mutex<Arc<str>>,
    pub(crate) default_fresh: Duration,
    #[cfg(feature = "seal")]
    pub(crate) sealing_key: Option<crate::seal::SealingKey>,
    pub(crate) dropped: Arc<Counter>,
    pub(crate) spaces: Mutex<Vec<Arc<SpaceCounters>>>,
}

impl Cache {
    /// A cache of the application `app`, whose processes share their entries.
    #[must_use]
    pub fn builder(app: impl Into<String>) -> CacheBuilder {
        CacheBuilder::new(app.into())
    }

    /// The values of one keyspace. Make it once, and keep it.
    #[must_use]
    pub fn space<K: ?Sized, V>(&self, keyspace: &'static Keyspace<K, V>) -> Space<K, V> {
        let counters = {
            let mut spaces = self.spaces();
            let known = spaces
                .iter()
                .find(|counters| counters.keyspace == keyspace.name());
            known.cloned().unwrap_or_else(|| {
                let shards = self.inner.memory.as_ref().map_or(0, Memory::width);
                let tiers = self.inner.tiers.len();
                let counters = Arc::new(SpaceCounters::new(keyspace.name(), shards, tiers));
                spaces.push(Arc::clone(&counters));
                counters
            })
        };
        Space::new(self.clone(), keyspace, counters)
    }

    /// An invocation that begins now and has `time`, if anybody bounds it: [run](Invocation::run) its
    /// handler in it.
    #[must_use]
    pub fn invocation(&self, time: Option<Duration>) -> Invocation {
        Invocation::new(
            time,
            self.inner.tiers.len(),
            Arc::clone(&self.inner.dropped),
        )
    }

    /// From now on nothing that was loaded so far and that any of `scopes` covers is served, in this
    /// process; in others, once they have asked for news, which they do every `max_unverified`.
    pub async fn invalidate(&self, scopes: impl IntoIterator<Item = Scope>) -> Receipt {
        let at = self.now();
        let marks: Vec<_> = scopes.into_iter().map(|scope| Mark { scope, at }).collect();
        if marks.iter().any(|mark| mark.scope == Scope::ALL)
            && let Some(memory) = &self.inner.memory
        {
            memory.clear();
        }
        self.write_marks(&marks, &[]).await
    }

    /// What was counted so far.
    #[must_use]
    pub fn snapshot(&self) -> Stats {
        let mut stats = Stats {
            dropped: self.inner.dropped.get(),
            ..Stats::default()
        };
        if let Some(memory) = &self.inner.memory {
            (stats.memory_entries, stats.memory_bytes) = memory.size();
        }
        for space in self.spaces().iter() {
            let names = self.inner.tiers.iter().map(Guarded::name);
            let tiers = names.zip(space.tiers.iter().map(TierCounters::counts));
            let memory = self.inner.memory.iter();
            let memory = memory.map(|_| ("memory", space.in_memory()));
            let rows = memory.chain(tiers).map(|(tier, counts)| Row {
                keyspace: space.keyspace,
                tier,
                counts,
            });
            stats.tiers.extend(rows);
            stats.loads.push(Loads {
                keyspace: space.keyspace,
                loads: space.loads.get(),
                errors: space.load_errors.get(),
            });
        }
        stats
    }

    /// Drops from memory what has died. Nothing else does, short of eviction; call it when there is
    /// time, at the end of an invocation.
    pub fn sweep(&self) {
        if let Some(memory) = &self.inner.memory {
            memory.sweep(self.now());
        }
    }

    /// Does all that is in `plan`, at once and for at most `budget`: look-ups that will be wanted soon, at
    /// the start of a process. What is not done by then is dropped, and will be loaded when it is wanted.
    pub async fn warm<'a>(
        &self,
        plan: impl IntoIterator<Item = BoxFuture<'a, ()>>,
        budget: Duration,
    ) -> Drained {
        let mut plan: FuturesUnordered<_> = plan.into_iter().collect();
        let wanted = plan.len();
        let all = async { while plan.next().await.is_some() {} };
        // Where time is over, what is left is found out below.
        let _ = tokio::time::timeout(budget, all).await;
        Drained {
            done: wanted - plan.len(),
            dropped: plan.len(),
        }
    }

    /// This process has been restored from a snapshot, and so may others have been: nothing that is known of
    /// marks is believed, and leases are asked for under another name.
    pub fn restored(&self) {
        fastrand::seed(random_seed());
        if self.inner.shares_marks {
            self.inner.coherence.distrust();
        }
        *self.inner.owner.lock() = new_owner();
    }

    /// Who asks for leases.
    pub(crate) fn owner(&self) -> Arc<str> {
        Arc::clone(&self.inner.owner.lock())
    }

    #[inline]
    pub(crate) fn now(&self) -> WallMillis {
        self.inner.now()
    }

    /// Notes `marks` here and in every tier, and deletes the entries at `removes` there.
    pub(crate) async fn write_marks(&self, marks: &[Mark], removes: &[&str]) -> Receipt {
        if !self.inner.enabled {
            return Receipt::default();
        }
        // Here first: nobody in this process is to be served what is being invalidated.
        self.inner.coherence.note(marks);
        let writes = self.inner.tiers.iter().map(|tier| {
            let batch = WriteBatch {
                removes,
                marks,
                ..WriteBatch::new(&self.inner.app, self.now())
            };
            tier.write(batch, None)
        });
        Receipt::of(join_all(writes).await)
    }

    /// Tells tiers again what could not be told before, if there is any.
    pub(crate) async fn send_unsent(&self) {
        for tier in &self.inner.tiers {
            tier.send_unsent(&self.inner.app, self.now()).await;
        }
    }

    /// The tier that keeps the marks all processes agree on.
    pub(crate) fn authority(&self) -> Option<&Guarded> {
        self.inner
            .authority
            .and_then(|index| self.inner.tiers.get(index))
    }

    /// What news that tier is to be asked for.
    pub(crate) fn wanted_news(&self) -> News {
        let authority = self.authority();
        authority.map_or(News::None, |tier| {
            self.inner.coherence.wanted(tier.is_shared())
        })
    }

    /// Asks for news alone, for an entry that is `worth` so much time.
    pub(crate) async fn ask_for_news(&self, worth: Option<Duration>) -> Result<(), TierError> {
        let (now, Some(authority)) = (self.now(), self.authority()) else {
            return Ok(());
        };
        let news = self.wanted_news();
        let batch = ReadBatch {
            app: &self.inner.app,
            now,
            entries: &[],
            scopes: &[],
            news,
            lease: None,
        };
        let answer = authority.read(batch, worth).await?;
        self.inner.coherence.told(news, now, &answer);
        Ok(())
    }

    /// Whether marks may have been set that this process has not been told of, for something that was
    /// checked at `checked`.
    #[inline]
    pub(crate) fn is_unverified(&self, checked: WallMillis, now: WallMillis) -> bool {
        self.inner.shares_marks && !self.inner.coherence.believes(checked, now)
    }

    fn spaces(&self) -> MutexGuard<'_, Vec<Arc<SpaceCounters>>> {
        self.inner.spaces.lock()
    }
}

pub(crate) fn new_owner() -> Arc<str> {
    random_name().into()
}

/// 128 bits that nobody guesses.
pub(crate) fn random_name() -> String {
    format!("{:016x}{:016x}", random_seed(), random_seed())
}

/// Other bits in every process, restored ones too: the standard library asks the system for them.
fn random_seed() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    let time = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    RandomState::new().hash_one((std::process::id(), time))
}

/// A value that was served from memory.
pub(crate) struct Hit {
    pub(crate) value: Arc<dyn Any + Send + Sync>,
    /// When its load began.
    pub(crate) created: WallMillis,
    /// This moment.
    pub(crate) served: WallMillis,
}

impl Inner {
    #[inline]
    fn now(&self) -> WallMillis {
        let clock = self.clock.as_ref();
        clock.map_or_else(|| SystemClock.now(), |clock| clock.now())
    }

    /// What is in memory at `key`, where there is nothing to do but to serve it: it is fresh, nobody can have
    /// invalidated it, and it is not due for a refresh.
    ///
    /// Not generic, so that it is compiled here, for speed, and not with its caller, for size.
    #[expect(clippy::inline_always, reason = "measured: a tenth of a hit")]
    #[inline(always)]
    pub(crate) fn hit<K: Key + ?Sized>(&self, key: (u64, &K), tallies: &[Tally]) -> Option<Hit> {
        let mut served = WallMillis::default();
        let (value, created) = self.memory.as_ref()?.hit(key, tallies, |held| {
            served = self.now();
            served < held.quiet_until
                && held.generation == self.coherence.generation()
                && (!self.shares_marks || self.coherence.believes(held.checked, served))
        })?;
        Some(Hit {
            value,
            created,
            served,
        })
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("app", &self.inner.app)
            .field("enabled", &self.inner.enabled)
            .field("tiers", &self.inner.tiers)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "memory")]
#[cfg(test)]
#[path = "cache_tests/mod.rs"]
mod tests;
