//! The way from tier to tier until there is something to serve.

use std::sync::{Arc, OnceLock};

use crate::{
    clock::WallMillis,
    decide::{Circumstances, Decision, Freshness, decide, quiet_until},
    entry::{Cached, Source, Version},
    error::Error,
    frame::{Frame, Undecodable},
    guard::Guarded,
    invocation::beside,
    key::{Ident, Key},
    life::Life,
    memory::{Held, Labels, erased},
    policy::Lease,
    scope::{self, Scope},
    space::{Space, count_hit},
    tier::{Answer, Asked, Found, LeaseAnswer, LeaseRequest, News, ReadBatch, TierError},
    write::{Along, Made},
};

/// What a search came to.
#[derive(Debug)]
pub(crate) struct Search {
    /// The best that was found.
    pub(crate) best: Option<Candidate>,
    /// What is to be done with it.
    pub(crate) decision: Decision,
    /// Whose turn it is to load, if that was asked.
    pub(crate) lease: LeaseAnswer,
    /// Why a tier could not be asked.
    pub(crate) error: Option<TierError>,
    /// What it is called in tiers.
    pub(crate) text: String,
    covered_by: CoveredBy,
    /// The first tier that was not asked yet.
    next: usize,
}

/// What covers an entry beside its tags. Not hashed where no mark is known and nobody is asked for any.
#[derive(Debug)]
struct CoveredBy {
    key: Ident,
    seed: u64,
    hashed: OnceLock<(Vec<Scope>, Scope)>,
}

impl CoveredBy {
    /// What covers it, and what marks it as expired.
    fn scopes(&self) -> (&[Scope], Scope) {
        let (scopes, expiry) = self.hashed.get_or_init(|| {
            let scopes = scope::covering(&self.key, self.seed).collect();
            (scopes, scope::expiry(&self.key, self.seed))
        });
        (scopes, *expiry)
    }
}

/// An entry that may do.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) held: Held,
    pub(crate) source: Source,
    /// Its frame, where it came from a tier.
    frame: Option<Arc<[u8]>>,
    invalidated: Option<WallMillis>,
    expired: Option<WallMillis>,
    /// Whether marks that cover it may be unknown: nobody could be asked.
    doubtful: bool,
}

impl Search {
    /// The value so far, and what its origin called it.
    pub(crate) fn stale(&self) -> Option<&Held> {
        self.best.as_ref().map(|best| &best.held)
    }
}

impl<K: Key + ?Sized, V: Send + Sync + 'static> Space<K, V> {
    /// Looks for `key` in memory and in one tier after the other, until there is something to serve.
    /// Where there is not, `wish` asks a shared tier for the right to load it.
    pub(crate) async fn search(&self, key: &Ident, wish: Option<Lease>) -> Result<Search, Error> {
        if self.cache.inner.unsent.any() {
            Box::pin(self.cache.send_unsent()).await;
        }
        let mut search = Search {
            best: self.held_in_memory(key),
            decision: Decision::Load { fallback: false },
            lease: LeaseAnswer::None,
            error: None,
            text: self.text(key)?,
            covered_by: CoveredBy {
                key: key.clone(),
                seed: self.seed,
                hashed: OnceLock::new(),
            },
            next: 0,
        };
        if search.best.is_none() && self.cache.inner.memory.is_some() {
            self.counters.memory.misses.add(1);
        }
        self.settle(key, &mut search).await;
        if let (Some(best), Decision::Serve(_)) = (&search.best, search.decision) {
            // It has been looked at for the marks that are new: not again.
            self.keep_in_memory(key, best.held.clone());
        }
        self.search_on(key, &mut search, wish, false).await;
        Ok(search)
    }

    /// Asks the tiers that were not asked yet, until there is something to serve. `early` is for what
    /// is fresh and to be refreshed all the same: then something newer is looked for.
    pub(crate) async fn search_on(
        &self,
        key: &Ident,
        search: &mut Search,
        wish: Option<Lease>,
        early: bool,
    ) {
        let had = search.stale().map(|held| held.life.created);
        let nearest = search.next;
        while search.next < self.cache.inner.tiers.len() && self.uses_tiers() {
            let newer = search.stale().map(|held| held.life.created) > had;
            if !matches!(search.decision, Decision::Load { .. }) && (!early || newer) {
                break;
            }
            self.ask(search, wish, early).await;
            search.next += 1;
            self.settle(key, search).await;
        }
        let newer = search.stale().map(|held| held.life.created) > had;
        if newer && !matches!(search.decision, Decision::Load { fallback: false }) {
            self.bring_nearer(key, search, nearest).await;
        }
    }

    /// Looks into memory once more: whether a load has ended meanwhile.
    pub(crate) fn look_again(&self, key: &Ident, search: &mut Search) -> bool {
        let Some(again) = self.held_in_memory(key) else {
            return false;
        };
        let had = search.stale().map(|held| held.life.created);
        let newer = Some(again.held.life.created) > had;
        if newer {
            search.best = Some(again);
            search.decision = self.judge(key, search);
        }
        newer && search.decision == Decision::Serve(Freshness::Fresh)
    }

    /// What lies in memory, whatever its state.
    fn held_in_memory(&self, key: &Ident) -> Option<Candidate> {
        let memory = self.cache.inner.memory.as_ref()?;
        Some(Candidate {
            held: memory.get(key)?,
            source: Source::Memory,
            frame: None,
            invalidated: None,
            expired: None,
            doubtful: false,
        })
    }

    /// Asks the next tier.
    async fn ask(&self, search: &mut Search, wish: Option<Lease>, early: bool) {
        let inner = &*self.cache.inner;
        let index = search.next;
        let (Some(tier), Some(counters)) = (inner.tiers.get(index), self.counters.tiers.get(index))
        else {
            return;
        };
        let now = self.cache.now();
        let is_authority = inner.authority == Some(index);
        let news = if is_authority {
            self.cache.wanted_news()
        } else {
            News::None
        };
        // What covers that which was found nearer, beside what covers any entry of this key.
        let mut scopes = Vec::new();
        if is_authority && let Some(best) = &search.best {
            scopes.extend(all_scopes(search, &best.held));
        }
        let (covering, expiry) = if tier.is_shared() {
            search.covered_by.scopes()
        } else {
            // It knows no more marks than this process.
            (&[][..], Scope::ALL)
        };
        let batch = ReadBatch {
            app: &inner.app,
            now,
            entries: &[Asked {
                key: &search.text,
                scopes: covering,
                expiry,
            }],
            scopes: &scopes,
            news,
            lease: wish.filter(|_| tier.is_shared()).map(|lease| LeaseRequest {
                owner: &inner.owner,
                time: lease.time,
                even_if_fresh: early,
            }),
        };
        let answer = match tier.read(batch).await {
            Ok(answer) => answer,
            Err(error) => {
                counters.errors.add(1);
                search.error.get_or_insert(error);
                return;
            }
        };
        if is_authority {
            inner.coherence.told(news, now, &answer);
            inner.coherence.note(&answer.marks);
            if let Some(best) = &mut search.best {
                best.held.checked = now;
            }
        }
        if answer.lease != LeaseAnswer::None {
            search.lease = answer.lease;
        }
        self.take(search, answer, is_authority, now);
    }

    /// Takes what a tier has found, if it is better than what there is.
    fn take(&self, search: &mut Search, mut answer: Answer, checked: bool, now: WallMillis) {
        let inner = &*self.cache.inner;
        let (Some(tier), Some(counters)) = (
            inner.tiers.get(search.next),
            self.counters.tiers.get(search.next),
        ) else {
            return;
        };
        let Some(found) = answer.found.pop().flatten() else {
            counters.misses.add(1);
            return;
        };
        counters.read_bytes.add(count(found.bytes.len()));
        let Ok(mut held) = self.decode(&found.bytes) else {
            counters.undecodable.add(1);
            return;
        };
        if checked {
            held.checked = now;
        }
        let newer = search
            .stale()
            .is_none_or(|best| best.life.created < held.life.created);
        if newer {
            let Found {
                bytes,
                invalidated,
                expired,
            } = found;
            search.best = Some(Candidate {
                held,
                source: Source::Tier(tier.name()),
                frame: Some(bytes.into()),
                invalidated,
                expired,
                doubtful: false,
            });
        }
    }

    /// Decides what is to be done with the best that was found, once all that may have invalidated it
    /// is known.
    async fn settle(&self, key: &Ident, search: &mut Search) {
        let coherence = &self.cache.inner.coherence;
        let mut generation = coherence.generation();
        search.decision = self.judge(key, search);
        let Some(best) = &search.best else { return };
        if matches!(search.decision, Decision::Load { fallback: false }) {
            return;
        }
        let (created, checked) = (best.held.life.created, best.held.checked);
        if self.cache.is_unverified(checked, self.cache.now()) {
            if let Err(error) = self.cache.ask_for_news().await {
                search.error.get_or_insert(error);
            }
            generation = coherence.generation();
        }
        // Where no news can be had, or not all, the tier itself is to be asked about it.
        let doubtful = self.cache.is_unverified(checked, self.cache.now())
            || coherence.is_past_horizon(created, checked);
        if let Some(best) = &mut search.best {
            best.doubtful = doubtful;
            best.held.generation = if doubtful { 0 } else { generation };
        }
        search.decision = self.judge(key, search);
    }

    /// What is to be done with the best that was found, by all that is known.
    fn judge(&self, key: &Ident, search: &Search) -> Decision {
        let Some(best) = &search.best else {
            return Decision::Load { fallback: false };
        };
        let (now, coherence) = (self.cache.now(), &self.cache.inner.coherence);
        let mut life = best.held.life;
        let (mut invalidated, mut expired) = (best.invalidated, best.expired);
        if coherence.knows_any() {
            let (scopes, expiry) = search.covered_by.scopes();
            let tags = best.held.labels.iter().flat_map(|labels| &labels.tags);
            let scopes = scopes.iter().chain(tags).copied();
            invalidated = invalidated.max(coherence.newest(scopes));
            expired = expired.max(coherence.newest([expiry]));
        }
        if let Some(expired) = expired.filter(|expired| life.created <= *expired) {
            life = life.expired(expired);
        }
        if best.doubtful {
            life = life.expired(now);
        }
        let decision = self.decide(&life, now, invalidated, None);
        let asks_origin = !matches!(decision, Decision::Serve(_) | Decision::Negative);
        match self.cache.inner.failures.until(key) {
            Some(until) if asks_origin => self.decide(&life, now, invalidated, Some(until)),
            _ => decision,
        }
    }

    pub(crate) fn decide(
        &self,
        life: &Life,
        now: WallMillis,
        invalidated: Option<WallMillis>,
        probe_after: Option<WallMillis>,
    ) -> Decision {
        let at = Circumstances {
            now,
            invalidated,
            probe_after,
            random: fastrand::f64(),
        };
        decide(Some(life), self.keyspace.policy().refresh, &at)
    }

    /// The best that was found, as it is given out.
    pub(crate) fn serve(&self, search: &Search, state: Freshness) -> Option<Cached<V>> {
        self.serve_candidate(search.best.as_ref()?, state)
    }

    /// The same, of any candidate.
    pub(crate) fn serve_candidate(&self, best: &Candidate, state: Freshness) -> Option<Cached<V>> {
        let counters = match best.source {
            Source::Memory => Some(&self.counters.memory),
            Source::Tier(name) => {
                let tiers = &self.cache.inner.tiers;
                let index = tiers.iter().position(|tier| tier.name() == name);
                index.and_then(|index| self.counters.tiers.get(index))
            }
            Source::Origin => None,
        };
        if let Some(counters) = counters {
            count_hit(counters, &best.held.life, state);
        }
        self.cached(&best.held, best.source, state)
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

    /// Puts what was found far off into the tiers before it that had nothing as good, with the life
    /// that it has.
    async fn bring_nearer(&self, key: &Ident, search: &Search, from: usize) {
        let Some(best) = &search.best else { return };
        self.keep_in_memory(key, best.held.clone());
        let (Source::Tier(name), Some(frame)) = (best.source, &best.frame) else {
            return;
        };
        let tiers = self.cache.inner.tiers.iter().map(Guarded::name);
        let nearer: Vec<_> = tiers.take_while(|tier| *tier != name).skip(from).collect();
        if nearer.is_empty() {
            return;
        }
        let made = Made {
            held: best.held.clone(),
            frame: Arc::clone(frame),
        };
        let (space, text) = (self.clone(), search.text.clone());
        beside(async move {
            let wanted = |tier: &Guarded| nearer.contains(&tier.name());
            // Counted, and reported by the tier's guard.
            let _ = space.write(&text, &made, Along::default(), wanted).await;
        })
        .await;
    }

    pub(crate) fn keep_in_memory(&self, key: &Ident, held: Held) {
        if let Some(memory) = &self.cache.inner.memory {
            memory.put(key, held);
        }
    }

    /// Reads an entry that was found.
    fn decode(&self, bytes: &[u8]) -> Result<Held, Undecodable> {
        let frame = Frame::decode(bytes, self.schema)?;
        let value = if frame.life.negative {
            None
        } else {
            let decoded = self.keyspace.codec().decode(frame.payload);
            let value = decoded.map_err(|_| Undecodable::Malformed)?;
            Some(erased(value))
        };
        let tags: Vec<_> = frame.tags.iter().copied().map(Scope::from_raw).collect();
        let labels = Labels::new(tags, frame.etag.map(Arc::from));
        Ok(Held {
            value,
            life: frame.life,
            checked: WallMillis::default(),
            generation: 0,
            quiet_until: quiet_until(&frame.life, self.keyspace.policy().refresh),
            labels,
            weight: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
        })
    }
}

/// All that covers or expires an entry that was found.
fn all_scopes(search: &Search, held: &Held) -> impl Iterator<Item = Scope> {
    let tags = held.labels.clone();
    let tags: Vec<_> = tags.map_or_else(Vec::new, |labels| labels.tags.clone());
    let (scopes, expiry) = search.covered_by.scopes();
    let own = scopes.iter().copied().chain([expiry]);
    own.chain(tags)
}

fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
