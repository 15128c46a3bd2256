//! From a search that found nothing to serve, or something that is due, to a load.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::FutureExt as _;

use crate::{
    decide::{Decision, Freshness},
    entry::{Cached, Load, Loaded, Source},
    error::{Error, LoadError},
    flight::Flight,
    held::Held,
    invocation::Shared,
    key::{Ident, Key},
    policy::Lease,
    search::Search,
    space::Space,
    tier::LeaseAnswer,
};

/// One that waits for another process's load looks this often whether it is there…
const POLL: Duration = Duration::from_millis(10);

/// …and more seldom the longer it takes, so that this part of the wait at most is for nothing.
const LATE: u32 = 16;

/// What a load ends as.
pub(crate) type Outcome<V, E> = Result<Option<Cached<V>>, LoadError<E>>;

impl<K: Key + ?Sized, V: Send + Sync + 'static> Space<K, V> {
    /// Serves `key` from a tier, or loads it, or both.
    pub(crate) async fn search_or_load<F, R, E>(&self, key: Ident, load: F) -> Outcome<V, E>
    where
        F: FnOnce(Load<V>) -> R + Send + 'static,
        R: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
        E: Send + Sync + 'static,
    {
        let search = if self.cache.inner.enabled {
            self.search(key.clone(), self.policy.lease).await
        } else {
            return self.load_alone(&key, load).await;
        };
        let search = match search {
            Ok(search) => search,
            Err(error) => {
                report_uncached(&error);
                return self.load_alone(&key, load).await;
            }
        };
        match search.decision {
            Decision::Serve(state) => Ok(self.serve(&search, state)),
            Decision::Negative => Ok(None),
            Decision::ServeAndRefresh(state) => {
                let served = self.serve(&search, state);
                let refresh = self.fly(search, load, true);
                match Shared::present() {
                    Some(invocation) => {
                        invocation.defer(refresh.map(drop));
                        Ok(served)
                    }
                    None => refresh.await.or(Ok(served)),
                }
            }
            Decision::MISS => self.fly(search, load, false).await,
            Decision::Load { fallback: true } => self.load_or_stale(search, load).await,
        }
    }

    /// Loads, and serves what is stale where that fails or takes too long.
    async fn load_or_stale<F, R, E>(&self, search: Box<Search>, load: F) -> Outcome<V, E>
    where
        F: FnOnce(Load<V>) -> R + Send + 'static,
        R: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
        E: Send + Sync + 'static,
    {
        let best = search.best.clone();
        let stale = || self.serve_candidate(best.as_ref()?, Freshness::Stale);
        if search.lease == LeaseAnswer::Held {
            // Somebody else is at it.
            return Ok(stale());
        }
        let flight = self.fly(search, load, false);
        let soft = self.policy.load_soft;
        let outcome = match (soft, Shared::present()) {
            (Some(soft), Some(invocation)) => {
                match tokio::time::timeout(soft, flight.clone()).await {
                    Ok(outcome) => outcome,
                    Err(_) => {
                        invocation.defer(flight.map(drop));
                        return Ok(stale());
                    }
                }
            }
            _ => flight.await,
        };
        outcome.or_else(|_| Ok(stale()))
    }

    /// The load of `key`: the one that is under way, or a new one.
    fn fly<F, R, E>(&self, search: Box<Search>, load: F, early: bool) -> Flight<Outcome<V, E>>
    where
        F: FnOnce(Load<V>) -> R + Send + 'static,
        R: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
        E: Send + Sync + 'static,
    {
        let route = search.key.clone();
        let flight = self.clone().load_and_keep(search, load, early);
        self.cache.inner.flights.join(&route, flight)
    }

    /// Loads `key` in the name of all who wait for it, unless it is there by now, and keeps it.
    async fn load_and_keep<F, R, E>(
        self,
        mut search: Box<Search>,
        load: F,
        refresh: bool,
    ) -> Outcome<V, E>
    where
        F: FnOnce(Load<V>) -> R + Send + 'static,
        R: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
        E: Send + Sync + 'static,
    {
        if let Some(there) = self.is_there_by_now(&mut search, refresh).await {
            return Ok(there);
        }
        let start = self.start_of_load(&search.key);
        self.counters.loads.add(1);
        let loaded = self.run(load, search.stale()).await;
        let held = loaded.and_then(|loaded| {
            let held = self.hold(loaded, search.stale(), &start);
            held.ok_or(LoadError::NothingToKeep)
        });
        let granted = search.lease == LeaseAnswer::Granted;
        match held {
            Ok(held) => {
                self.cache.inner.failures.forget(&search.key);
                match self.make(held.clone(), &search.text) {
                    Ok(made) => {
                        let loaded = vec![(search.key, search.text, made)];
                        self.keep(loaded, granted).await;
                    }
                    // The value is there, whatever becomes of its entry.
                    Err(error) => {
                        report_uncached(&error);
                        if granted {
                            self.give_back(search.text).await;
                        }
                    }
                }
                Ok(self.cached(&held, Source::Origin, Freshness::Fresh))
            }
            Err(error) => {
                self.counters.load_errors.add(1);
                self.note_failure(search.key);
                if granted {
                    self.give_back(search.text).await;
                }
                Err(error)
            }
        }
    }

    /// Has the origin left alone for a while, if the policy says so.
    pub(crate) fn note_failure(&self, key: Ident) {
        let throttle = self.policy.throttle();
        if !throttle.is_zero() {
            let (now, failures) = (self.cache.now(), &self.cache.inner.failures);
            failures.note(key, now.plus(throttle), now);
        }
    }

    /// Loads without a cache: it is off, or has no way to keep this.
    pub(crate) async fn load_alone<F, R, E>(&self, key: &Ident, load: F) -> Outcome<V, E>
    where
        F: FnOnce(Load<V>) -> R,
        R: Future<Output = Result<Loaded<V>, E>>,
    {
        let start = self.start_of_load(key);
        let loaded = self.run(load, None).await?;
        let held = self.hold(loaded, None, &start);
        let held = held.ok_or(LoadError::NothingToKeep)?;
        Ok(self.cached(&held, Source::Origin, Freshness::Fresh))
    }

    /// Whether there is no need to load any more: another load has just ended, here or in another
    /// process, or one is under way there that can be waited for.
    async fn is_there_by_now(
        &self,
        search: &mut Search,
        refresh: bool,
    ) -> Option<Option<Cached<V>>> {
        if self.look_again(search) {
            return Some(self.found(search));
        }
        let had = search.created();
        let wish = self.policy.lease;
        if refresh {
            self.search_on(search, wish, true).await;
            if search.created() > had || search.lease == LeaseAnswer::Held {
                return Some(self.found(search));
            }
        } else if let (LeaseAnswer::Held, Some(lease)) = (search.lease, wish) {
            return self.wait_for_another(search, lease).await;
        }
        None
    }

    /// What was found, to those who wait for the load that it spares. Served is counted by who serves.
    fn found(&self, search: &Search) -> Option<Cached<V>> {
        let state = match search.decision {
            Decision::Serve(state) | Decision::ServeAndRefresh(state) => state,
            Decision::Negative | Decision::Load { .. } => Freshness::Stale,
        };
        let best = search.best.as_ref()?;
        self.cached(&best.held, self.source(best), state)
    }

    /// Waits until the process that holds the lease has loaded the value, or gave up.
    async fn wait_for_another(
        &self,
        search: &mut Search,
        lease: Lease,
    ) -> Option<Option<Cached<V>>> {
        let begun = Instant::now();
        while begun.elapsed() < lease.wait {
            tokio::time::sleep(POLL.max(begun.elapsed() / LATE)).await;
            let Ok(now) = self.search(search.key.clone(), Some(lease)).await else {
                return None;
            };
            *search = *now;
            match search.decision {
                Decision::Serve(state) | Decision::ServeAndRefresh(state) => {
                    return Some(self.serve(search, state));
                }
                Decision::Negative => return Some(None),
                Decision::Load { .. } if search.lease == LeaseAnswer::Held => {}
                Decision::Load { .. } => return None,
            }
        }
        None
    }

    /// Runs the loader.
    async fn run<F, R, E>(&self, load: F, stale: Option<&Held>) -> Result<Loaded<V>, LoadError<E>>
    where
        F: FnOnce(Load<V>) -> R,
        R: Future<Output = Result<Loaded<V>, E>>,
    {
        let time = self.load_time();
        let told = Load {
            stale: stale.and_then(|held| held.value.clone()?.downcast().ok()),
            etag: stale.and_then(|held| held.labels.as_ref()?.etag.clone()),
            time_left: time,
        };
        bounded(time, async { load(told).await }).await
    }
}

/// Runs a loader, in bounded time if anybody bounds it.
pub(crate) async fn bounded<T, E>(
    time: Option<Duration>,
    loading: impl Future<Output = Result<T, E>>,
) -> Result<T, LoadError<E>> {
    let loading = AssertUnwindSafe(loading).catch_unwind();
    let loaded = match time {
        Some(time) => match tokio::time::timeout(time, loading).await {
            Ok(loaded) => loaded,
            Err(_) => return Err(LoadError::Timeout(time)),
        },
        None => loading.await,
    };
    match loaded {
        Ok(loaded) => loaded.map_err(|error| LoadError::Origin(Arc::new(error))),
        Err(_) => Err(LoadError::Panicked),
    }
}

pub(crate) fn report_uncached(error: &Error) {
    tracing::warn!(%error, "A value is not cached");
}
