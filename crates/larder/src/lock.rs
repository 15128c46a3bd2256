//! Locks that processes share: one holds it, until it gives it back or its time is over.

use std::time::Duration;

use crate::{
    cache::Cache,
    clock::WallMillis,
    error::Error,
    key::{Ident, Key, prefix},
    scope::Scope,
    tier::{
        Asked, LeaseAnswer, LeaseRequest, News, ReadBatch, Release, TierError, TierErrorKind,
        WriteBatch,
    },
};

/// Under which all locks are called. No keyspace is: the sign would be encoded in its name.
const LOCKS: &str = "~locks";

/// A lock that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    /// Who holds it: whoever knows this may give it back, in another process, too.
    pub token: String,
    /// When it ends by itself.
    pub until: WallMillis,
}

impl Cache {
    /// Takes the lock called `name` for at most `time`; `None` where somebody else holds it.
    ///
    /// It keeps two processes from doing the same at once, as long as neither is frozen or slow past `time`. Where
    /// that must never happen, let what is written say which of two is newer as well. Fails where there is no shared
    /// tier, or it cannot be asked: then nobody knows.
    pub async fn lock(
        &self,
        name: &(impl Key + ?Sized),
        time: Duration,
    ) -> Result<Option<Lock>, Error> {
        let key = self.name_of_lock(name)?;
        let (now, token) = (self.now(), crate::cache::random_name());
        let batch = ReadBatch {
            app: &self.inner.app,
            now,
            entries: &[Asked {
                key: &key,
                scopes: &[],
                expiry: Scope::ALL,
            }],
            scopes: &[],
            news: News::None,
            lease: Some(LeaseRequest {
                owner: &token,
                time,
                even_if_fresh: true,
            }),
        };
        let answer = self.shared_tier()?.read(batch, None).await?;
        let until = now.plus(time);
        Ok((answer.lease == LeaseAnswer::Granted).then_some(Lock { token, until }))
    }

    /// Gives back the lock called `name`, if it is still `token`'s: nothing happens to anybody else's.
    pub async fn unlock(&self, name: &(impl Key + ?Sized), token: &str) -> Result<(), Error> {
        let key = self.name_of_lock(name)?;
        let batch = WriteBatch {
            release: Some(Release {
                key: &key,
                owner: token,
            }),
            ..WriteBatch::new(&self.inner.app, self.now())
        };
        Ok(self.shared_tier()?.write(batch, None).await?)
    }

    fn name_of_lock(&self, name: &(impl Key + ?Sized)) -> Result<String, Error> {
        Ok(Ident::new(0, name).text(&prefix(&self.inner.app, LOCKS, 0))?)
    }

    /// The tier that keeps marks and leases for all processes.
    fn shared_tier(&self) -> Result<&crate::guard::Guarded, Error> {
        let missing = "a lock needs a tier that processes share, and this cache has none";
        let none = || TierError::new("shared", TierErrorKind::Failed).because(missing);
        let tier = self.authority().filter(|tier| tier.is_shared());
        Ok(tier.ok_or_else(none)?)
    }
}
