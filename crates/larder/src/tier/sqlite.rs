//! A tier in a file of this machine, in SQLite: for what is to outlive the process, or is too much for
//! its memory.
//!
//! - **Created in well under a millisecond**: `synchronous=OFF` and an exclusive lock come before write-ahead
//!   logging, so that no `fsync` and no shared memory are set up. What `OFF` risks is a crash of the machine,
//!   with which `/tmp` is gone anyway; a killed process loses nothing that was committed.
//! - **Bounded**: `max_page_count` holds it to its budget, whatever happens. Before that a clock hand goes round
//!   the entries, a few at each write, and takes those that are dead or that nobody has read since
//!   it last came by.
//! - **Never an obstacle**: it is opened when it is first used; a file that is no database is made
//!   anew; a full disk closes it, removes it and leaves it off.

mod store;

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use parking_lot::Mutex;
use rusqlite::ErrorCode;

use self::store::Store;
use crate::tier::{
    Answer, BoxFuture, Reach, ReadBatch, Tier, TierError, TierErrorKind, WriteBatch,
};

const NAME: &str = "sqlite";

/// Entries in a file.
pub struct Sqlite {
    path: PathBuf,
    budget: u64,
    state: Mutex<State>,
}

enum State {
    Closed,
    Open(Box<Store>),
    /// It cannot be used, and will not be tried again.
    Off,
}

impl Sqlite {
    /// In the file at `path` and at most `budget` bytes, its log included. No two processes can use
    /// the same file at a time: for the second one the tier is off.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, budget: u64) -> Self {
        Self {
            path: path.into(),
            budget,
            state: Mutex::new(State::Closed),
        }
    }

    /// Does something with the open file, and sees to what goes wrong.
    fn with<T>(
        &self,
        mut work: impl FnMut(&mut Store) -> rusqlite::Result<T>,
    ) -> Result<T, TierError> {
        let mut state = self.state.lock();
        let result = match self.opened(&mut state) {
            Ok(Some(store)) => work(store),
            Ok(None) => return Err(TierError::new(NAME, TierErrorKind::Off)),
            Err(error) => Err(error),
        };
        let error = match result {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let kind = kind_of(&error);
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                // The next one begins anew.
                *state = State::Closed;
                remove(&self.path);
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::CannotOpen | ErrorCode::ReadOnly) => {
                *state = State::Off;
            }
            _ if kind == TierErrorKind::Full => {
                *state = State::Off;
                remove(&self.path);
            }
            _ => {}
        }
        Err(TierError::new(NAME, kind).because(error))
    }

    fn opened<'a>(&self, state: &'a mut State) -> rusqlite::Result<Option<&'a mut Store>> {
        if matches!(state, State::Closed) {
            let store = match Store::open(&self.path, self.budget) {
                Err(error) if is_damaged(&error) => {
                    remove(&self.path);
                    Store::open(&self.path, self.budget)?
                }
                opened => opened?,
            };
            *state = State::Open(Box::new(store));
        }
        Ok(match state {
            State::Open(store) => Some(store),
            State::Closed | State::Off => None,
        })
    }
}

impl Tier for Sqlite {
    fn name(&self) -> &'static str {
        NAME
    }

    fn reach(&self) -> Reach {
        Reach::Process
    }

    fn read<'a>(&'a self, batch: ReadBatch<'a>) -> BoxFuture<'a, Result<Answer, TierError>> {
        Box::pin(async move { self.with(|store| store.read(&batch)) })
    }

    fn write<'a>(&'a self, batch: WriteBatch<'a>) -> BoxFuture<'a, Result<(), TierError>> {
        Box::pin(async move { self.with(|store| store.write(&batch)) })
    }
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sqlite")
            .field("path", &self.path)
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}

/// Removes the file and its log, if they are there.
fn remove(path: &Path) {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        // What cannot be removed is found out when it is opened.
        let _ = fs::remove_file(name);
    }
}

fn is_damaged(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

fn kind_of(error: &rusqlite::Error) -> TierErrorKind {
    match error.sqlite_error_code() {
        // What the disk itself refuses for want of space comes as an I/O error, too.
        Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure) => TierErrorKind::Full,
        Some(ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => TierErrorKind::Denied,
        Some(ErrorCode::CannotOpen | ErrorCode::DatabaseBusy) => TierErrorKind::Unreachable,
        _ => TierErrorKind::Failed,
    }
}

#[cfg(test)]
#[path = "sqlite_tests.rs"]
mod tests;
