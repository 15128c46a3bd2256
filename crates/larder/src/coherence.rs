//! What this process knows of invalidations, its own and others', and up to when.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{
    clock::WallMillis,
    scope::{Mark, Marks, Scope},
};

/// How far the clocks of two machines may be apart, generously, and a mark be under way.
const OVERLAP: Duration = Duration::from_secs(10);

/// The marks that are known, and how good that knowledge is.
///
/// One tier keeps the marks that all processes agree on: the first that is shared, or else the first there
/// is. Its news is asked for along with values; between times, what lies in memory is believed for
/// `max_unverified`.
#[derive(Debug)]
pub(crate) struct Coherence {
    marks: Mutex<Marks>,
    /// The newest of all marks. What was loaded later is covered by none.
    newest: AtomicU64,
    /// When the tier was asked for news last; 0 for never.
    verified: AtomicU64,
    /// From when on all marks are known. What was loaded earlier may be covered by one that is not.
    horizon: AtomicU64,
    max_unverified: Duration,
}

impl Coherence {
    pub(crate) fn new(max_unverified: Duration) -> Self {
        Self {
            marks: Mutex::default(),
            newest: AtomicU64::new(0),
            verified: AtomicU64::new(0),
            horizon: AtomicU64::new(u64::MAX),
            max_unverified,
        }
    }

    pub(crate) fn note(&self, marks: &[Mark]) {
        let Some(newest) = marks.iter().map(|mark| mark.at).max() else {
            return;
        };
        let mut known = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        for mark in marks {
            known.note(*mark);
        }
        // While the marks are locked: whoever sees the newer figure finds its mark.
        self.newest.fetch_max(newest.get(), Ordering::Release);
    }

    /// The newest mark of all.
    #[inline]
    pub(crate) fn newest_of_all(&self) -> WallMillis {
        WallMillis::new(self.newest.load(Ordering::Acquire))
    }

    /// The newest mark that covers what `scopes` cover.
    pub(crate) fn newest(&self, scopes: impl IntoIterator<Item = Scope>) -> Option<WallMillis> {
        let marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        marks.newest(scopes)
    }

    /// Whether what was last checked then can be believed now.
    #[inline]
    pub(crate) fn believes(&self, checked: WallMillis, now: WallMillis) -> bool {
        let verified = WallMillis::new(self.verified.load(Ordering::Acquire));
        now.since(checked.max(verified)) <= self.max_unverified
    }

    /// Whether a mark may cover what was loaded then, and not be known.
    pub(crate) fn is_past_horizon(&self, created: WallMillis) -> bool {
        created.get() < self.horizon.load(Ordering::Acquire)
    }

    /// Since when the tier is to be asked for news at `now`.
    pub(crate) fn news_since(&self, now: WallMillis) -> WallMillis {
        let verified = match self.verified.load(Ordering::Acquire) {
            0 => now.get(),
            verified => verified,
        };
        let overlap = u64::try_from(OVERLAP.as_millis()).unwrap_or(0);
        WallMillis::new(verified.saturating_sub(overlap))
    }

    /// The tier has told all news since `since`, as of `now`.
    pub(crate) fn verified(&self, since: WallMillis, now: WallMillis, marks: &[Mark]) {
        self.note(marks);
        self.horizon.fetch_min(since.get(), Ordering::AcqRel);
        self.verified.fetch_max(now.get(), Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: WallMillis = WallMillis::new(1_795_338_000_000);
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_was_checked_is_believed_for_a_while() {
        let coherence = Coherence::new(5 * SECOND);
        assert!(coherence.believes(NOW, NOW.plus(5 * SECOND)));
        assert!(!coherence.believes(NOW, NOW.plus(6 * SECOND)));
        coherence.verified(NOW, NOW.plus(4 * SECOND), &[]);
        assert!(coherence.believes(NOW, NOW.plus(9 * SECOND)));
    }

    #[test]
    fn no_news_is_missed_between_two_times_that_it_is_asked_for() {
        let coherence = Coherence::new(5 * SECOND);
        let first = coherence.news_since(NOW);
        assert!(first < NOW);
        assert!(coherence.is_past_horizon(NOW), "nothing is known yet");
        coherence.verified(first, NOW, &[]);
        let next = coherence.news_since(NOW.plus(60 * SECOND));
        assert!(next < NOW);
        coherence.verified(next, NOW.plus(60 * SECOND), &[]);
        assert!(coherence.is_past_horizon(WallMillis::new(first.get() - 1)));
        assert!(!coherence.is_past_horizon(first));
    }
}
