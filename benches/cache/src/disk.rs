//! Hits on disk, opening, and what churn leaves there.

use std::{
    hint::black_box,
    path::Path,
    time::{Duration, Instant},
};

use benches::measure::{Page, Samples};
use cached::{ConcurrentCached as _, RedbCache};
use foyer::{
    BlockEngineConfig, DeviceBuilder as _, FsDeviceBuilder, HybridCache, HybridCacheBuilder,
    HybridCachePolicy,
};
use larder::{Cache, tier::sqlite::Sqlite};

use crate::{
    data::{HOUR, TEXTS, filled, keys, value},
    outside,
    turns::{Contestant, compare},
};

const BUDGET: u64 = 256 << 20;
const PRAGMAS: &str =
    "PRAGMA synchronous=OFF; PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL;
     CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, value BLOB NOT NULL)";

fn larder(folder: &Path) -> Cache {
    let tier = Sqlite::new(folder.join("larder.db"), BUDGET);
    Cache::builder("bench").tier(tier).build()
}

fn redb(folder: &Path) -> anyhow::Result<RedbCache<String, Vec<u8>>> {
    let redb = RedbCache::builder("bench").disk_dir(folder).ttl(HOUR);
    Ok(redb.durable(false).build()?)
}

/// Memory for one entry, so that reads come from disk.
async fn foyer(folder: &Path) -> anyhow::Result<HybridCache<String, Vec<u8>>> {
    let device = FsDeviceBuilder::new(folder.join("foyer"))
        .with_capacity(usize::try_from(BUDGET)?)
        .build()?;
    let cache = HybridCacheBuilder::new()
        .with_policy(HybridCachePolicy::WriteOnInsertion)
        .memory(1)
        .with_shards(1)
        .storage()
        .with_engine_config(BlockEngineConfig::new(device))
        .build()
        .await?;
    Ok(cache)
}

/// A hit on disk against a prepared point read.
pub(crate) async fn hit(page: &mut Page) -> anyhow::Result<()> {
    for size in [256, 16 << 10] {
        let folder = tempfile::tempdir()?;
        let keys = keys();
        let raw = rusqlite::Connection::open(folder.path().join("raw.db"))?;
        raw.execute_batch(PRAGMAS)?;
        let redb = redb(folder.path())?;
        let foyer = foyer(folder.path()).await?;
        for key in &keys {
            raw.execute("INSERT INTO entries VALUES (?1, ?2)", (key, value(size)))?;
            redb.cache_set(key.clone(), value(size))?;
            foyer.insert(key.clone(), value(size));
        }
        foyer.storage().wait().await;
        let mut select = raw.prepare("SELECT value FROM entries WHERE key = ?1")?;
        let cache = larder(folder.path());
        let space = filled(&cache, &keys, size).await?;
        let contestants = vec![
            Contestant::each("SQLite, a prepared point read", &keys, async |key| {
                let value: Result<Vec<u8>, _> = select.query_row([key], |row| row.get(0));
                let _ = black_box(&value);
            }),
            Contestant::each("larder, get", &keys, async |key| {
                let _ = black_box(&space.get(key).await);
            })
            .goal(1.5),
            Contestant::each("cached, RedbCache get", &keys, async |key| {
                let _ = black_box(&redb.cache_get(key));
            }),
            Contestant::each("foyer, hybrid get", &keys, async |key| {
                let _ = black_box(&foyer.get(key).await);
            }),
        ];
        let title = format!("A hit on disk, {size} bytes");
        let how =
            "Checksum and decoding included; the files lie in this machine's temporary folder.";
        let others = outside::measured("disk", &size.to_string())?;
        compare(page, (&title, how), contestants, &others).await;
        foyer.close().await?;
    }
    Ok(())
}

/// What a process takes from nothing to its first value from a file that a former one left.
pub(crate) async fn open(page: &mut Page) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let keys = keys();
    let first = keys.first().map_or("", String::as_str);
    {
        let raw = rusqlite::Connection::open(folder.path().join("raw.db"))?;
        raw.execute_batch(PRAGMAS)?;
        let (redb, foyer) = (redb(folder.path())?, foyer(folder.path()).await?);
        for key in &keys {
            raw.execute("INSERT INTO entries VALUES (?1, ?2)", (key, value(256)))?;
            redb.cache_set(key.clone(), value(256))?;
            foyer.insert(key.clone(), value(256));
        }
        foyer.close().await?;
        filled(&larder(folder.path()), &keys, 256).await?;
    }
    let mut samples = vec![Samples::new(); 5];
    for _ in 0..15 {
        let mut taken = Vec::new();
        let begun = Instant::now();
        let raw = rusqlite::Connection::open(folder.path().join("raw.db"))?;
        raw.execute_batch(PRAGMAS)?;
        let select = "SELECT value FROM entries WHERE key = ?1";
        let _: Vec<u8> = raw.query_row(select, [first], |row| row.get(0))?;
        taken.push(begun.elapsed());
        drop(raw);
        let begun = Instant::now();
        let hit = larder(folder.path()).space(&TEXTS).get(first).await?.hit();
        taken.push(begun.elapsed());
        anyhow::ensure!(hit.is_some(), "larder has forgotten it");
        let new = tempfile::tempdir()?;
        let begun = Instant::now();
        let miss = larder(new.path()).space(&TEXTS).get(first).await?.hit();
        taken.push(begun.elapsed());
        anyhow::ensure!(miss.is_none(), "larder has what nobody put");
        let begun = Instant::now();
        let hit = redb(folder.path())?.cache_get(&first.to_owned())?;
        taken.push(begun.elapsed());
        anyhow::ensure!(hit.is_some(), "redb has forgotten it");
        let begun = Instant::now();
        let hybrid = foyer(folder.path()).await?;
        let hit = hybrid.get(first).await?;
        taken.push(begun.elapsed());
        anyhow::ensure!(hit.is_some(), "foyer has forgotten it");
        drop(hit);
        hybrid.close().await?;
        for (samples, taken) in samples.iter_mut().zip(taken) {
            samples.push(taken);
        }
    }
    let names = [
        "SQLite, open and a point read",
        "larder, build, open and a hit",
        "larder, build, create and a miss",
        "cached, RedbCache",
        "foyer, hybrid",
    ];
    let rows: Vec<_> = names.into_iter().zip(&samples).collect();
    let how = "In a process that runs already; 1,000 entries of 256 bytes, left by another cache.";
    page.comparison(
        "From nothing to the first value from disk",
        how,
        &rows,
        "ms",
    );
    Ok(())
}

/// All bytes of the files in `folder`.
fn bytes_in(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = files.filter_map(|file| Some(file.metadata().ok()?.len()));
    sizes.sum()
}

/// Ten times as much is written as there is room for.
pub(crate) async fn churn(page: &mut Page) -> anyhow::Result<()> {
    const ROOM: u64 = 16 << 20;
    const SIZE: usize = 4 << 10;
    let folder = tempfile::tempdir()?;
    let tier = || Sqlite::new(folder.path().join("larder.db"), ROOM);
    let cache = Cache::builder("bench").tier(tier()).build();
    let space = cache.space(&TEXTS);
    let (mut most, mut slowest) = (0, Duration::ZERO);
    let writes = 10 * ROOM / u64::try_from(SIZE)?;
    let begun = Instant::now();
    for n in 0..writes {
        let at = Instant::now();
        let receipt = space.put(&format!("key-{n}"), value(SIZE).into()).await?;
        slowest = slowest.max(at.elapsed());
        anyhow::ensure!(receipt.is_complete(), "{receipt:?}");
        most = most.max(bytes_in(folder.path()));
    }
    let each = begun.elapsed().as_secs_f64() * 1e6 / f64::from(u32::try_from(writes)?);
    drop((space, cache));
    let begun = Instant::now();
    let again = Cache::builder("bench").tier(tier()).build();
    let last = format!("key-{}", writes - 1);
    let kept = again.space(&TEXTS).get(&last).await?.hit().is_some();
    let reopened = begun.elapsed().as_secs_f64() * 1e3;
    let percent = most * 100 / ROOM;
    let row = |what: &str, figure: String| vec![what.to_owned(), figure];
    page.table(
        "Ten times what there is room for",
        "Values of 4 KiB into a file that may have 16 MiB, its log included.",
        &["what", "figure"],
        &[
            row(
                "most bytes on disk, of what it may have",
                format!("{percent} %"),
            ),
            row(
                "a write, and a look at the folder, on average",
                format!("{each:.1} µs"),
            ),
            row(
                "the slowest write",
                format!("{:.1} ms", slowest.as_secs_f64() * 1e3),
            ),
            row("reopened, with a read", format!("{reopened:.2} ms")),
            row("the newest entry is there", kept.to_string()),
        ],
    );
    Ok(())
}
