//! How much of what is asked for is there, where a little is asked for often.

use std::{convert::Infallible, sync::Arc};

use benches::measure::Page;
use larder::{Cache, Entry, Load, Loaded, Source};

use crate::data::{TEXTS, value};

/// Different keys.
const KEYS: usize = 100_000;
const REQUESTS: usize = 500_000;
/// What an entry counts as in larder: 8 bytes of value in a frame, a key of 14 bytes, and what keeping it takes.
const WEIGHT: u64 = 350;

/// Requests whose popularity falls with the power `s` of their rank.
fn requests(s: f64) -> Vec<usize> {
    let mut sum = 0.0;
    let shares: Vec<f64> = (1_u32..)
        .take(KEYS)
        .map(|rank| {
            sum += f64::from(rank).powf(-s);
            sum
        })
        .collect();
    let mut random = fastrand::Rng::with_seed(7);
    (0..REQUESTS)
        .map(|_| {
            let at = random.f64() * sum;
            shares.partition_point(|share| *share < at)
        })
        .collect()
}

fn percent(hits: usize) -> String {
    let share = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    format!("{:.1} %", 100.0 * share(hits) / share(REQUESTS))
}

async fn larder(requests: &[usize], room: usize) -> anyhow::Result<String> {
    let bytes = WEIGHT * u64::try_from(room)?;
    let cache = Cache::builder("bench").memory(bytes).build();
    let space = cache.space(&TEXTS);
    let mut hits = 0;
    for n in requests {
        let load = async |_: Load<Vec<u8>>| Ok::<_, Infallible>(Loaded::from(Entry::new(value(8))));
        let got = space.get_or_load(&format!("key-{n:010}"), load).await?;
        hits += usize::from(got.is_some_and(|got| got.source == Source::Memory));
    }
    // For the same room: as many entries.
    let held = usize::try_from(cache.snapshot().memory_entries)?;
    anyhow::ensure!(
        held <= room + room / 20 && held >= room - room / 10,
        "{held} entries where {room} were meant"
    );
    Ok(percent(hits))
}

/// With what is missed put there, of a cache that is looked into by `get` and filled by `put`.
fn of(requests: &[usize], get: impl Fn(usize) -> bool, put: impl Fn(usize)) -> String {
    let hits = requests.iter().filter(|n| {
        let hit = get(**n);
        if !hit {
            put(**n);
        }
        hit
    });
    percent(hits.count())
}

fn moka(requests: &[usize], room: usize) -> String {
    let cache = moka::sync::Cache::new(u64::try_from(room).unwrap_or(0));
    of(
        requests,
        |n| cache.get(&n).is_some(),
        |n| cache.insert(n, ()),
    )
}

fn foyer(requests: &[usize], room: usize) -> String {
    let cache: foyer::Cache<usize, ()> = foyer::CacheBuilder::new(room).with_shards(1).build();
    let put = |n| drop(cache.insert(n, ()));
    of(requests, |n| cache.get(&n).is_some(), put)
}

fn cached(requests: &[usize], room: usize) -> String {
    let hour = std::time::Duration::from_hours(1);
    let cache = cached::ShardedLruTtlCache::new(room, hour);
    let put = |n| drop(cache.set(n, Arc::new(())));
    of(requests, |n| cache.get(&n).is_some(), put)
}

/// Hits in percent.
pub(crate) async fn ratio(page: &mut Page) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for s in [0.9, 1.0, 1.1] {
        let requests = requests(s);
        for room in [500, 1_000, 5_000, 10_000] {
            rows.push(vec![
                format!("{s:.1}"),
                room.to_string(),
                larder(&requests, room).await?,
                moka(&requests, room),
                foyer(&requests, room),
                cached(&requests, room),
            ]);
        }
    }
    page.table(
        "Hits where some keys are popular",
        "500,000 requests for 100,000 keys by Zipf's law, one seed for all; every miss is put. larder's room is given in bytes, for as many entries.",
        &["exponent", "room, entries", "larder", "moka", "foyer, its default", "cached, LRU"],
        &rows,
    );
    Ok(())
}
