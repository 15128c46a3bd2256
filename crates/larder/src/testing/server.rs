//! A shared tier in this process: what a Redis server does, by the book, without one.

use std::{collections::HashMap, sync::Arc};

use parking_lot::{Mutex, MutexGuard};

use crate::{
    clock::WallMillis,
    frame,
    scope::{Mark, Scope},
    tier::{
        Answer, Asked, BoxFuture, Found, LeaseAnswer, LeaseRequest, News, Reach, ReadBatch, Tier,
        TierError, WriteBatch,
    },
};

/// Clones are connections to the same server.
#[derive(Clone, Debug, Default)]
pub struct Server(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    entries: HashMap<String, (Vec<u8>, WallMillis)>,
    marks: HashMap<Scope, WallMillis>,
    news: Vec<Mark>,
    leases: HashMap<String, (String, WallMillis)>,
    reads: u64,
}

impl Server {
    /// One that holds nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How often it was read from.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.kept().reads
    }

    /// Does something to every entry that it holds.
    pub fn tamper(&self, mut with: impl FnMut(&mut Vec<u8>)) {
        for (bytes, _) in self.kept().entries.values_mut() {
            with(bytes);
        }
    }

    /// The keys that it holds.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.kept().entries.keys().cloned().collect()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock()
    }
}

impl Tier for Server {
    fn name(&self) -> &'static str {
        "server"
    }

    fn reach(&self) -> Reach {
        Reach::Shared
    }

    fn read<'a>(&'a self, batch: ReadBatch<'a>) -> BoxFuture<'a, Result<Answer, TierError>> {
        Box::pin(async move { Ok(self.kept().read(&batch)) })
    }

    fn write<'a>(&'a self, batch: WriteBatch<'a>) -> BoxFuture<'a, Result<(), TierError>> {
        Box::pin(async move {
            self.kept().write(&batch);
            Ok(())
        })
    }
}

impl Kept {
    fn read(&mut self, batch: &ReadBatch<'_>) -> Answer {
        self.reads += 1;
        let found: Vec<_> = batch
            .entries
            .iter()
            .map(|asked| self.find(asked, batch.now))
            .collect();
        let marks = batch.scopes.iter().filter_map(|scope| {
            let at = *self.marks.get(scope)?;
            Some(Mark { scope: *scope, at })
        });
        let marks = marks.collect();
        let cursor = self.news.len();
        let since = match batch.news {
            News::Since(since) => usize::try_from(since).unwrap_or(usize::MAX),
            News::FromNow | News::None => cursor,
        };
        let first = batch.entries.first().zip(found.first());
        let lease = match (batch.lease, first) {
            (Some(wish), Some((asked, found))) => {
                self.lease(asked.key, found.as_ref(), &wish, batch.now)
            }
            _ => LeaseAnswer::None,
        };
        Answer {
            found,
            marks,
            news: self.news.iter().skip(since).copied().collect(),
            cursor: u64::try_from(cursor).unwrap_or(u64::MAX),
            complete: since <= cursor,
            whole: false,
            lease,
        }
    }

    fn find(&self, asked: &Asked<'_>, now: WallMillis) -> Option<Found> {
        let (bytes, until) = self.entries.get(asked.key)?;
        if *until <= now {
            return None;
        }
        let tags = frame::tags(bytes).map(Scope::from_raw);
        let scopes = asked.scopes.iter().copied().chain(tags);
        let marks = scopes
            .chain([Scope::ALL])
            .filter_map(|scope| self.marks.get(&scope));
        Some(Found {
            bytes: bytes.clone(),
            invalidated: marks.copied().max(),
            expired: self.marks.get(&asked.expiry).copied(),
        })
    }

    fn lease(
        &mut self,
        key: &str,
        found: Option<&Found>,
        wish: &LeaseRequest<'_>,
        now: WallMillis,
    ) -> LeaseAnswer {
        if !wish.is_needed(found, now) {
            return LeaseAnswer::None;
        }
        match self.leases.get(key) {
            Some((owner, until)) if owner != wish.owner && *until > now => LeaseAnswer::Held,
            _ => {
                let lease = (wish.owner.to_owned(), now.plus(wish.time));
                self.leases.insert(key.to_owned(), lease);
                LeaseAnswer::Granted
            }
        }
    }

    fn write(&mut self, batch: &WriteBatch<'_>) {
        for key in batch.removes {
            self.entries.remove(*key);
        }
        for Mark { scope, at } in batch.marks {
            let known = self.marks.entry(*scope).or_insert(*at);
            *known = (*known).max(*at);
        }
        self.news.extend(batch.marks.iter().chain(batch.news));
        for put in batch.puts {
            let present = self.entries.get(put.key);
            let created = present.and_then(|(bytes, _)| frame::times(bytes));
            if created.is_none_or(|(created, _)| created <= put.created) {
                let entry = (put.frame.to_vec(), put.until);
                self.entries.insert(put.key.to_owned(), entry);
            }
        }
        if let Some(release) = batch.release
            && let Some((owner, _)) = self.leases.get(release.key)
            && owner == release.owner
        {
            self.leases.remove(release.key);
        }
    }
}
