//! The cache as its users see it: the invariants, and the bugs that others shipped.

mod batches;
mod faults;
mod invalidation;
mod loading;
mod locks;
#[cfg(feature = "seal")]
mod secrets;
mod serving;

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    Cache, Codec, Entry, Freshness, Keyspace, Load, LoadError, Loaded, Lookup, Policy, Refresh,
    Scope, Source, Space, WallMillis,
    clock::Clock as _,
    stats::{Counter, Counts},
    testing::{Chaos, Faults, ManualClock, Server},
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const MEGABYTE: u64 = 1 << 20;

const PLAIN: Policy = Policy::fresh(MINUTE).refresh(Refresh::Never);
static PLAIN_SPACE: Keyspace<str, u64> = Keyspace::new("plain", 1, PLAIN);
/// Values that take as long as a model's answer.
static DEAR: Keyspace<str, u64> =
    Keyspace::new("dear", 1, PLAIN.load_cost(Duration::from_secs(50)));
static NEGATIVE: Keyspace<str, u64> =
    Keyspace::new("negative", 1, PLAIN.negative(Duration::from_secs(10)));
static STALE: Keyspace<str, u64> = Keyspace::new(
    "stale",
    1,
    PLAIN
        .stale_while_revalidate(MINUTE)
        .stale_on_error(Duration::from_hours(1), Duration::from_secs(30)),
);
static LEASED: Keyspace<str, u64> = Keyspace::new(
    "leased",
    1,
    PLAIN
        .stale_on_error(Duration::from_hours(1), Duration::from_secs(30))
        .lease(Duration::from_secs(10), Duration::from_secs(5)),
);

/// A clock and a server that several processes share.
struct World {
    clock: ManualClock,
    server: Server,
    loads: Arc<Counter>,
}

impl World {
    fn new() -> Self {
        Self {
            clock: ManualClock::new(),
            server: Server::new(),
            loads: Arc::default(),
        }
    }

    /// A process with memory and the server.
    fn process(&self) -> Cache {
        Cache::builder("app")
            .memory(MEGABYTE)
            .tier(self.server.clone())
            .clock(self.clock.clone())
            .build()
    }

    /// A process that has nothing but its memory.
    fn alone(&self) -> Cache {
        Cache::builder("app")
            .memory(MEGABYTE)
            .clock(self.clock.clone())
            .build()
    }

    /// A loader that counts.
    fn load<E: Send + 'static>(
        &self,
        value: u64,
    ) -> impl FnOnce(Load<u64>) -> std::future::Ready<Result<Loaded<u64>, E>> + Send + use<E> {
        let loads = Arc::clone(&self.loads);
        move |_| {
            loads.add(1);
            std::future::ready(Ok(value.into()))
        }
    }

    fn fail(
        &self,
    ) -> impl FnOnce(Load<u64>) -> std::future::Ready<Result<Loaded<u64>, &'static str>> + Send + use<>
    {
        let loads = Arc::clone(&self.loads);
        move |_| {
            loads.add(1);
            std::future::ready(Err("the origin is down"))
        }
    }
}

async fn get(space: &Space<str, u64>, key: &str) -> Option<u64> {
    space.get(key).await.unwrap().hit().map(|hit| *hit.value)
}

fn counts(cache: &Cache, keyspace: &str, tier: &str) -> Counts {
    let rows = cache.snapshot().tiers;
    let row = rows
        .into_iter()
        .find(|row| row.keyspace == keyspace && row.tier == tier);
    row.unwrap().counts
}

async fn ok(
    space: &Space<str, u64>,
    key: &str,
    load: impl FnOnce(Load<u64>) -> std::future::Ready<Result<Loaded<u64>, Infallible>> + Send + 'static,
) -> crate::Cached<u64> {
    space.get_or_load(key, load).await.unwrap().unwrap()
}
