//! What is to be done with what was found, once all that may have invalidated it is known.

use crate::{
    clock::WallMillis,
    decide::{Circumstances, Decision, decide},
    key::Key,
    life::Life,
    search::Search,
    space::Space,
};

impl<K: Key + ?Sized, V: Send + Sync + 'static> Space<K, V> {
    /// Decides what is to be done with the best that was found, once all that may have invalidated it
    /// is known.
    pub(crate) async fn settle(&self, search: &mut Search) {
        let coherence = &self.cache.inner.coherence;
        let judged = coherence.generation();
        search.decision = self.judge(search);
        let Some(best) = &search.best else { return };
        if search.decision == Decision::MISS {
            return;
        }
        let (mut generation, was_doubtful) = (judged, best.doubtful);
        let (created, checked) = (best.held.life.created, best.held.checked);
        if self.cache.is_unverified(checked, self.cache.now()) {
            if let Err(error) = self.cache.ask_for_news(self.worth(search)).await {
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
        if (generation, doubtful) != (judged, was_doubtful) {
            search.decision = self.judge(search);
        }
    }

    /// What is to be done with the best that was found, by all that is known.
    pub(crate) fn judge(&self, search: &Search) -> Decision {
        let Some(best) = &search.best else {
            return Decision::MISS;
        };
        let (now, coherence) = (self.cache.now(), &self.cache.inner.coherence);
        let mut life = best.held.life;
        let (mut invalidated, mut expired) = (best.invalidated, best.expired);
        if coherence.knows_any() {
            let (scopes, expiry) = search.scopes();
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
        if matches!(decision, Decision::Serve(_) | Decision::Negative) {
            return decision;
        }
        match self.cache.inner.failures.until(&search.key) {
            Some(until) => self.decide(&life, now, invalidated, Some(until)),
            None => decision,
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
        decide(Some(life), self.policy.refresh, &at)
    }
}
