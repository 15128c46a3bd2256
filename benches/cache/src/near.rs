//! Hits in memory, on disk and on a server.

use std::{convert::Infallible, hint::black_box, time::Duration};

use anyhow::Context as _;
use benches::measure::{Goal, Page};
use larder::{
    Cache, Keyspace, Load, Loaded, Policy, Space,
    tier::{
        redis::{Redis, RedisOptions},
        sqlite::Sqlite,
    },
};

use crate::turns::{Contestant, take_turns};

const POLICY: Policy = Policy::fresh(Duration::from_hours(1));
static TEXTS: Keyspace<str, Vec<u8>> =
    Keyspace::with_codec("texts", 1, POLICY, larder::Codec::bytes());

/// A value that cannot be compressed.
fn value(size: usize) -> Vec<u8> {
    let mut random = 1_u32;
    let mut next = || {
        // "Numerical Recipes", a linear congruential generator.
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        random.to_be_bytes()
    };
    (0..size.div_ceil(4))
        .flat_map(|_| next())
        .take(size)
        .collect()
}

/// Keys, as many as a function may have in use.
fn keys() -> Vec<String> {
    (0..1_000).map(|n| format!("deployment-{n:06}")).collect()
}

async fn filled(
    cache: &Cache,
    keys: &[String],
    size: usize,
) -> anyhow::Result<Space<str, Vec<u8>>> {
    let space = cache.space(&TEXTS);
    for key in keys {
        let receipt = space.put(key, value(size).into()).await?;
        anyhow::ensure!(receipt.is_complete(), "{receipt:?}");
    }
    Ok(space)
}

/// A hit in memory against the map underneath.
pub(crate) async fn memory(page: &mut Page) -> anyhow::Result<()> {
    let keys = keys();
    let raw = quick_cache::sync::Cache::<String, std::sync::Arc<Vec<u8>>>::new(10_000);
    for key in &keys {
        raw.insert(key.clone(), value(256).into());
    }
    let cache = Cache::builder("bench").memory(64 << 20).build();
    let space = filled(&cache, &keys, 256).await?;
    // What is put and what is loaded in the same millisecond is told apart by the next.
    tokio::time::sleep(Duration::from_millis(20)).await;
    let load = async |_: Load<Vec<u8>>| Ok::<_, Infallible>(Loaded::from(Vec::new()));
    let mut at = keys.iter().cycle();
    let mut at2 = keys.iter().cycle();
    let mut at3 = keys.iter().cycle();
    let mut contestants = [
        Contestant::new("quick_cache, get", async |times| {
            for key in at.by_ref().take(times.try_into().unwrap_or(0)) {
                black_box(&raw.get(key.as_str()));
            }
        }),
        Contestant::new("larder, get", async |times| {
            for key in at2.by_ref().take(times.try_into().unwrap_or(0)) {
                let _ = black_box(&space.get(key).await);
            }
        }),
        Contestant::new("larder, get_or_load", async |times| {
            for key in at3.by_ref().take(times.try_into().unwrap_or(0)) {
                let _ = black_box(&space.get_or_load(key, load).await);
            }
        }),
    ];
    let samples = take_turns(&mut contestants).await;
    page.section(
        "A hit in memory",
        "Keys of 17 bytes, values of 256 bytes, 1,000 of them in turn, one thread.",
    );
    for (contestant, samples) in contestants.iter().zip(&samples) {
        page.figure(contestant.name, samples, "ns");
    }
    if let [raw, get, load] = samples.as_slice() {
        page.ratio(
            "larder get ÷ quick_cache",
            get.median() / raw.median(),
            Goal::AtMost(1.5),
        );
        page.plain_ratio(
            "larder get_or_load ÷ quick_cache",
            load.median() / raw.median(),
        );
    }
    let counts = cache.snapshot();
    let hits = counts.tiers.first().map_or(0, |row| row.counts.hits);
    anyhow::ensure!(hits > 1_000, "not what was to be measured: {counts:?}");
    Ok(())
}

/// A hit on disk against a prepared point read.
pub(crate) async fn sqlite(page: &mut Page) -> anyhow::Result<()> {
    for size in [256, 16 << 10] {
        let folder = tempfile::tempdir()?;
        let keys = keys();
        let raw = rusqlite::Connection::open(folder.path().join("raw.db"))?;
        raw.execute_batch(
            "PRAGMA synchronous=OFF; PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL;
             CREATE TABLE entries (key TEXT PRIMARY KEY, value BLOB NOT NULL)",
        )?;
        for key in &keys {
            raw.execute("INSERT INTO entries VALUES (?1, ?2)", (key, value(size)))?;
        }
        let mut select = raw.prepare("SELECT value FROM entries WHERE key = ?1")?;
        let tier = Sqlite::new(folder.path().join("larder.db"), 256 << 20);
        let cache = Cache::builder("bench").tier(tier).build();
        let space = filled(&cache, &keys, size).await?;
        let mut at = keys.iter().cycle();
        let mut at2 = keys.iter().cycle();
        let mut contestants = [
            Contestant::new("a prepared point read", async |times| {
                for key in at.by_ref().take(times.try_into().unwrap_or(0)) {
                    let value: Result<Vec<u8>, _> = select.query_row([key], |row| row.get(0));
                    let _ = black_box(value);
                }
            }),
            Contestant::new("larder, get", async |times| {
                for key in at2.by_ref().take(times.try_into().unwrap_or(0)) {
                    let _ = black_box(&space.get(key).await);
                }
            }),
        ];
        let samples = take_turns(&mut contestants).await;
        page.section(
            &format!("A hit on disk, {size} bytes"),
            "Checksum and decoding included; the file lies in this machine's temporary folder.",
        );
        for (contestant, samples) in contestants.iter().zip(&samples) {
            page.figure(contestant.name, samples, "ns");
        }
        if let [raw, get] = samples.as_slice() {
            page.ratio(
                "larder ÷ point read",
                get.median() / raw.median(),
                Goal::AtMost(1.5),
            );
        }
    }
    Ok(())
}

/// A hit on a server against a plain GET.
pub(crate) async fn redis(page: &mut Page) -> anyhow::Result<()> {
    let server = local_servers::redis::Redis::start()?;
    let keys = keys();
    let client = redis::Client::open(server.url())?;
    let mut raw = client.get_multiplexed_async_connection().await?;
    for key in &keys {
        let set = redis::cmd("SET").arg(key).arg(value(256)).to_owned();
        set.exec_async(&mut raw).await?;
    }
    let tier = Redis::new(&server.url(), RedisOptions::default()).context("address")?;
    let cache = Cache::builder("bench").tier(tier).build();
    let space = filled(&cache, &keys, 256).await?;
    let mut at = keys.iter().cycle();
    let mut at2 = keys.iter().cycle();
    let mut contestants = [
        Contestant::new("GET", async |times| {
            for key in at.by_ref().take(times.try_into().unwrap_or(0)) {
                let value = redis::cmd("GET")
                    .arg(key)
                    .query_async::<Vec<u8>>(&mut raw)
                    .await;
                let _ = black_box(value);
            }
        }),
        Contestant::new("larder, get", async |times| {
            for key in at2.by_ref().take(times.try_into().unwrap_or(0)) {
                let _ = black_box(&space.get(key).await);
            }
        }),
    ];
    let samples = take_turns(&mut contestants).await;
    page.section(
        "A hit on a server",
        "redis-server on loopback; larder's has the marks that cover the entry, its checksum and its decoding included.",
    );
    for (contestant, samples) in contestants.iter().zip(&samples) {
        page.figure(contestant.name, samples, "ns");
    }
    if let [raw, get] = samples.as_slice() {
        page.ratio(
            "larder ÷ GET",
            get.median() / raw.median(),
            Goal::AtMost(1.5),
        );
    }
    Ok(())
}

static MANY: Keyspace<String, Vec<u8>> =
    Keyspace::with_codec("many", 1, POLICY, larder::Codec::bytes());

/// A hundred hits on a server against one MGET.
pub(crate) async fn batch(page: &mut Page) -> anyhow::Result<()> {
    let server = local_servers::redis::Redis::start()?;
    let keys: Vec<_> = keys().into_iter().take(100).collect();
    let client = redis::Client::open(server.url())?;
    let mut raw = client.get_multiplexed_async_connection().await?;
    for key in &keys {
        let set = redis::cmd("SET").arg(key).arg(value(256)).to_owned();
        set.exec_async(&mut raw).await?;
    }
    let tier = Redis::new(&server.url(), RedisOptions::default()).context("address")?;
    let cache = Cache::builder("bench").tier(tier).build();
    let space = cache.space(&MANY);
    for key in &keys {
        let receipt = space.put(key, value(256).into()).await?;
        anyhow::ensure!(receipt.is_complete(), "{receipt:?}");
    }
    let mut contestants = [
        Contestant::new("MGET of 100", async |times| {
            for _ in 0..times {
                let mget = redis::cmd("MGET").arg(&keys).to_owned();
                let _ = black_box(mget.query_async::<Vec<Vec<u8>>>(&mut raw).await);
            }
        }),
        Contestant::new("larder, get_many of 100", async |times| {
            for _ in 0..times {
                let load = async |_| Ok::<Vec<(String, Loaded<Vec<u8>>)>, Infallible>(Vec::new());
                let _ = black_box(space.get_many(&keys, load).await);
            }
        }),
    ];
    let samples = take_turns(&mut contestants).await;
    page.section(
        "A hundred keys at once",
        "Values of 256 bytes on redis-server on loopback, one trip each.",
    );
    for (contestant, samples) in contestants.iter().zip(&samples) {
        page.figure(contestant.name, samples, "ns");
    }
    if let [raw, get] = samples.as_slice() {
        page.ratio(
            "larder ÷ MGET",
            get.median() / raw.median(),
            Goal::AtMost(1.5),
        );
    }
    let stats = cache.snapshot();
    anyhow::ensure!(
        stats.loads.iter().all(|loads| loads.loads == 0),
        "{stats:?}"
    );
    Ok(())
}
