//! From what a loader gave to entries in every tier.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;

use crate::{
    clock::WallMillis,
    decide::quiet_until,
    entry::{Loaded, Receipt},
    error::Error,
    frame::Frame,
    guard::Guarded,
    held::{Held, Labels, erased},
    invocation::{Shared, beside},
    key::{Ident, Key},
    life::Life,
    pack::pack,
    scope::{self, Mark},
    space::Space,
    stats::TierCounters,
    tier::{Put, Release, TierError, WriteBatch},
};

/// What takes so long to load is worth several tries to write it back.
const DEAR: Duration = Duration::from_secs(1);

/// An entry that is ready to be kept.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) held: Held,
    pub(crate) frame: Arc<Vec<u8>>,
}

/// The beginning of a load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start {
    /// By the wall clock: what was invalidated later covers what is loaded.
    pub(crate) at: WallMillis,
    /// Which marks were known.
    generation: u64,
    /// `None` where a value is put without a load.
    begun: Option<Instant>,
}

impl Start {
    /// The same for a value that is put: nothing is known of what it took to make.
    pub(crate) fn without_load(self) -> Self {
        Self {
            begun: None,
            ..self
        }
    }
}

/// What else is to reach the tiers that an entry is written to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Along<'a> {
    /// When that is. A server that has lost its marks covers all that is older: not what is being put, so that is no
    /// later than the entry.
    pub(crate) now: WallMillis,
    /// That it took the place of another.
    pub(crate) news: Option<Mark>,
    /// Who gives the entry's lease back.
    pub(crate) owner: Option<&'a str>,
}

impl Along<'_> {
    /// Nothing else.
    pub(crate) const fn nothing(now: WallMillis) -> Self {
        Self {
            now,
            news: None,
            owner: None,
        }
    }
}

impl<K: Key + ?Sized, V: Send + Sync + 'static> Space<K, V> {
    /// A load of `key` that begins now.
    pub(crate) fn start_of_load(&self, key: &Ident) -> Start {
        let coherence = &self.cache.inner.coherence;
        let generation = coherence.generation();
        let mut at = self.cache.now();
        if coherence.knows_any() {
            let scopes = scope::covering(key, self.seed);
            let newest = coherence.newest(scopes.chain([scope::expiry(key, self.seed)]));
            // Not at the very millisecond of an invalidation that this process knows of: it comes after it.
            at = newest.map_or(at, |mark| at.max(mark.plus(Duration::from_millis(1))));
        }
        Start {
            at,
            generation,
            begun: Some(Instant::now()),
        }
    }

    /// An entry of what a loader gave. `None` where a value is not modified, and there is no `stale` one.
    pub(crate) fn hold(
        &self,
        loaded: Loaded<V>,
        stale: Option<&Held>,
        start: &Start,
    ) -> Option<Held> {
        let Start {
            at: start,
            generation,
            begun,
        } = *start;
        let (now, cost) = (
            self.cache.now().max(start),
            begun.map(|begun| begun.elapsed()),
        );
        if let Some(cost) = cost {
            self.counters.load_cost.observe(cost);
        }
        let cost = cost.unwrap_or_default();
        let policy = &self.policy;
        let life = |fresh: Option<Duration>| {
            let policy = fresh.map_or(*policy, |fresh| policy.fresh_for(fresh));
            Life::of_value(&policy, now, cost, fastrand::f64()).begun(start)
        };
        Some(match loaded {
            Loaded::Value(entry) => {
                let life = life(entry.fresh);
                Held {
                    life: entry.until.map_or(life, |until| life.until(until)),
                    value: Some(erased(entry.value)),
                    quiet_until: start,
                    checked: now,
                    generation,
                    labels: Labels::new(entry.tags, entry.etag),
                    weight: 0,
                }
            }
            Loaded::NotModified => Held {
                life: life(None),
                checked: now,
                generation,
                ..stale.filter(|stale| stale.value.is_some())?.clone()
            },
            Loaded::Absent => Held {
                value: None,
                quiet_until: start,
                life: Life::of_absence(policy, now, cost).begun(start),
                checked: now,
                generation,
                labels: None,
                weight: 0,
            },
        })
    }

    /// An entry with its frame. What may not leave this process has none: only its size counts.
    pub(crate) fn make(&self, held: Held, text: &str) -> Result<Made, Error> {
        let payload = self.payload(&held)?;
        let (frame, weight) = if self.uses_tiers() {
            let frame = self.frame(&held, payload, text)?;
            let len = frame.len();
            (frame, len)
        } else {
            (Vec::new(), payload.len())
        };
        Ok(Made {
            held: Held {
                quiet_until: quiet_until(&held.life, self.policy.refresh),
                weight: u32::try_from(weight).unwrap_or(u32::MAX),
                ..held
            },
            frame: Arc::new(frame),
        })
    }

    /// Keeps what has just been loaded: in memory and on disk now, in shared tiers beside the
    /// invocation, where the lease of the first is given back, too, if it was `granted`.
    pub(crate) async fn keep(&self, loaded: Vec<(Ident, String, Made)>, granted: bool) {
        let now = self.cache.now();
        for (key, _, made) in &loaded {
            if made.held.life.stale_until > now {
                self.keep_in_memory(key, made.held.clone());
            } else if let Some(memory) = &self.cache.inner.memory {
                memory.remove(key);
            }
        }
        let named = |(_, text, made)| (text, made);
        let loaded: Vec<(String, Made)> = loaded.into_iter().map(named).collect();
        // Counted, and reported by the tier's guard.
        let _ = self
            .write(&borrowed(&loaded), Along::nothing(now), |_, tier| {
                !tier.is_shared()
            })
            .await;
        if self.cache.inner.tiers.iter().any(Guarded::is_shared) {
            let (space, owner) = (self.clone(), self.cache.owner());
            beside(async move {
                let along = Along {
                    owner: granted.then_some(&owner),
                    ..Along::nothing(now)
                };
                space.write_back(&loaded, along).await;
            })
            .await;
        }
    }

    /// Gives a lease back that came to nothing.
    pub(crate) async fn give_back(&self, text: String) {
        let (cache, owner) = (self.cache.clone(), self.cache.owner());
        beside(async move {
            let release = Release {
                key: &text,
                owner: &owner,
            };
            for tier in cache.inner.tiers.iter().filter(|tier| tier.is_shared()) {
                let batch = WriteBatch {
                    release: Some(release),
                    ..WriteBatch::new(&cache.inner.app, cache.now())
                };
                // It ends by itself otherwise.
                let _ = tier.write(batch, None).await;
            }
        })
        .await;
    }

    /// The encoded value; nothing where there is none.
    fn payload(&self, held: &Held) -> Result<Vec<u8>, Error> {
        let value = held.value.as_ref().and_then(|value| value.downcast_ref());
        let encoded = value.map(|value| self.keyspace.codec().encode(value));
        encoded
            .unwrap_or_else(|| Ok(Vec::new()))
            .map_err(|source| Error::Encode {
                keyspace: self.keyspace.name(),
                source,
            })
    }

    /// The frame of the entry at `text`.
    fn frame(&self, held: &Held, payload: Vec<u8>, text: &str) -> Result<Vec<u8>, Error> {
        let labels = held.labels.as_deref();
        let tags = labels.map(|labels| labels.tags.iter().map(|tag| tag.get()).collect());
        let (payload, packed) = pack(payload);
        let frame = Frame {
            schema: self.schema,
            life: held.life,
            tags: tags.unwrap_or_default(),
            etag: labels.and_then(|labels| labels.etag.as_deref()),
            packed,
            sealed: false,
            payload: &payload,
        };
        let frame = self.seal(&frame, text).and_then(|sealed| match sealed {
            Some(payload) => Frame {
                sealed: true,
                payload: &payload,
                ..frame
            }
            .encode(),
            None => frame.encode(),
        });
        frame.map_err(|source| Error::TooLarge {
            keyspace: self.keyspace.name(),
            source,
        })
    }

    /// Writes entries to those tiers that are `wanted`, all at once. What is dead already is deleted there
    /// instead. What goes along is for the first.
    pub(crate) async fn write(
        &self,
        entries: &[(&str, &Made)],
        along: Along<'_>,
        wanted: impl Fn(usize, &Guarded) -> bool,
    ) -> Receipt {
        let changes = self.changes(entries, &along);
        let worth = self.worth_of_all(entries.iter().map(|(_, made)| *made));
        let tiers = self.cache.inner.tiers.iter().zip(&self.counters.tiers);
        let tiers = tiers.enumerate();
        let tiers = tiers.filter(|(index, (tier, _))| wanted(*index, tier));
        let writes = tiers.map(async |(_, (tier, counters))| {
            let batch = changes.batch(&self.cache.inner.app, &along);
            let result = tier.write(batch, worth).await;
            changes.count(&result, counters);
            result
        });
        Receipt::of(join_all(writes).await)
    }

    /// Writes what has been loaded to shared tiers. What took long is tried again for as long as the load took: by then
    /// it would have been cheaper to load it again. The invocation's deadline ends it earlier. What is given up is
    /// counted.
    async fn write_back(&self, loaded: &[(String, Made)], along: Along<'_>) {
        let entries = borrowed(loaded);
        let changes = self.changes(&entries, &along);
        let worth = self.worth_of_all(loaded.iter().map(|(_, made)| made));
        // Without an invocation the caller waits for this.
        let retried = worth.filter(|worth| *worth >= DEAR && Shared::present().is_some());
        let inner = &*self.cache.inner;
        let tiers = inner.tiers.iter().zip(&self.counters.tiers);
        let writes = tiers.filter(|(tier, _)| tier.is_shared());
        let writes = writes.map(async |(tier, counters)| {
            let batch = changes.batch(&inner.app, &along);
            let result = match retried {
                Some(budget) => tier.write_back(batch, budget).await,
                None => tier.write(batch, worth).await,
            };
            changes.count(&result, counters);
            if let Err(error) = result {
                inner.dropped.add(1);
                let (keyspace, entries) = (self.keyspace.name(), changes.puts.len());
                let cause = error.source.as_ref().map(ToString::to_string);
                tracing::warn!(
                    tier = error.tier,
                    keyspace,
                    entries,
                    cause,
                    "Dropped a write-back: {error}"
                );
            }
        });
        join_all(writes).await;
    }

    /// Returns what the dearest of several entries is worth; `None` where they were put without a load.
    fn worth_of_all<'a>(&self, entries: impl Iterator<Item = &'a Made>) -> Option<Duration> {
        let costs = entries.map(|made| made.held.life.load_cost);
        self.worth_of(costs.filter(|cost| !cost.is_zero()).max())
    }

    /// Returns what is to be written of `entries`: what is dead at the time that `along` names is deleted instead.
    fn changes<'a>(&self, entries: &[(&'a str, &'a Made)], along: &Along<'a>) -> Changes<'a> {
        let (mut puts, mut removes) = (Vec::new(), Vec::new());
        for (key, made) in entries.iter().filter(|_| self.uses_tiers()) {
            let life = &made.held.life;
            if life.stale_until > along.now {
                puts.push(Put {
                    key,
                    frame: &made.frame,
                    created: life.created,
                    until: life.stale_until,
                });
            } else {
                removes.push(*key);
            }
        }
        let release = along.owner.zip(entries.first());
        Changes {
            puts,
            removes,
            release: release.map(|(owner, (key, _))| Release { key, owner }),
        }
    }
}

/// What is written to one or several tiers.
struct Changes<'a> {
    puts: Vec<Put<'a>>,
    removes: Vec<&'a str>,
    release: Option<Release<'a>>,
}

impl Changes<'_> {
    fn batch<'a>(&'a self, app: &'a str, along: &'a Along<'_>) -> WriteBatch<'a> {
        WriteBatch {
            puts: &self.puts,
            removes: &self.removes,
            news: along.news.as_slice(),
            release: self.release,
            ..WriteBatch::new(app, along.now)
        }
    }

    /// Counts what became of a write.
    fn count(&self, result: &Result<(), TierError>, counters: &TierCounters) {
        let bytes: usize = self.puts.iter().map(|put| put.frame.len()).sum();
        match result {
            Ok(()) => counters
                .written_bytes
                .add(u64::try_from(bytes).unwrap_or(u64::MAX)),
            Err(_) => counters.errors.add(1),
        }
    }
}

fn borrowed(entries: &[(String, Made)]) -> Vec<(&str, &Made)> {
    entries
        .iter()
        .map(|(text, made)| (text.as_str(), made))
        .collect()
}
