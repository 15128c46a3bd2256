//! Many keys at once: each tier in one trip, and one load for all that is missing.

use std::{collections::HashMap, future::Future, sync::Arc};

use futures_util::{FutureExt as _, future::join_all};

use crate::{
    decide::{Decision, Freshness},
    entry::{Cached, Loaded, Source},
    error::LoadError,
    flight::Flight,
    invocation::Shared,
    key::{Ident, Key, KeyHasher},
    load::{Outcome, bounded, report_uncached},
    search::Search,
    space::Space,
};

/// What a load of many ends as, by key.
type Outcomes<V, E> = Arc<HashMap<Ident, Outcome<V, E>>>;

/// A key that was asked for and is not in memory.
struct Asked<'a, K> {
    key: &'a K,
    ident: Ident,
    /// Where its value goes.
    place: usize,
    /// What was found; `None` where nothing can be kept.
    search: Option<Box<Search>>,
}

impl<K: Key + Clone + Send + Sync + 'static, V: Send + Sync + 'static> Space<K, V> {
    /// The values of `keys`, in their order, from memory, the tiers, or one call of `load` for all that are
    /// missing; `None` where there is none. A key that `load` does not answer has none.
    ///
    /// Each tier is asked in one trip. What somebody else is loading is waited for and not loaded again; what is
    /// stale is served as by [`Space::get_or_load`]. Leases are not asked for. Fails where the load does, unless a
    /// stale value can stand in for every key that it was for.
    pub async fn get_many<F, R, E>(
        &self,
        keys: &[K],
        load: F,
    ) -> Result<Vec<Option<Cached<V>>>, LoadError<E>>
    where
        F: FnOnce(Vec<K>) -> R + Send + 'static,
        R: Future<Output = Result<Vec<(K, Loaded<V>)>, E>> + Send + 'static,
        E: Send + Sync + 'static,
    {
        // The values, and where that of each key is: what is asked for twice is looked for once.
        let (mut served, mut places) = (Vec::new(), Vec::with_capacity(keys.len()));
        let mut known: HashMap<Ident, usize, KeyHasher> = HashMap::default();
        let mut asked = Vec::new();
        for key in keys {
            let next = served.len();
            if let Some(hit) = self.in_memory(key) {
                served.push(Some(hit));
                places.push(next);
                continue;
            }
            let ident = self.ident(key);
            if known.is_empty() {
                known.reserve(keys.len());
            }
            let place = *known.entry(ident.clone()).or_insert(next);
            places.push(place);
            if place != next {
                continue;
            }
            served.push(None);
            let search = self.search_near(ident.clone()).await;
            asked.push(Asked {
                key,
                ident,
                place,
                search,
            });
        }
        let searches = asked.iter_mut();
        let searches = searches.filter_map(|asked| asked.search.as_deref_mut());
        let mut searches: Vec<_> = searches.collect();
        Box::pin(self.search_many(&mut searches)).await;
        Box::pin(self.serve_or_load(asked, load, &mut served)).await?;
        let value = |place| served.get(place).cloned().flatten();
        Ok(places.into_iter().map(value).collect())
    }

    /// What is known of a key in this process; `None` where nothing can be kept.
    async fn search_near(&self, ident: Ident) -> Option<Box<Search>> {
        if !self.cache.inner.enabled {
            return None;
        }
        let search = self.look_near(ident).await;
        search.inspect_err(report_uncached).ok()
    }

    /// Serves what was found, and loads the rest.
    async fn serve_or_load<F, R, E>(
        &self,
        asked: Vec<Asked<'_, K>>,
        load: F,
        served: &mut [Option<Cached<V>>],
    ) -> Result<(), LoadError<E>>
    where
        F: FnOnce(Vec<K>) -> R + Send + 'static,
        R: Future<Output = Result<Vec<(K, Loaded<V>)>, E>> + Send + 'static,
        E: Send + Sync + 'static,
    {
        let (mut wanted, mut texts) = (Vec::new(), HashMap::new());
        let mut waiting = Vec::new();
        for one in asked {
            let (ident, place, search) = (one.ident, one.place, one.search);
            let decision = match &search {
                Some(search) => search.decision,
                None => Decision::MISS,
            };
            if let (Decision::Serve(state) | Decision::ServeAndRefresh(state), Some(search)) =
                (decision, &search)
                && let Some(served) = served.get_mut(place)
            {
                *served = self.serve(search, state);
            }
            if matches!(decision, Decision::Serve(_) | Decision::Negative) {
                continue;
            }
            // What is due is loaded along with what is missing: there is one call either way.
            wanted.push((ident.clone(), one.key.clone()));
            texts.extend(
                search
                    .iter()
                    .map(|search| (ident.clone(), search.text.clone())),
            );
            if matches!(decision, Decision::Load { .. }) {
                waiting.push((place, ident, search));
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let flights = self.fly_many(wanted, texts, load);
        if waiting.is_empty() {
            let all = join_all(flights.into_values());
            match Shared::present() {
                Some(invocation) => invocation.defer(all.map(drop)),
                None => drop(all.await),
            }
            return Ok(());
        }
        for (place, ident, search) in waiting {
            if let (Some(flight), Some(served)) = (flights.get(&ident), served.get_mut(place)) {
                *served = self.landed(flight.clone().await, search)?;
            }
        }
        Ok(())
    }

    /// What is served where a load has ended so.
    fn landed<E>(&self, outcome: Outcome<V, E>, search: Option<Box<Search>>) -> Outcome<V, E> {
        let may_stand_in = Decision::Load { fallback: true };
        match (outcome, search) {
            (Err(_), Some(search)) if search.decision == may_stand_in => {
                Ok(self.serve(&search, Freshness::Stale))
            }
            (outcome, _) => outcome,
        }
    }

    /// The loads of `keys`: those that are under way, and one new one for all others.
    fn fly_many<F, R, E>(
        &self,
        keys: Vec<(Ident, K)>,
        texts: HashMap<Ident, String>,
        load: F,
    ) -> HashMap<Ident, Flight<Outcome<V, E>>>
    where
        F: FnOnce(Vec<K>) -> R + Send + 'static,
        R: Future<Output = Result<Vec<(K, Loaded<V>)>, E>> + Send + 'static,
        E: Send + Sync + 'static,
    {
        let airborne = &self.cache.inner.flights;
        let (mut flights, mut missing) = (HashMap::new(), Vec::new());
        for (ident, key) in keys {
            match airborne.present(&ident) {
                Some(flight) => drop(flights.insert(ident, flight)),
                None => missing.push((ident, key)),
            }
        }
        if missing.is_empty() {
            return flights;
        }
        let idents: Vec<_> = missing.iter().map(|(ident, _)| ident.clone()).collect();
        let all = self
            .clone()
            .load_many(missing, texts, load)
            .boxed()
            .shared();
        for ident in idents {
            let (all, own) = (all.clone(), ident.clone());
            let one = async move {
                let outcomes: Outcomes<V, E> = all.await;
                outcomes.get(&own).cloned().unwrap_or(Ok(None))
            };
            let flight = airborne.join(&ident, one);
            flights.insert(ident, flight);
        }
        flights
    }

    /// Loads `keys` in one call, and keeps what came of it.
    async fn load_many<F, R, E>(
        self,
        keys: Vec<(Ident, K)>,
        texts: HashMap<Ident, String>,
        load: F,
    ) -> Outcomes<V, E>
    where
        F: FnOnce(Vec<K>) -> R + Send + 'static,
        R: Future<Output = Result<Vec<(K, Loaded<V>)>, E>> + Send + 'static,
        E: Send + Sync + 'static,
    {
        let starts: HashMap<_, _> = keys
            .iter()
            .map(|(ident, _)| (ident.clone(), self.start_of_load(ident)))
            .collect();
        let wanted: Vec<_> = keys.into_iter().map(|(_, key)| key).collect();
        self.counters.loads.add(1);
        let loaded = bounded(self.load_time(), async { load(wanted).await }).await;
        let loaded = match loaded {
            Ok(loaded) => loaded,
            Err(error) => {
                self.counters.load_errors.add(1);
                let failed = starts.into_keys().map(|key| {
                    self.note_failure(key.clone());
                    (key, Err(error.clone()))
                });
                return Arc::new(failed.collect());
            }
        };
        let loaded = loaded
            .into_iter()
            .map(|(key, loaded)| (self.ident(&key), loaded));
        let mut loaded: HashMap<_, _> = loaded.collect();
        let (mut outcomes, mut kept) = (HashMap::new(), Vec::new());
        for (key, start) in starts {
            let loaded = loaded.remove(&key).unwrap_or(Loaded::Absent);
            let Some(held) = self.hold(loaded, None, &start) else {
                outcomes.insert(key, Err(LoadError::NothingToKeep));
                continue;
            };
            self.cache.inner.failures.forget(&key);
            let value = self.cached(&held, Source::Origin, Freshness::Fresh);
            // Where it has none, the cache is off, or the key too long: said already.
            if let Some(text) = texts.get(&key) {
                match self.make(held, text) {
                    Ok(made) => kept.push((key.clone(), text.clone(), made)),
                    Err(error) => report_uncached(&error),
                }
            }
            outcomes.insert(key, Ok(value));
        }
        self.keep(kept, false).await;
        Arc::new(outcomes)
    }
}
