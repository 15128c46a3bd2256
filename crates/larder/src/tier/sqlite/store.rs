//! The open file: its tables, its room, and the hand that goes round it.

use std::{
    collections::HashSet, fs, hash::BuildHasherDefault, io, os::unix::fs::OpenOptionsExt as _,
    path::Path, time::Duration,
};

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};
use twox_hash::XxHash3_64;

use crate::{
    clock::WallMillis,
    hashed::Hashed,
    scope::{MAX_MARKS, Mark, Scope},
    tier::{Answer, Found, News, Put, ReadBatch, WriteBatch},
};

const PAGE: u64 = 4096;

/// Pages that the log may have before they are moved into the file.
const LOG_PAGES: u64 = 256;

/// How many entries the hand passes at a time.
const STEP: u32 = 16;

/// How many entries it is remembered of that they were read.
const MOST_READ: usize = 65_536;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS entries (
        id INTEGER PRIMARY KEY, key TEXT NOT NULL, created INTEGER NOT NULL, until INTEGER NOT NULL,
        frame BLOB NOT NULL
    );
    CREATE TABLE IF NOT EXISTS marks (scope INTEGER PRIMARY KEY, at INTEGER NOT NULL);
";

/// An open file.
pub(super) struct Store {
    connection: Connection,
    /// The largest frame that it takes.
    largest: usize,
    /// Pages in use from which on the hand goes round.
    high: u64,
    /// Where the hand is.
    hand: i64,
    /// What was read since the hand was last there: ids are hashes.
    read: HashSet<i64, BuildHasherDefault<Hashed>>,
    /// Bytes that were written since the pages were last counted.
    uncounted: usize,
    /// Marks that were written since they were last counted.
    marks_written: usize,
}

impl Store {
    pub(super) fn open(path: &Path, budget: u64) -> rusqlite::Result<Self> {
        create(path).map_err(|error| {
            let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN);
            rusqlite::Error::SqliteFailure(code, Some(error.to_string()))
        })?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let connection = Connection::open_with_flags(path, flags)?;
        // Who else has it keeps it.
        connection.busy_timeout(Duration::ZERO)?;
        // A quarter is for the log, which may have to hold the largest entry.
        let pages = (budget / 4 * 3 / PAGE).max(16);
        let log = LOG_PAGES.min(pages / 8).max(4);
        connection.execute_batch(&format!(
            "PRAGMA page_size={PAGE}; PRAGMA synchronous=OFF; PRAGMA locking_mode=EXCLUSIVE;
             PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint={log}; PRAGMA journal_size_limit={};
             PRAGMA max_page_count={pages}; {SCHEMA}",
            log * PAGE
        ))?;
        Ok(Self {
            connection,
            largest: usize::try_from(budget / 8).unwrap_or(usize::MAX),
            high: pages / 10 * 9,
            hand: i64::MIN,
            read: HashSet::default(),
            uncounted: usize::MAX,
            marks_written: usize::MAX,
        })
    }

    pub(super) fn read(&mut self, batch: &ReadBatch<'_>) -> rusqlite::Result<Answer> {
        let mut answer = Answer {
            found: Vec::with_capacity(batch.entries.len()),
            ..Answer::default()
        };
        {
            let mut select = self
                .connection
                .prepare_cached("SELECT key, frame FROM entries WHERE id = ?1")?;
            for asked in batch.entries {
                let id = id(asked.key);
                let found = select.query_row([id], |row| {
                    let same = row.get_ref(0)?.as_bytes()? == asked.key.as_bytes();
                    Ok(if same { Some(row.get(1)?) } else { None })
                });
                let bytes: Option<Vec<u8>> = found.optional()?.flatten();
                if bytes.is_some() && self.read.len() < MOST_READ {
                    self.read.insert(id);
                }
                answer.found.push(bytes.map(|bytes| Found {
                    bytes,
                    // Its marks are all given once, and nobody else writes any.
                    invalidated: None,
                    expired: None,
                }));
            }
        }
        answer.complete = true;
        // Nobody else writes here, so there is no news but what a former process has left.
        if matches!(batch.news, News::Since(_)) {
            let mut select = self
                .connection
                .prepare_cached("SELECT scope, at FROM marks")?;
            let marks = select.query_map([], |row| {
                Ok(Mark {
                    scope: Scope::from_raw(unsigned(row.get(0)?)),
                    at: WallMillis::new(unsigned(row.get(1)?)),
                })
            })?;
            answer.news = marks.collect::<Result<_, _>>()?;
        }
        Ok(answer)
    }

    pub(super) fn write(&mut self, batch: &WriteBatch<'_>) -> rusqlite::Result<()> {
        let bytes: usize = batch.puts.iter().map(|put| put.frame.len()).sum();
        self.make_room(batch.now, bytes)?;
        let transaction = self.connection.unchecked_transaction()?;
        for key in batch.removes {
            let mut delete = transaction.prepare_cached("DELETE FROM entries WHERE id = ?1")?;
            delete.execute([id(key)])?;
        }
        for Mark { scope, at } in batch.marks {
            let mut note = transaction.prepare_cached(
                "INSERT INTO marks VALUES (?1, ?2)
                 ON CONFLICT (scope) DO UPDATE SET at = max(at, excluded.at)",
            )?;
            note.execute([signed(scope.get()), signed(at.get())])?;
        }
        for put in batch.puts {
            if put.frame.len() <= self.largest {
                insert(&transaction, put)?;
            } else {
                // Nor may what is older stay in its place.
                let mut delete = transaction.prepare_cached("DELETE FROM entries WHERE id = ?1")?;
                delete.execute([id(put.key)])?;
            }
        }
        transaction.commit()?;
        self.marks_written = self.marks_written.saturating_add(batch.marks.len());
        if self.marks_written > MAX_MARKS / 4 {
            self.marks_written = 0;
            bound_marks(&self.connection)?;
        }
        Ok(())
    }

    /// Sees to it that so many more bytes have room: a few steps of the hand at a time.
    fn make_room(&mut self, now: WallMillis, bytes: usize) -> rusqlite::Result<()> {
        self.uncounted = self.uncounted.saturating_add(bytes);
        let between = usize::try_from(self.high * PAGE / 64).unwrap_or(usize::MAX);
        if self.uncounted < between {
            return Ok(());
        }
        self.uncounted = 0;
        let wanted = u64::try_from(bytes / 4096).unwrap_or(u64::MAX);
        let wanted = wanted.saturating_add(self.high / 32);
        // Twice round: the first time, what was read is passed over.
        let mut wrapped = 0;
        while wrapped < 3 && self.pages_in_use()?.saturating_add(wanted) > self.high {
            if !self.step(now)? {
                wrapped += 1;
            }
        }
        Ok(())
    }

    fn pages_in_use(&self) -> rusqlite::Result<u64> {
        let count = |pragma: &str| -> rusqlite::Result<i64> {
            let mut count = self.connection.prepare_cached(pragma)?;
            count.query_row([], |row| row.get(0))
        };
        let free = count("PRAGMA freelist_count")?;
        Ok(unsigned(count("PRAGMA page_count")?.saturating_sub(free)))
    }

    /// Moves the hand past some entries; false where it has come to the end.
    fn step(&mut self, now: WallMillis) -> rusqlite::Result<bool> {
        let mut select = self
            .connection
            .prepare_cached("SELECT id, until FROM entries WHERE id > ?1 ORDER BY id LIMIT ?2")?;
        let rows = select.query_map(params![self.hand, STEP], |row| {
            Ok((row.get::<_, i64>(0)?, unsigned(row.get(1)?)))
        })?;
        let passed: Vec<_> = rows.collect::<Result<_, _>>()?;
        self.hand = passed.last().map_or(i64::MIN, |(id, _)| *id);
        let mut delete = self
            .connection
            .prepare_cached("DELETE FROM entries WHERE id = ?1")?;
        for (id, until) in &passed {
            let was_read = self.read.remove(id);
            if !was_read || *until <= now.get() {
                delete.execute([id])?;
            }
        }
        Ok(!passed.is_empty())
    }
}

fn insert(connection: &Connection, put: &Put<'_>) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO entries VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (id) DO UPDATE SET key = ?2, created = ?3, until = ?4, frame = ?5
         WHERE created <= ?3 OR key <> ?2",
    )?;
    let (created, until) = (signed(put.created.get()), signed(put.until.get()));
    insert.execute(params![id(put.key), put.key, created, until, put.frame])?;
    Ok(())
}

/// Puts one mark over everything in the place of the oldest, where there are too many.
fn bound_marks(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "BEGIN;
         INSERT INTO marks SELECT 0, at FROM marks WHERE scope <> 0 ORDER BY at DESC LIMIT 1 OFFSET {MAX_MARKS}
         ON CONFLICT (scope) DO UPDATE SET at = max(at, excluded.at);
         DELETE FROM marks WHERE scope <> 0 AND at <= (SELECT at FROM marks WHERE scope = 0);
         COMMIT"
    ))
}

/// Where a key's entry lies. Two keys that meet take turns: an entry is served only under its own key.
fn id(key: &str) -> i64 {
    signed(XxHash3_64::oneshot(key.as_bytes()))
}

/// The same bits: SQLite's integers have a sign.
fn signed(number: u64) -> i64 {
    i64::from_ne_bytes(number.to_ne_bytes())
}

fn unsigned(number: i64) -> u64 {
    u64::from_ne_bytes(number.to_ne_bytes())
}

/// Creates the file, for its owner alone.
fn create(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut options = fs::OpenOptions::new();
    options.create(true).append(true).mode(0o600);
    options.open(path).map(drop)
}
