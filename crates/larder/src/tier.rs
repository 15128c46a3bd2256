//! What every tier that keeps bytes can do: read a batch and write a batch, each in one trip.
//!
//! A single get is a batch of one. Marks and leases travel with the values, so that what is read is
//! known to be valid, and whose turn it is to load it, in the same round trip.

use std::{fmt, time::Duration};

pub use futures_util::future::BoxFuture;

use crate::{
    clock::WallMillis,
    frame,
    scope::{Mark, Scope},
};

#[cfg(feature = "redis")]
pub mod redis;
#[cfg(feature = "s3")]
pub mod s3;
#[cfg(feature = "sqlite")]
pub mod sqlite;

/// Keeps bytes under keys.
///
/// It need not know what is in the bytes; it may drop any entry at any time; but marks it keeps until
/// the entries that they cover are gone, or puts one over [`Scope::ALL`] in their place. It may fail at any time, and
/// then its failure is counted and the next tier is asked.
pub trait Tier: fmt::Debug + Send + Sync {
    /// What it is called, in metrics and logs.
    fn name(&self) -> &'static str;

    /// Who else reads and writes it.
    fn reach(&self) -> Reach;

    /// Returns how long one operation that begins `now` may take, where the cache's settings name no time. 100 ms, as
    /// for a server in the same network; more where a connection has to be made first.
    ///
    /// An operation that takes longer is dropped and counts as failed. Tiers of [one process](Reach::Process) are not
    /// bounded.
    fn time_limit(&self, now: WallMillis) -> Duration {
        let _ = now;
        Duration::from_millis(100)
    }

    /// Reads all that is asked for, in one trip. Entries that are not there are `None`, which is no
    /// error.
    fn read<'a>(&'a self, batch: ReadBatch<'a>) -> BoxFuture<'a, Result<Answer, TierError>>;

    /// Writes all that is given, in one trip. An entry is not written over one whose load began later.
    fn write<'a>(&'a self, batch: WriteBatch<'a>) -> BoxFuture<'a, Result<(), TierError>>;
}

impl<T: Tier + ?Sized> Tier for std::sync::Arc<T> {
    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn reach(&self) -> Reach {
        (**self).reach()
    }

    fn time_limit(&self, now: WallMillis) -> Duration {
        (**self).time_limit(now)
    }

    fn read<'a>(&'a self, batch: ReadBatch<'a>) -> BoxFuture<'a, Result<Answer, TierError>> {
        (**self).read(batch)
    }

    fn write<'a>(&'a self, batch: WriteBatch<'a>) -> BoxFuture<'a, Result<(), TierError>> {
        (**self).write(batch)
    }
}

/// Who reads and writes a tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// This process alone: its disk.
    Process,
    /// Other processes too: a server, a bucket.
    Shared,
}

/// What is read at once.
#[derive(Clone, Copy, Debug)]
pub struct ReadBatch<'a> {
    /// Whose marks are meant.
    pub app: &'a str,
    /// This moment.
    pub now: WallMillis,
    /// Entries to read; no key is there twice.
    pub entries: &'a [Asked<'a>],
    /// Answer with the marks of these scopes, too.
    pub scopes: &'a [Scope],
    /// Answer with these news, too.
    pub news: News,
    /// Ask for the right to load the first entry, too.
    pub lease: Option<LeaseRequest<'a>>,
}

/// News to be told: what was invalidated, or replaced, in the order in which the tier heard of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum News {
    /// None.
    #[default]
    None,
    /// None yet, but up to where there is some.
    FromNow,
    /// All since a former answer's [cursor](Answer::cursor); since 0, all there is.
    Since(u64),
}

/// An entry to read.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// What it is called.
    pub key: &'a str,
    /// What covers it, beside its tags, which are in its frame.
    pub scopes: &'a [Scope],
    /// What marks it as no longer fresh.
    pub expiry: Scope,
}

/// A wish to be the one process that loads.
#[derive(Clone, Copy, Debug)]
pub struct LeaseRequest<'a> {
    /// Who asks. Whoever holds the lease is given it again.
    pub owner: &'a str,
    /// For how long.
    pub time: Duration,
    /// Also where the entry is there and fresh: to refresh it early.
    pub even_if_fresh: bool,
}

impl LeaseRequest<'_> {
    /// Whether there is need of a lease for what was `found`: for tiers that give them.
    #[must_use]
    pub fn is_needed(&self, found: Option<&Found>, now: WallMillis) -> bool {
        let is_fresh = found.is_some_and(|found| {
            frame::times(&found.bytes).is_some_and(|(created, fresh_until)| {
                now < fresh_until && Some(created) > found.invalidated.max(found.expired)
            })
        });
        self.even_if_fresh || !is_fresh
    }
}

/// What was read.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// One for each entry that was asked for.
    pub found: Vec<Option<Found>>,
    /// The marks of the scopes that were asked for.
    pub marks: Vec<Mark>,
    /// The news that was asked for.
    pub news: Vec<Mark>,
    /// Whether the marks are all that there are, those of replaced entries, too: then none is unknown, however old. A tier that
    /// reads all of them anyway may say so where it is asked for news [from now on](News::FromNow).
    pub whole: bool,
    /// Up to where this news is.
    pub cursor: u64,
    /// Whether it is all the news since then. A tier may forget what is old, or all.
    pub complete: bool,
    /// What became of the wish to load.
    pub lease: LeaseAnswer,
}

/// An entry that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its frame.
    pub bytes: Vec<u8>,
    /// The newest mark that covers it, if the tier knows.
    pub invalidated: Option<WallMillis>,
    /// The newest mark of its expiry, if the tier knows.
    pub expired: Option<WallMillis>,
}

/// Whose turn it is to load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LeaseAnswer {
    /// There was no need, no wish, or there are no leases here.
    #[default]
    None,
    /// The asker's.
    Granted,
    /// Somebody else's.
    Held,
}

/// What is written at once.
#[derive(Clone, Copy, Debug)]
pub struct WriteBatch<'a> {
    /// Whose marks are meant.
    pub app: &'a str,
    /// This moment.
    pub now: WallMillis,
    /// Entries to keep.
    pub puts: &'a [Put<'a>],
    /// Entries to delete.
    pub removes: &'a [&'a str],
    /// Invalidations to remember, and to tell as news.
    pub marks: &'a [Mark],
    /// Entries that were replaced, to tell as news: the entries themselves are older where they are,
    /// so there is nothing to remember.
    pub news: &'a [Mark],
    /// Leases to give back, of whom they belong to.
    pub release: Option<Release<'a>>,
}

impl<'a> WriteBatch<'a> {
    /// One that writes nothing yet.
    #[must_use]
    pub const fn new(app: &'a str, now: WallMillis) -> Self {
        Self {
            app,
            now,
            puts: &[],
            removes: &[],
            marks: &[],
            news: &[],
            release: None,
        }
    }
}

/// An entry to keep.
#[derive(Clone, Copy, Debug)]
pub struct Put<'a> {
    /// What it is called.
    pub key: &'a str,
    /// Its frame.
    pub frame: &'a [u8],
    /// When its load began.
    pub created: WallMillis,
    /// From when on nobody has any use for it.
    pub until: WallMillis,
}

/// A lease to give back, if it is still this owner's.
#[derive(Clone, Copy, Debug)]
pub struct Release<'a> {
    /// The entry's key.
    pub key: &'a str,
    /// Who held it.
    pub owner: &'a str,
}

/// A tier that could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[error("the {tier} tier {kind}")]
pub struct TierError {
    /// Which.
    pub tier: &'static str,
    /// Why.
    pub kind: TierErrorKind,
    /// What it said itself.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Why a tier could not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TierErrorKind {
    /// It cannot be reached, or the connection broke.
    Unreachable,
    /// It did not answer in time.
    Timeout,
    /// It refuses: no permission, wrong password.
    Denied,
    /// It has no room.
    Full,
    /// It was left alone, since it failed before.
    Off,
    /// Anything else.
    Failed,
}

impl fmt::Display for TierErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreachable => "cannot be reached",
            Self::Timeout => "did not answer in time",
            Self::Denied => "refuses: check its password and its permissions",
            Self::Full => "is full",
            Self::Off => "is left alone, since it failed before",
            Self::Failed => "failed",
        })
    }
}

impl TierError {
    /// Of this tier, for this reason.
    #[must_use]
    pub fn new(tier: &'static str, kind: TierErrorKind) -> Self {
        Self {
            tier,
            kind,
            source: None,
        }
    }

    /// With what it said itself.
    #[must_use]
    pub fn because(self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self {
            source: Some(source.into()),
            ..self
        }
    }

    /// Whether the same may succeed a little later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        use TierErrorKind as Kind;
        matches!(self.kind, Kind::Unreachable | Kind::Timeout | Kind::Off)
    }
}
