//! The way from tier to tier until there is something to serve.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use crate::{
    clock::WallMillis,
    decide::{Decision, Freshness},
    entry::{Cached, Source, Version},
    error::Error,
    guard::Guarded,
    held::Held,
    invocation::beside,
    key::{Ident, Key},
    policy::Lease,
    scope::{self, Scope},
    space::{Space, count_hit},
    tier::{LeaseAnswer, TierError},
    write::{Along, Made},
};

/// What a search came to.
#[derive(Debug)]
pub(crate) struct Search {
    /// What is searched for.
    pub(crate) key: Ident,
    /// What it is called in tiers.
    pub(crate) text: String,
    /// The best that was found.
    pub(crate) best: Option<Candidate>,
    /// What is to be done with it.
    pub(crate) decision: Decision,
    /// Whose turn it is to load, if that was asked.
    pub(crate) lease: LeaseAnswer,
    /// Why a tier could not be asked.
    pub(crate) error: Option<TierError>,
    /// The first tier that was not asked yet.
    pub(crate) next: usize,
    seed: u64,
    /// What covers it, and what marks it as expired. Not hashed where no mark is known and nobody is asked
    /// for any.
    covered_by: OnceLock<(Vec<Scope>, Scope)>,
}

/// An entry that may do.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) held: Held,
    /// The place of the tier that it was found in; `None` for memory.
    pub(crate) tier: Option<usize>,
    /// Its frame, where there are tiers nearer than the one that it came from.
    pub(crate) frame: Option<Arc<Vec<u8>>>,
    pub(crate) invalidated: Option<WallMillis>,
    pub(crate) expired: Option<WallMillis>,
    /// Whether marks that cover it may be unknown: nobody could be asked.
    pub(crate) doubtful: bool,
}

impl Search {
    /// The value so far, and what its origin called it.
    pub(crate) fn stale(&self) -> Option<&Held> {
        self.best.as_ref().map(|best| &best.held)
    }

    /// When the load of what was found began.
    pub(crate) fn created(&self) -> Option<WallMillis> {
        self.stale().map(|held| held.life.created)
    }

    /// Whether there is nothing to serve yet, short of a failed load.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.decision, Decision::Load { .. })
    }

    /// What covers it beside its tags, and what marks it as expired.
    pub(crate) fn scopes(&self) -> (&[Scope], Scope) {
        let (scopes, expiry) = self.covered_by.get_or_init(|| {
            let scopes = scope::covering(&self.key, self.seed).collect();
            (scopes, scope::expiry(&self.key, self.seed))
        });
        (scopes, *expiry)
    }
}

impl<K: Key + ?Sized, V: Send + Sync + 'static> Space<K, V> {
    /// Looks for `key` in memory and in one tier after the other, until there is something to serve.
    /// Where there is not, `wish` asks a shared tier for the right to load it.
    pub(crate) async fn search(
        &self,
        key: Ident,
        wish: Option<Lease>,
    ) -> Result<Box<Search>, Error> {
        let mut search = self.look_near(key).await?;
        self.search_on(&mut search, wish, false).await;
        Ok(search)
    }

    /// Looks for `key` in memory alone.
    pub(crate) async fn look_near(&self, key: Ident) -> Result<Box<Search>, Error> {
        if self.cache.inner.tiers.iter().any(Guarded::has_unsent) {
            Box::pin(self.cache.send_unsent()).await;
        }
        // In a box, since it goes through many hands.
        let mut search = Box::new(Search {
            text: self.text(&key)?,
            best: self.held_in_memory(&key),
            key,
            decision: Decision::MISS,
            lease: LeaseAnswer::None,
            error: None,
            next: 0,
            seed: self.seed,
            covered_by: OnceLock::new(),
        });
        if search.best.is_none() && self.cache.inner.memory.is_some() {
            self.counters.memory.misses.add(1);
        }
        self.settle(&mut search).await;
        if let (Some(best), Decision::Serve(_)) = (&search.best, search.decision) {
            // It has been looked at for the marks that are new: not again.
            self.keep_in_memory(&search.key, best.held.clone());
        }
        Ok(search)
    }

    /// Asks the tiers that were not asked yet, until there is something to serve. `early` is for what
    /// is fresh and to be refreshed all the same: then something newer is looked for.
    pub(crate) async fn search_on(&self, search: &mut Search, wish: Option<Lease>, early: bool) {
        let (had, nearest) = (search.created(), search.next);
        while search.next < self.cache.inner.tiers.len() && self.uses_tiers() {
            if !search.is_open() && (!early || search.created() > had) {
                break;
            }
            self.ask(search.next, &mut [search], wish, early).await;
            search.next += 1;
            self.settle(search).await;
        }
        if search.created() > had {
            self.bring_nearer(&[search], nearest).await;
        }
    }

    /// The same for many keys, each tier in one trip.
    pub(crate) async fn search_many(&self, searches: &mut [&mut Search]) {
        let had: Vec<_> = searches.iter().map(|search| search.created()).collect();
        for index in 0..self.cache.inner.tiers.len() {
            let open = searches.iter_mut().map(|search| &mut **search);
            let open = open.filter(|search| search.is_open());
            let mut open: Vec<_> = open.collect();
            if open.is_empty() || !self.uses_tiers() {
                break;
            }
            self.ask(index, &mut open, None, false).await;
            for search in open {
                search.next = index + 1;
                self.settle(search).await;
            }
        }
        let found = searches.iter().zip(had);
        let found = found.filter(|(search, had)| search.created() > *had);
        let found: Vec<_> = found.map(|(search, _)| &**search).collect();
        self.bring_nearer(&found, 0).await;
    }

    /// Returns how long a look-up in a shared tier may take: no longer than the load that it may spare is known to.
    /// `None` while nothing is known.
    pub(crate) fn worth(&self, search: &Search) -> Option<Duration> {
        let found = search.stale().map(|held| held.life.load_cost);
        // Nothing is known of what was put without a load.
        let found = found.filter(|cost| !cost.is_zero());
        self.worth_of(found.or_else(|| self.counters.load_cost.known()))
    }

    /// Returns what an entry is worth whose load is known to take so long: no less than the policy says, or than another
    /// process's load is waited for.
    pub(crate) fn worth_of(&self, cost: Option<Duration>) -> Option<Duration> {
        let waited = self.policy.lease.map(|lease| lease.wait);
        cost.max(self.policy.load_cost).max(waited)
    }

    /// Looks into memory once more: whether a load has ended meanwhile.
    pub(crate) fn look_again(&self, search: &mut Search) -> bool {
        let Some(again) = self.held_in_memory(&search.key) else {
            return false;
        };
        let newer = Some(again.held.life.created) > search.created();
        if newer {
            search.best = Some(again);
            search.decision = self.judge(search);
        }
        newer && search.decision == Decision::Serve(Freshness::Fresh)
    }

    /// What lies in memory, whatever its state.
    fn held_in_memory(&self, key: &Ident) -> Option<Candidate> {
        let memory = self.cache.inner.memory.as_ref()?;
        Some(Candidate {
            held: memory.get(key)?,
            tier: None,
            frame: None,
            invalidated: None,
            expired: None,
            doubtful: false,
        })
    }

    /// The best that was found, as it is given out.
    pub(crate) fn serve(&self, search: &Search, state: Freshness) -> Option<Cached<V>> {
        self.serve_candidate(search.best.as_ref()?, state)
    }

    /// The same, of any candidate.
    pub(crate) fn serve_candidate(&self, best: &Candidate, state: Freshness) -> Option<Cached<V>> {
        let counters = match best.tier {
            Some(index) => self.counters.tiers.get(index),
            None => Some(&self.counters.memory),
        };
        if let Some(counters) = counters {
            count_hit(counters, &best.held.life, state);
        }
        self.cached(&best.held, self.source(best), state)
    }

    /// Where it was found.
    pub(crate) fn source(&self, best: &Candidate) -> Source {
        let tiers = &self.cache.inner.tiers;
        let tier = best.tier.and_then(|index| tiers.get(index));
        tier.map_or(Source::Memory, |tier| Source::Tier(tier.name()))
    }

    /// An entry as it is given out; none where it says that there is no value.
    pub(crate) fn cached(
        &self,
        held: &Held,
        source: Source,
        state: Freshness,
    ) -> Option<Cached<V>> {
        Some(Cached {
            value: held.value.clone()?.downcast().ok()?,
            source,
            state,
            served: self.cache.now(),
            version: Version(held.life.created),
        })
    }

    /// Puts what was found far off into the tiers from `from` on that had nothing as good, with the life that
    /// it has.
    async fn bring_nearer(&self, found: &[&Search], from: usize) {
        let mut copies: Vec<(usize, String, Made)> = Vec::new();
        for search in found {
            let Some(best) = &search.best else { continue };
            if search.decision == Decision::MISS {
                continue;
            }
            self.keep_in_memory(&search.key, best.held.clone());
            if let (Some(source), Some(frame)) = (best.tier, &best.frame)
                && source > from
            {
                let made = Made {
                    held: best.held.clone(),
                    frame: Arc::clone(frame),
                };
                copies.push((source, search.text.clone(), made));
            }
        }
        let Some(farthest) = copies.iter().map(|(source, _, _)| *source).max() else {
            return;
        };
        let space = self.clone();
        beside(async move {
            for tier in from..farthest {
                let nearer = copies.iter().filter(|(source, _, _)| tier < *source);
                let nearer: Vec<_> = nearer
                    .map(|(_, text, made)| (text.as_str(), made))
                    .collect();
                // Counted, and reported by the tier's guard.
                let _ = space
                    .write(&nearer, Along::nothing(space.cache.now()), |index, _| {
                        index == tier
                    })
                    .await;
            }
        })
        .await;
    }

    pub(crate) fn keep_in_memory(&self, key: &Ident, held: Held) {
        if let Some(memory) = &self.cache.inner.memory {
            memory.put(key, held);
        }
    }
}
