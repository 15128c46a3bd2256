//! The file: the suite that every tier passes, its bound, and what happens to it.

use std::{cell::Cell, time::Duration};

use tempfile::TempDir;

use super::*;
use crate::{
    MAX_MARKS, Mark, Scope, WallMillis,
    frame::Frame,
    life::Life,
    policy::Policy,
    testing::conformance,
    tier::{Asked, News, Put},
};

const MEGABYTE: u64 = 1 << 20;
const NOW: WallMillis = WallMillis::new(1_795_338_000_000);

fn frame(payload: &[u8]) -> Vec<u8> {
    let policy = Policy::fresh(Duration::from_mins(1));
    let frame = Frame {
        schema: 1,
        life: Life::of_value(&policy, NOW, Duration::ZERO, 1.0),
        tags: Vec::new(),
        etag: None,
        packed: false,
        sealed: false,
        payload,
    };
    frame.encode().unwrap()
}

async fn put(tier: &Sqlite, key: &str, frame: &[u8]) -> Result<(), TierError> {
    put_at(tier, key, frame, NOW).await
}

async fn put_at(tier: &Sqlite, key: &str, frame: &[u8], now: WallMillis) -> Result<(), TierError> {
    let puts = [Put {
        key,
        frame,
        created: NOW,
        until: NOW.plus(Duration::from_mins(1)),
    }];
    let batch = WriteBatch {
        puts: &puts,
        ..WriteBatch::new("app", now)
    };
    tier.write(batch).await
}

async fn get(tier: &Sqlite, key: &str) -> Result<Option<Vec<u8>>, TierError> {
    let entries = [Asked {
        key,
        scopes: &[],
        expiry: Scope::ALL,
    }];
    let batch = ReadBatch {
        app: "app",
        now: NOW,
        entries: &entries,
        scopes: &[],
        news: News::None,
        lease: None,
    };
    let found = tier.read(batch).await?.found.pop().flatten();
    Ok(found.map(|found| found.bytes))
}

fn bytes_in(folder: &TempDir) -> u64 {
    let files = fs::read_dir(folder.path()).unwrap();
    files
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum()
}

#[tokio::test]
async fn it_passes_the_suite_of_all_tiers() {
    let folder = TempDir::new().unwrap();
    let number = Cell::new(0);
    conformance(async || {
        number.set(number.get() + 1);
        let path = folder.path().join(format!("{}.db", number.get()));
        Sqlite::new(path, 8 * MEGABYTE)
    })
    .await;
}

#[tokio::test]
async fn what_was_written_outlives_the_process() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("larder.db");
    let bytes = frame(b"kept");
    put(&Sqlite::new(&path, MEGABYTE), "key", &bytes)
        .await
        .unwrap();
    let again = Sqlite::new(&path, MEGABYTE);
    assert_eq!(get(&again, "key").await.unwrap(), Some(bytes));
}

#[tokio::test]
async fn ten_times_the_budget_never_exceeds_it_and_the_last_stays() {
    let folder = TempDir::new().unwrap();
    let tier = Sqlite::new(folder.path().join("larder.db"), 2 * MEGABYTE);
    for n in 0..1_000 {
        let size = 1_000 + n * 37 % 40_000;
        let key = n.to_string();
        put(&tier, &key, &frame(&vec![7; size])).await.unwrap();
        let bytes = bytes_in(&folder);
        assert!(bytes <= 2 * MEGABYTE, "{bytes} after {n}");
        assert!(
            get(&tier, &key).await.unwrap().is_some(),
            "{n} was just written"
        );
    }
}

#[tokio::test]
async fn what_is_read_outlasts_what_is_not() {
    let folder = TempDir::new().unwrap();
    let tier = Sqlite::new(folder.path().join("larder.db"), MEGABYTE);
    let bytes = frame(&[7; 1_000]);
    put(&tier, "favourite", &bytes).await.unwrap();
    for n in 0..5_000 {
        put(&tier, &n.to_string(), &bytes).await.unwrap();
        assert!(
            get(&tier, "favourite").await.unwrap().is_some(),
            "after {n}"
        );
    }
    assert!(get(&tier, "0").await.unwrap().is_none(), "evicted long ago");
}

#[tokio::test]
async fn what_is_too_large_is_not_kept_and_nor_is_what_was_there() {
    let folder = TempDir::new().unwrap();
    let tier = Sqlite::new(folder.path().join("larder.db"), MEGABYTE);
    put(&tier, "key", &frame(b"small")).await.unwrap();
    let large = frame(&vec![7; 200_000]);
    put(&tier, "key", &large).await.unwrap();
    assert_eq!(get(&tier, "key").await.unwrap(), None);
}

#[tokio::test]
async fn the_dead_go_first() {
    let folder = TempDir::new().unwrap();
    let tier = Sqlite::new(folder.path().join("larder.db"), MEGABYTE);
    let bytes = frame(&[7; 1_000]);
    for n in 0..600 {
        put(&tier, &n.to_string(), &bytes).await.unwrap();
        get(&tier, &n.to_string()).await.unwrap();
    }
    let later = NOW.plus(Duration::from_hours(1));
    for n in 1_000..1_400 {
        put_at(&tier, &n.to_string(), &bytes, later).await.unwrap();
    }
    assert!(bytes_in(&folder) <= MEGABYTE);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_made_anew() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("larder.db");
    fs::write(&path, "no database at all, and longer than a header is").unwrap();
    let tier = Sqlite::new(&path, MEGABYTE);
    assert_eq!(get(&tier, "key").await.unwrap(), None);
    put(&tier, "key", &frame(b"x")).await.unwrap();
    assert!(get(&tier, "key").await.unwrap().is_some());
}

#[tokio::test]
async fn a_file_that_was_damaged_is_made_anew() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("larder.db");
    {
        let tier = Sqlite::new(&path, MEGABYTE);
        for n in 0..100 {
            put(&tier, &n.to_string(), &frame(&[7; 1_000]))
                .await
                .unwrap();
        }
    }
    let mut bytes = fs::read(&path).unwrap();
    let len = bytes.len();
    bytes[100..len].fill(0xAA);
    fs::write(&path, bytes).unwrap();
    let tier = Sqlite::new(&path, MEGABYTE);
    let mut failures = 0;
    for n in 0..10 {
        failures += u32::from(put(&tier, &n.to_string(), &frame(b"x")).await.is_err());
    }
    assert!(failures <= 1, "{failures} writes failed");
    assert!(get(&tier, "9").await.unwrap().is_some());
}

#[tokio::test]
async fn a_second_process_goes_without_it() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("larder.db");
    let first = Sqlite::new(&path, MEGABYTE);
    put(&first, "key", &frame(b"x")).await.unwrap();
    let second = Sqlite::new(&path, MEGABYTE);
    assert!(get(&second, "key").await.is_err());
    let off = get(&second, "key").await.unwrap_err();
    assert_eq!(off.kind, TierErrorKind::Off);
    assert!(get(&first, "key").await.unwrap().is_some());
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_said_and_left_alone() {
    let tier = Sqlite::new("/proc/larder/larder.db", MEGABYTE);
    let error = get(&tier, "key").await.unwrap_err();
    assert_eq!(error.kind, TierErrorKind::Unreachable);
    let error = get(&tier, "key").await.unwrap_err();
    assert_eq!(error.kind, TierErrorKind::Off);
}

#[tokio::test]
async fn marks_are_bounded_and_none_is_forgotten() {
    let folder = TempDir::new().unwrap();
    let tier = Sqlite::new(folder.path().join("larder.db"), 8 * MEGABYTE);
    let at = |n: usize| NOW.plus(Duration::from_millis(n.try_into().unwrap()));
    let many = MAX_MARKS * 2;
    for first in (0..many).step_by(1_000) {
        let marks: Vec<_> = (first..first + 1_000)
            .map(|n| Mark {
                scope: Scope::tag(&n.to_string()),
                at: at(n),
            })
            .collect();
        let batch = WriteBatch {
            marks: &marks,
            ..WriteBatch::new("app", NOW)
        };
        tier.write(batch).await.unwrap();
    }
    let batch = ReadBatch {
        app: "app",
        now: NOW,
        entries: &[],
        scopes: &[],
        news: News::Since(0),
        lease: None,
    };
    let marks = tier.read(batch).await.unwrap().news;
    assert!(marks.len() <= MAX_MARKS + MAX_MARKS / 2, "{}", marks.len());
    let all = marks
        .iter()
        .find(|mark| mark.scope == Scope::ALL)
        .unwrap()
        .at;
    for n in 0..many {
        let scope = Scope::tag(&n.to_string());
        let kept = marks.iter().any(|mark| mark.scope == scope);
        assert!(kept || at(n) <= all, "{n}");
    }
}
