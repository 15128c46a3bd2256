//! Asking one tier for many keys, in one trip, and reading what it has found.

use std::sync::Arc;

use crate::{
    clock::WallMillis,
    decide::quiet_until,
    frame::{Frame, Undecodable},
    guard::Guarded,
    held::{Held, Labels, erased},
    key::Key,
    pack::unpack,
    policy::Lease,
    scope::Scope,
    search::{Candidate, Search},
    space::Space,
    stats::TierCounters,
    tier::{Answer, Asked, Found, LeaseAnswer, LeaseRequest, News, ReadBatch, TierError},
};

impl<K: Key + ?Sized, V: Send + Sync + 'static> Space<K, V> {
    /// Asks the tier with this index for all of `searches`. A lease is for the first.
    pub(crate) async fn ask(
        &self,
        index: usize,
        searches: &mut [&mut Search],
        wish: Option<Lease>,
        early: bool,
    ) {
        let inner = &*self.cache.inner;
        let (Some(tier), Some(counters)) = (inner.tiers.get(index), self.counters.tiers.get(index))
        else {
            return;
        };
        // One moment for all: what is looked at now is no older than the news that comes along.
        let now = self.cache.now();
        let is_authority = inner.authority == Some(index);
        let owner = self.cache.owner();
        let lease = wish.filter(|_| tier.is_shared()).map(|lease| LeaseRequest {
            owner: &owner,
            time: lease.time,
            even_if_fresh: early,
        });
        let read = self.read((tier, is_authority), now, searches, lease).await;
        let answer = match read {
            Ok(answer) => answer,
            Err(error) => {
                counters.errors.add(1);
                if let Some(first) = searches.first_mut() {
                    first.error.get_or_insert(error);
                }
                return;
            }
        };
        if let (Some(first), true) = (searches.first_mut(), answer.lease != LeaseAnswer::None) {
            first.lease = answer.lease;
        }
        let checked = if is_authority {
            now
        } else {
            WallMillis::default()
        };
        for (search, found) in searches.iter_mut().zip(answer.found) {
            if let Some(best) = search.best.as_mut().filter(|_| is_authority) {
                best.held.checked = now;
            }
            self.take(search, found, (index, counters), checked);
        }
    }

    /// Reads from `tier`, and notes what it tells of invalidations.
    async fn read(
        &self,
        (tier, is_authority): (&Guarded, bool),
        now: WallMillis,
        searches: &[&mut Search],
        lease: Option<LeaseRequest<'_>>,
    ) -> Result<Answer, TierError> {
        let inner = &*self.cache.inner;
        // What covers what was found nearer: that it was looked at is as good as found here.
        let scopes = searches.iter().filter(|_| is_authority && tier.is_shared());
        let scopes: Vec<_> = scopes.flat_map(|search| all_scopes(search)).collect();
        let entries: Vec<_> = searches
            .iter()
            .map(|search| asked(search, tier.is_shared()))
            .collect();
        let news = if is_authority {
            self.cache.wanted_news()
        } else {
            News::None
        };
        let batch = ReadBatch {
            app: &inner.app,
            now,
            entries: &entries,
            scopes: &scopes,
            news,
            lease,
        };
        // A batch is one load: of several values the dearest counts.
        let worth = searches.iter().map(|search| self.worth(search)).max();
        let answer = tier.read(batch, worth.flatten()).await?;
        if is_authority {
            inner.coherence.told(news, now, &answer);
        }
        Ok(answer)
    }

    /// Takes what a tier has found, if it is newer than what there is.
    fn take(
        &self,
        search: &mut Search,
        found: Option<Found>,
        (index, counters): (usize, &TierCounters),
        checked: WallMillis,
    ) {
        let Some(found) = found else {
            counters.misses.add(1);
            return;
        };
        let len = u64::try_from(found.bytes.len()).unwrap_or(u64::MAX);
        counters.read_bytes.add(len);
        let Ok(held) = self.decode(&found.bytes, &search.text) else {
            counters.undecodable.add(1);
            return;
        };
        self.counters.load_cost.learn(held.life.load_cost);
        if Some(held.life.created) > search.created() {
            search.best = Some(Candidate {
                held: Held { checked, ..held },
                tier: Some(index),
                frame: (index > 0).then(|| Arc::new(found.bytes)),
                invalidated: found.invalidated,
                expired: found.expired,
                doubtful: false,
            });
        }
    }

    /// Reads an entry that was found.
    fn decode(&self, bytes: &[u8], text: &str) -> Result<Held, Undecodable> {
        let frame = Frame::decode(bytes, self.schema)?;
        let payload = self.open(&frame, text).ok_or(Undecodable::Malformed)?;
        let value = if frame.life.negative {
            None
        } else {
            let payload = if frame.packed {
                unpack(&payload).ok_or(Undecodable::Malformed)?
            } else {
                payload
            };
            let decoded = self.keyspace.codec().decode(&payload);
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
            quiet_until: quiet_until(&frame.life, self.policy.refresh),
            labels,
            weight: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
        })
    }
}

/// A question for what is searched. A tier of this process's own knows no more marks than it does.
fn asked(search: &Search, shared: bool) -> Asked<'_> {
    let scopes = shared.then(|| search.scopes());
    let (scopes, expiry) = scopes.unwrap_or((&[], Scope::ALL));
    Asked {
        key: &search.text,
        scopes,
        expiry,
    }
}

/// All that covers or expires the best that was found.
fn all_scopes(search: &Search) -> Vec<Scope> {
    let Some(best) = &search.best else {
        return Vec::new();
    };
    let tags = best.held.labels.iter().flat_map(|labels| &labels.tags);
    let (scopes, expiry) = search.scopes();
    scopes.iter().chain(tags).copied().chain([expiry]).collect()
}
