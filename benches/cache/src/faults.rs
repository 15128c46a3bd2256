//! An origin that is down, and a deployment in which two editions of a type meet.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use amalgam::{Cache as Amalgam, EntryOptions};
use benches::measure::Page;
use larder::{
    Cache, Keyspace, Load, Loaded, Policy,
    tier::redis::{Redis, RedisOptions},
};
use local_servers::redis::Redis as Server;

use crate::data::HOUR;

const SECOND: Duration = Duration::from_secs(1);
const FRESH: Duration = Duration::from_millis(100);
/// How long the origin is down.
const DOWN: Duration = Duration::from_secs(60);

static STALE: Keyspace<str, u64> = Keyspace::new(
    "stale",
    1,
    Policy::fresh(FRESH).stale_on_error(HOUR, SECOND),
);
static OLD: Keyspace<str, u64> = Keyspace::new("counts", 1, Policy::fresh(HOUR));
static NEW: Keyspace<str, (u64, String)> = Keyspace::new("counts", 2, Policy::fresh(HOUR));

fn down() -> std::io::Error {
    std::io::Error::other("the origin is down")
}

/// Asks again and again while the origin is down; how often, and how many errors there were.
async fn ask<R: Future<Output = bool>>(get: impl Fn() -> R) -> (u64, u64) {
    let (mut asked, mut errors) = (0, 0);
    let begun = Instant::now();
    while begun.elapsed() < DOWN {
        asked += 1;
        errors += u64::from(!get().await);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    (asked, errors)
}

/// With how many requests, errors, and calls of the origin.
type Outage = (u64, u64, u64);

async fn larder() -> anyhow::Result<Outage> {
    let cache = Cache::builder("bench").memory(1 << 20).build();
    let space = cache.space(&STALE);
    let _ = space.put("key", 7.into()).await?;
    tokio::time::sleep(2 * FRESH).await;
    let probes = Arc::new(AtomicU64::new(0));
    let asked = ask(|| async {
        let probes = Arc::clone(&probes);
        let load = async move |_: Load<u64>| {
            probes.fetch_add(1, Ordering::Relaxed);
            Err::<Loaded<u64>, _>(down())
        };
        space.get_or_load("key", load).await.is_ok()
    });
    let (asked, errors) = asked.await;
    Ok((asked, errors, probes.load(Ordering::Relaxed)))
}

async fn amalgam() -> anyhow::Result<Outage> {
    let amalgam: Amalgam<u64> = Amalgam::builder().try_build()?;
    let options = EntryOptions::new(FRESH).with_fail_safe(true, Some(HOUR), Some(SECOND));
    amalgam.set("key", 7).options(|_| options.clone()).await?;
    tokio::time::sleep(2 * FRESH).await;
    let probes = Arc::new(AtomicU64::new(0));
    let asked = ask(|| async {
        let probes = Arc::clone(&probes);
        let load = move |_| async move {
            probes.fetch_add(1, Ordering::Relaxed);
            Err::<u64, _>(down())
        };
        let got = amalgam.get_or_set("key", load).options(|_| options.clone());
        got.await.is_ok()
    });
    let (asked, errors) = asked.await;
    Ok((asked, errors, probes.load(Ordering::Relaxed)))
}

/// Entries have gone stale, and their origin fails.
pub(crate) async fn outage(page: &mut Page) -> anyhow::Result<()> {
    let (larder, amalgam) = tokio::try_join!(larder(), amalgam())?;
    let row = |name: &str, (asked, errors, probes): Outage| {
        let figures = [asked, errors, probes].map(|figure| figure.to_string());
        std::iter::once(name.to_owned()).chain(figures).collect()
    };
    page.table(
        "A minute of an origin that is down, with a stale entry",
        "Asked every millisecond or so; the origin is to be left alone for a second after each failure.",
        &["what", "asked", "errors", "calls of the origin"],
        &[row("larder", larder), row("amalgam, fail-safe", amalgam)],
    );
    Ok(())
}

/// Two editions of a program share a server.
pub(crate) async fn skew(page: &mut Page) -> anyhow::Result<()> {
    const KEYS: u64 = 1_000;
    let server = Server::start()?;
    let cache = || -> anyhow::Result<Cache> {
        let tier = Redis::new(&server.url(), RedisOptions::default())?;
        Ok(Cache::builder("bench").tier(tier).build())
    };
    let (old, new) = (cache()?.space(&OLD), cache()?.space(&NEW));
    let (mut errors, mut wrong) = (0_u64, 0_u64);
    for n in 0..KEYS {
        let receipt = old.put(&n.to_string(), n.into()).await?;
        anyhow::ensure!(receipt.is_complete(), "{receipt:?}");
    }
    for n in 0..KEYS {
        let value = (n, "new".to_owned());
        let expected = value.clone();
        let load = async move |_: Load<(u64, String)>| Ok::<_, std::io::Error>(Loaded::from(value));
        match new.get_or_load(&n.to_string(), load).await {
            Ok(Some(got)) => wrong += u64::from(*got.value != expected),
            _ => errors += 1,
        }
        match old.get(&n.to_string()).await {
            Ok(found) => wrong += u64::from(found.hit().is_none_or(|got| *got.value != n)),
            Err(_) => errors += 1,
        }
    }
    page.table(
        "Two editions of a type at the same keys",
        "1,000 keys, read by the old edition and loaded by the new one in turn.",
        &["requests", "errors", "wrong values"],
        &[vec![
            (2 * KEYS).to_string(),
            errors.to_string(),
            wrong.to_string(),
        ]],
    );
    Ok(())
}
