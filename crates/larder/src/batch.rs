//! Many keys at once: each tier in one trip, and one load for all that is missing.

use std::{
    collections::{HashMap, HashSet},
    future::Future,
    sync::Arc,
};

use futures_util::{FutureExt as _, future::join_all};

use crate::{
    decide::{Decision, Freshness},
    entry::{Cached, Loaded, Source},
    error::LoadError,
    flight::Flight,
    invocation::Shared,
    key::{Ident, Key},
    load::{Outcome, bounded, report_uncached},
    search::Search,
    space::Space,
};

/// What a load of many ends as, by key.
type Outcomes<V, E> = Arc<HashMap<Ident, Outcome<V, E>>>;

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
        let idents: Vec<_> = keys.iter().map(|key| self.ident(key)).collect();
        let mut served: HashMap<Ident, Option<Cached<V>>> = HashMap::new();
        let (mut searches, mut originals) = (Vec::new(), Vec::new());
        let mut seen = HashSet::new();
        for (ident, key) in idents.iter().zip(keys) {
            if !seen.insert(ident) {
                continue;
            }
            if let Some(hit) = self.in_memory(key) {
                served.insert(ident.clone(), Some(hit));
                continue;
            }
            originals.push((ident.clone(), key.clone()));
            if !self.cache.inner.enabled {
                continue;
            }
            match self.look_near(ident.clone()).await {
                Ok(search) => searches.push(search),
                Err(error) => report_uncached(&error),
            }
        }
        Box::pin(self.search_many(&mut searches)).await;
        Box::pin(self.serve_or_load(searches, originals, load, &mut served)).await?;
        let of = |ident| served.get(ident).cloned().flatten();
        Ok(idents.iter().map(of).collect())
    }

    /// Serves what was found, and loads the rest of `keys`.
    #[expect(clippy::vec_box, reason = "they are made and handed on in boxes")]
    async fn serve_or_load<F, R, E>(
        &self,
        searches: Vec<Box<Search>>,
        keys: Vec<(Ident, K)>,
        load: F,
        served: &mut HashMap<Ident, Option<Cached<V>>>,
    ) -> Result<(), LoadError<E>>
    where
        F: FnOnce(Vec<K>) -> R + Send + 'static,
        R: Future<Output = Result<Vec<(K, Loaded<V>)>, E>> + Send + 'static,
        E: Send + Sync + 'static,
    {
        let mut searches: HashMap<_, _> = searches
            .into_iter()
            .map(|search| (search.key.clone(), search))
            .collect();
        let (mut wanted, mut waiting) = (Vec::new(), Vec::new());
        for (ident, key) in keys {
            let search = searches.get(&ident);
            let decision = search.map_or(Decision::MISS, |search| search.decision);
            let value = match (decision, search) {
                (Decision::Serve(state) | Decision::ServeAndRefresh(state), Some(search)) => {
                    self.serve(search, state)
                }
                _ => None,
            };
            if matches!(decision, Decision::Load { .. }) {
                waiting.push(ident.clone());
            }
            // What is due is loaded along with what is missing: there is one call either way.
            if !matches!(decision, Decision::Serve(_) | Decision::Negative) {
                wanted.push((ident.clone(), key));
            }
            served.insert(ident, value);
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let texts = searches.iter();
        let texts = texts.map(|(key, search)| (key.clone(), search.text.clone()));
        let texts = texts.collect();
        let flights = self.fly_many(wanted, texts, load);
        if waiting.is_empty() {
            let all = join_all(flights.into_values());
            match Shared::present() {
                Some(invocation) => invocation.defer(all.map(drop)),
                None => drop(all.await),
            }
            return Ok(());
        }
        for key in waiting {
            if let Some(flight) = flights.get(&key) {
                let value = self.landed(flight.clone().await, searches.remove(&key))?;
                served.insert(key, value);
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
