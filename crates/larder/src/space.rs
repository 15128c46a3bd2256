//! One keyspace in one cache: what its users call.

use std::{borrow::Cow, fmt, future::Future, sync::Arc, time::Duration};

#[cfg(feature = "seal")]
use crate::seal::bound_to;
use crate::{
    cache::Cache,
    clock::WallMillis,
    decide::{Decision, Freshness},
    entry::{Cached, Load, Loaded, Lookup, Receipt, Source, Version},
    error::{Error, LoadError},
    frame::{Frame, TooLarge},
    invocation::Shared,
    key::{Ident, Key, prefix},
    keyspace::{Keyspace, Secrecy},
    life::Life,
    policy::Policy,
    scope::{self, Mark, Scope},
    stats::{SpaceCounters, TierCounters},
    write::{Along, Start},
};

/// The beginning of a put, by which it is ordered among others of its key.
#[derive(Clone, Copy, Debug)]
pub struct PutStart(Start);

/// The values of type `V` that are kept under keys of type `K`. A clone is the same space.
pub struct Space<K: ?Sized + 'static, V: 'static> {
    pub(crate) cache: Cache,
    pub(crate) keyspace: &'static Keyspace<K, V>,
    /// The keyspace's, with its time named.
    pub(crate) policy: Policy,
    pub(crate) schema: u64,
    /// What its keys begin with in tiers.
    prefix: Arc<str>,
    /// Tells its keys' scopes from those of other keyspaces.
    pub(crate) seed: u64,
    pub(crate) counters: Arc<SpaceCounters>,
}

impl<K: ?Sized, V> Space<K, V> {
    pub(crate) fn new(
        cache: Cache,
        keyspace: &'static Keyspace<K, V>,
        counters: Arc<SpaceCounters>,
    ) -> Self {
        Self {
            policy: keyspace.policy().or_fresh_for(cache.inner.default_fresh),
            prefix: prefix(&cache.inner.app, keyspace.name(), keyspace.schema()).into(),
            cache,
            schema: keyspace.schema(),
            seed: scope::seed(keyspace.name()),
            keyspace,
            counters,
        }
    }
}

impl<K: Key + ?Sized, V: Send + Sync + 'static> Space<K, V> {
    /// What is known of `key`, in memory or in any tier. Fails only where nothing is known and not all
    /// tiers could be asked: an error is no miss.
    pub async fn get(&self, key: &K) -> Result<Lookup<V>, Error> {
        if let Some(hit) = self.in_memory(key) {
            return Ok(Lookup::Hit(hit));
        }
        if !self.cache.inner.enabled {
            return Ok(Lookup::Miss);
        }
        let search = Box::pin(self.search(self.ident(key), None)).await?;
        match search.decision {
            Decision::Serve(state) | Decision::ServeAndRefresh(state) => {
                Ok(self.serve(&search, state).map_or(Lookup::Miss, Lookup::Hit))
            }
            Decision::Negative => Ok(Lookup::Absent),
            Decision::Load { .. } => search.error.map_or(Ok(Lookup::Miss), |e| Err(e.into())),
        }
    }

    /// The value of `key`, from memory, a tier, or `load`; `None` if there is none.
    ///
    /// What is stale is served at once and loaded again beside, as far as the policy says so. However
    /// many wait for the same value, it is loaded once; a load that fails is an error for all of them, unless
    /// a stale value can stand in. No failure of a tier is an error.
    pub async fn get_or_load<F, R, E>(
        &self,
        key: &K,
        load: F,
    ) -> Result<Option<Cached<V>>, LoadError<E>>
    where
        F: FnOnce(Load<V>) -> R + Send + 'static,
        R: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
        E: Send + Sync + 'static,
    {
        if let Some(hit) = self.in_memory(key) {
            return Ok(Some(hit));
        }
        Box::pin(self.search_or_load(self.ident(key), load)).await
    }

    /// Puts `loaded` in the place of whatever is there, in every tier; other processes notice once they
    /// ask for news. [`Loaded::NotModified`] changes nothing.
    pub async fn put(&self, key: &K, loaded: Loaded<V>) -> Result<Receipt, Error> {
        self.put_since(key, loaded, self.begin_put(key)).await
    }

    /// Begins a put whose value is written to its source first; [`put_since`](Self::put_since) ends it.
    #[must_use]
    pub fn begin_put(&self, key: &K) -> PutStart {
        PutStart(self.start_of_load(&self.ident(key)).without_load())
    }

    /// Puts `loaded` like [`put`](Self::put), as of `start`: an entry that was put or loaded later stays. With `start` taken
    /// before the source is written, entries are ordered as the source is, however late this comes.
    pub async fn put_since(
        &self,
        key: &K,
        loaded: Loaded<V>,
        PutStart(start): PutStart,
    ) -> Result<Receipt, Error> {
        if !self.cache.inner.enabled {
            return Ok(Receipt::default());
        }
        let key = self.ident(key);
        // What is in other processes' memories was loaded earlier than this.
        let before = Mark {
            scope: self.scope_of(&key),
            at: WallMillis::new(start.at.get().saturating_sub(1)),
        };
        let Some(held) = self.hold(loaded, None, &start) else {
            return Ok(Receipt::default());
        };
        let text = self.text(&key)?;
        let made = self.make(held, &text)?;
        let along = Along {
            news: Some(before),
            ..Along::nothing(start.at)
        };
        self.keep_in_memory(&key, made.held.clone());
        Ok(self.write(&[(&text, &made)], along, |_, _| true).await)
    }

    /// From now on `key` is no longer fresh: it is loaded again when it is asked for, and served only where
    /// that fails.
    pub async fn expire(&self, key: &K) -> Result<Receipt, Error> {
        let scope = scope::expiry(&self.ident(key), self.seed);
        let at = self.cache.now();
        Ok(self.cache.write_marks(&[Mark { scope, at }], &[]).await)
    }

    /// Deletes `key`, and has every process forget it. Loads that are under way do not bring it back.
    pub async fn remove(&self, key: &K) -> Result<Receipt, Error> {
        let key = self.ident(key);
        let text = self.text(&key)?;
        let scope = self.scope_of(&key);
        let at = self.cache.now();
        if let Some(memory) = &self.cache.inner.memory {
            memory.remove(&key);
        }
        let marks = [Mark { scope, at }];
        Ok(self.cache.write_marks(&marks, &[&text]).await)
    }

    /// The value that was `seen` turned out to be bad, a token that was refused: it is not served any
    /// more. What has taken its place meanwhile stays.
    pub async fn refresh_after_failure(&self, key: &K, seen: Version) -> Result<Receipt, Error> {
        let scope = self.scope_of(&self.ident(key));
        let marks = [Mark { scope, at: seen.0 }];
        Ok(self.cache.write_marks(&marks, &[]).await)
    }

    #[inline]
    pub(crate) fn ident(&self, key: &K) -> Ident {
        Ident::new(self.schema, key)
    }

    /// What `key` is called in the tiers that keep bytes.
    pub(crate) fn text(&self, key: &Ident) -> Result<String, Error> {
        Ok(key.text(&self.prefix)?)
    }

    /// The value in memory, where that is all there is to do.
    #[expect(clippy::inline_always, reason = "measured: a tenth of a hit")]
    #[inline(always)]
    pub(crate) fn in_memory(&self, key: &K) -> Option<Cached<V>> {
        let quiet = &self.counters.quiet;
        let hit = self.cache.inner.hit((self.schema, key), quiet)?;
        Some(Cached {
            value: hit.value.downcast().ok()?,
            source: Source::Memory,
            state: Freshness::Fresh,
            served: hit.served,
            version: Version(hit.created),
        })
    }

    /// What covers `key` and nothing else.
    fn scope_of(&self, key: &Ident) -> Scope {
        scope::of(key, self.seed)
    }

    /// Whether entries leave this process.
    pub(crate) fn uses_tiers(&self) -> bool {
        match self.keyspace.secrecy() {
            Secrecy::Open => true,
            #[cfg(feature = "seal")]
            Secrecy::Sealed => self.cache.inner.sealing_key.is_some(),
            Secrecy::MemoryOnly => false,
        }
    }

    /// The payload of `frame`, encrypted, where it has to be before it leaves this process.
    #[cfg_attr(
        not(feature = "seal"),
        expect(
            unused_variables,
            clippy::unused_self,
            clippy::unnecessary_wraps,
            reason = "nothing is sealed"
        )
    )]
    pub(crate) fn seal(&self, frame: &Frame<'_>, text: &str) -> Result<Option<Vec<u8>>, TooLarge> {
        #[cfg(feature = "seal")]
        if let (Secrecy::Sealed, Some(key)) =
            (self.keyspace.secrecy(), &self.cache.inner.sealing_key)
        {
            let sealed = key.seal(frame.payload, &bound_to(frame, text));
            let too_large = TooLarge::Payload(frame.payload.len());
            return sealed.map(Some).ok_or(too_large);
        }
        Ok(None)
    }

    /// The payload of `frame`; `None` if it should be sealed and is not, or the other way round.
    #[cfg_attr(
        not(feature = "seal"),
        expect(unused_variables, reason = "nothing is sealed")
    )]
    pub(crate) fn open<'a>(&self, frame: &Frame<'a>, text: &str) -> Option<Cow<'a, [u8]>> {
        match (self.keyspace.secrecy(), frame.sealed) {
            (Secrecy::Open, false) => Some(Cow::Borrowed(frame.payload)),
            #[cfg(feature = "seal")]
            (Secrecy::Sealed, true) => {
                let key = self.cache.inner.sealing_key.as_ref()?;
                let payload = key.open(frame.payload, &bound_to(frame, text));
                payload.map(Cow::Owned)
            }
            _ => None,
        }
    }

    /// The time that is left of the present invocation or of the policy's hard timeout.
    pub(crate) fn load_time(&self) -> Option<Duration> {
        let left = Shared::present().and_then(|invocation| invocation.time_left());
        match (self.policy.load_hard, left) {
            (Some(hard), Some(left)) => Some(hard.min(left)),
            (one, other) => one.or(other),
        }
    }
}

/// Counts that an entry was served.
pub(crate) fn count_hit(counters: &TierCounters, life: &Life, state: Freshness) {
    match state {
        Freshness::Fresh => counters.hits.add(life.load_cost),
        Freshness::Stale => counters.stale.add(life.load_cost),
    }
}

impl<K: ?Sized, V> Clone for Space<K, V> {
    fn clone(&self) -> Self {
        Self {
            cache: self.cache.clone(),
            counters: Arc::clone(&self.counters),
            prefix: Arc::clone(&self.prefix),
            ..*self
        }
    }
}

impl<K: ?Sized, V> fmt::Debug for Space<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Space")
            .field("keyspace", &self.keyspace)
            .finish_non_exhaustive()
    }
}
