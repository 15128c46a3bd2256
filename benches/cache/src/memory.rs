//! Hits in memory: one task, eight tasks, and what they allocate.

use std::{convert::Infallible, hint::black_box, sync::Arc, time::Duration};

use amalgam::Cache as Amalgam;
use benches::measure::Page;
use larder::{Cache, Load, Loaded, Space};
use multi_tier_cache::{CacheBackend as _, MokaCache, MokaCacheConfig};
use tokio::runtime::{Builder, Runtime};

use crate::{
    allocations::{begin, end},
    data::{HOUR, filled, keys, value},
    outside,
    turns::{Contestant, compare},
};

type Value = Arc<Vec<u8>>;

const ROOM: usize = 10_000;

/// One of each, with the same in it.
struct Caches {
    quick: quick_cache::sync::Cache<String, Value>,
    larder: Space<str, Vec<u8>>,
    moka: moka::sync::Cache<String, Value>,
    moka_future: moka::future::Cache<String, Value>,
    foyer: foyer::Cache<String, Value>,
    cached: cached::ShardedLruTtlCache<String, Value>,
    amalgam: Amalgam<Value>,
    multi_tier: MokaCache,
}

async fn caches(keys: &[String]) -> anyhow::Result<Caches> {
    let room = u64::try_from(ROOM)?;
    let cache = Cache::builder("bench").memory(64 << 20).build();
    let caches = Caches {
        quick: quick_cache::sync::Cache::new(ROOM),
        larder: filled(&cache, keys, 256).await?,
        moka: moka::sync::Cache::builder()
            .max_capacity(room)
            .time_to_live(HOUR)
            .build(),
        moka_future: moka::future::Cache::builder()
            .max_capacity(room)
            .time_to_live(HOUR)
            .build(),
        foyer: foyer::CacheBuilder::new(ROOM).build(),
        cached: cached::ShardedLruTtlCache::new(ROOM, HOUR),
        amalgam: Amalgam::builder().max_capacity(room).try_build()?,
        multi_tier: MokaCache::new(MokaCacheConfig {
            max_capacity: room,
            time_to_live: HOUR,
            time_to_idle: HOUR,
        })?,
    };
    for key in keys {
        let value = Arc::new(value(256));
        caches.quick.insert(key.clone(), value.clone());
        caches.moka.insert(key.clone(), value.clone());
        caches.moka_future.insert(key.clone(), value.clone()).await;
        caches.foyer.insert(key.clone(), value.clone());
        caches.cached.set(key.clone(), value.clone());
        caches.amalgam.set(key.as_str(), value.clone()).await?;
        let bytes = bytes::Bytes::copy_from_slice(&value);
        caches.multi_tier.set_with_ttl(key, bytes, HOUR).await?;
    }
    caches.moka.run_pending_tasks();
    caches.moka_future.run_pending_tasks().await;
    // What is put and what is loaded in the same millisecond is told apart by the next.
    tokio::time::sleep(Duration::from_millis(20)).await;
    Ok(caches)
}

async fn never(_: Load<Vec<u8>>) -> Result<Loaded<Vec<u8>>, Infallible> {
    Ok(Loaded::Absent)
}

/// A hit in memory against the map underneath.
pub(crate) async fn hit(page: &mut Page) -> anyhow::Result<()> {
    let keys = keys();
    let caches = caches(&keys).await?;
    let contestants = vec![
        Contestant::each("quick_cache, get", &keys, async |key| {
            black_box(&caches.quick.get(key.as_str()));
        }),
        Contestant::each("larder, get", &keys, async |key| {
            let _ = black_box(&caches.larder.get(key).await);
        })
        .goal(1.5),
        Contestant::each("larder, get_or_load", &keys, async |key| {
            let _ = black_box(&caches.larder.get_or_load(key, never).await);
        }),
        Contestant::each("cached, ShardedLruTtlCache get", &keys, async |key| {
            black_box(&caches.cached.get(key.as_str()));
        }),
        Contestant::each("foyer, in-memory get", &keys, async |key| {
            black_box(&caches.foyer.get(key.as_str()));
        }),
        Contestant::each("moka, sync get", &keys, async |key| {
            black_box(&caches.moka.get(key.as_str()));
        }),
        Contestant::each("moka, future get_with", &keys, async |key| {
            let value = caches
                .moka_future
                .get_with_by_ref(key, async { Arc::default() });
            black_box(&value.await);
        }),
        Contestant::each("amalgam, try_get", &keys, async |key| {
            let _ = black_box(&caches.amalgam.try_get(key.as_str()).await);
        }),
        Contestant::each("amalgam, get_or_set", &keys, async |key| {
            let load = |_| async { Ok::<_, Infallible>(Value::default()) };
            let _ = black_box(&caches.amalgam.get_or_set(key.as_str(), load).await);
        }),
        Contestant::each("multi-tier-cache, Moka backend get", &keys, async |key| {
            black_box(&caches.multi_tier.get(key).await);
        }),
    ];
    let how = "Keys of 17 bytes, values of 256 bytes, 1,000 of them in turn, one thread.";
    let others = outside::measured("memory", "")?;
    compare(page, ("A hit in memory", how), contestants, &others).await;
    Ok(())
}

const TASKS: u32 = 8;

/// Has eight tasks on two threads do `work` so many times between them. `distinct`: each has keys of its own.
async fn tasks<R: Future<Output = ()> + Send + 'static>(
    runtime: &Runtime,
    times: u32,
    work: impl Fn(u32, u32) -> R,
) {
    let each = times / TASKS + 1;
    let all: Vec<_> = (0..TASKS)
        .map(|task| runtime.spawn(work(task, each)))
        .collect();
    for one in all {
        let _ = one.await;
    }
}

/// The key that `task` asks for at its `n`th turn.
fn chosen(keys: &[String], task: u32, n: u32, distinct: bool) -> &str {
    let at = if distinct { task * 100 + n % 100 } else { 0 };
    let key = keys.get(usize::try_from(at).unwrap_or(0));
    key.map_or("", String::as_str)
}

/// Hits by eight tasks at once, as where one process serves several requests.
pub(crate) async fn concurrent(page: &mut Page) -> anyhow::Result<()> {
    let runtime = Builder::new_multi_thread().worker_threads(2).build()?;
    let keys = Arc::new(keys());
    let caches = Arc::new(caches(&keys).await?);
    for distinct in [false, true] {
        let shared = || (Arc::clone(&keys), Arc::clone(&caches));
        macro_rules! by_eight {
            ($name:literal, |$caches:ident, $key:ident| $hit:expr) => {
                Contestant::new($name, async |times| {
                    tasks(&runtime, times, |task, times| {
                        let (keys, $caches) = shared();
                        async move {
                            for n in 0..times {
                                let $key = chosen(&keys, task, n, distinct);
                                let _ = black_box(&$hit);
                            }
                        }
                    })
                    .await;
                })
            };
        }
        let contestants = vec![
            by_eight!("quick_cache, get", |caches, key| caches.quick.get(key)),
            by_eight!("larder, get_or_load", |caches, key| {
                caches.larder.get_or_load(key, never).await
            }),
            by_eight!("moka, future get_with", |caches, key| {
                let value = caches
                    .moka_future
                    .get_with_by_ref(key, async { Arc::default() });
                value.await
            }),
            by_eight!("amalgam, get_or_set", |caches, key| {
                let load = |_| async { Ok::<_, Infallible>(Value::default()) };
                caches.amalgam.get_or_set(key, load).await
            }),
        ];
        let title = if distinct {
            "Hits by eight tasks, each at keys of its own"
        } else {
            "Hits by eight tasks at one key"
        };
        let how = "On two threads; time by the wall, divided by all hits.";
        compare(page, (title, how), contestants, &[]).await;
    }
    // It must not be dropped where others run.
    runtime.shutdown_background();
    Ok(())
}

/// What hits allocate.
pub(crate) async fn allocations(page: &mut Page) -> anyhow::Result<()> {
    let keys = keys();
    let caches = caches(&keys).await?;
    let mut rows = Vec::new();
    let key = "deployment-000001";
    macro_rules! count {
        ($name:literal, $hit:expr) => {{
            let _ = black_box(&$hit);
            begin();
            for _ in 0..1_000 {
                let _ = black_box(&$hit);
            }
            let each = end().saturating_add(500) / 1_000;
            rows.push(vec![$name.to_owned(), each.to_string()]);
        }};
    }
    count!("larder, get", caches.larder.get(key).await);
    count!(
        "larder, get_or_load",
        caches.larder.get_or_load(key, never).await
    );
    count!("moka, sync get", caches.moka.get(key));
    count!("foyer, in-memory get", caches.foyer.get(key));
    count!("cached, ShardedLruTtlCache get", caches.cached.get(key));
    count!("amalgam, try_get", caches.amalgam.try_get(key).await);
    count!(
        "multi-tier-cache, Moka backend get",
        caches.multi_tier.get(key).await
    );
    page.table(
        "Allocations of a hit in memory",
        "Counted by the allocator, over 1,000 hits.",
        &["what", "allocations"],
        &rows,
    );
    Ok(())
}
