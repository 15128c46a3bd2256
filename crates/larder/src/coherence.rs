//! What this process knows of invalidations, its own and others', and up to when.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard};

use crate::{
    clock::WallMillis,
    scope::{Mark, Marks, Scope},
    tier::{Answer, News},
};

/// The marks that are known, and how good that knowledge is.
///
/// One tier keeps the marks that all processes agree on: the first that is shared, or else the first there
/// is. Its news is asked for along with values; between times, what lies in memory is believed for
/// `max_unverified`.
#[derive(Debug)]
pub(crate) struct Coherence {
    known: Mutex<Known>,
    /// Goes up with every mark that is noted: what was looked at under the same is still valid.
    generation: AtomicU64,
    /// Whether any mark was noted.
    any: AtomicBool,
    /// When the tier was asked for news last.
    verified: AtomicU64,
    max_unverified: Duration,
}

#[derive(Debug, Default)]
struct Known {
    marks: Marks,
    /// Up to where the tier's news was told; `None` before the first time.
    cursor: Option<u64>,
    /// All marks that are newer than this are known. Whatever was loaded, or looked at by the tier itself, by then
    /// may be covered by one that is not.
    horizon: WallMillis,
}

impl Coherence {
    pub(crate) fn new(max_unverified: Duration) -> Self {
        Self {
            known: Mutex::default(),
            generation: AtomicU64::new(1),
            any: AtomicBool::new(false),
            verified: AtomicU64::new(0),
            max_unverified,
        }
    }

    /// Which marks are noted. Look at it before looking at them.
    #[inline]
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(crate) fn note(&self, marks: &[Mark]) {
        self.note_in(&mut self.known(), marks);
    }

    fn note_in(&self, known: &mut Known, marks: &[Mark]) {
        let mut news = false;
        for mark in marks {
            news |= known.marks.note(*mark);
            if let Some(given_up) = known.marks.bound() {
                known.horizon = known.horizon.max(given_up);
            }
        }
        if news {
            self.any.store(true, Ordering::Release);
            // While they are locked: whoever sees the new figure finds them.
            self.generation.fetch_add(1, Ordering::Release);
        }
    }

    /// Whether any mark is known.
    pub(crate) fn knows_any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// The newest mark that covers what `scopes` cover.
    pub(crate) fn newest(&self, scopes: impl IntoIterator<Item = Scope>) -> Option<WallMillis> {
        self.known().marks.newest(scopes)
    }

    /// Whether what the tier was last asked about then can be believed now.
    #[inline]
    pub(crate) fn believes(&self, checked: WallMillis, now: WallMillis) -> bool {
        let verified = WallMillis::new(self.verified.load(Ordering::Acquire));
        now.since(checked.max(verified)) <= self.max_unverified
    }

    /// Whether a mark may cover what was loaded and looked at by the tier then, and not be known.
    pub(crate) fn is_past_horizon(&self, created: WallMillis, checked: WallMillis) -> bool {
        let horizon = self.known().horizon;
        created <= horizon && checked < horizon
    }

    /// Nothing that was looked at so far is believed any more before the tier is asked about it.
    pub(crate) fn distrust(&self) {
        let mut known = self.known();
        known.horizon = WallMillis::new(u64::MAX);
        known.cursor = None;
        self.verified.store(0, Ordering::Release);
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// What news the tier is to be asked for.
    pub(crate) fn wanted(&self, shared: bool) -> News {
        match (self.known().cursor, shared) {
            (Some(cursor), true) => News::Since(cursor),
            (None, true) => News::FromNow,
            // Nobody else writes there: all there is, once.
            (None, false) => News::Since(0),
            (Some(_), false) => News::None,
        }
    }

    /// The tier, asked for `wanted` at `now`, has answered.
    pub(crate) fn told(&self, wanted: News, now: WallMillis, answer: &Answer) {
        if wanted == News::None && answer.marks.is_empty() {
            return;
        }
        let mut known = self.known();
        self.note_in(&mut known, &answer.marks);
        match wanted {
            News::None => return,
            News::Since(_) if answer.complete => {
                known.cursor = known.cursor.max(Some(answer.cursor));
            }
            News::FromNow if answer.whole => {
                known.cursor = Some(answer.cursor);
                // Nothing is unknown but what was given up to make room, which the horizon knows of.
                if known.horizon == WallMillis::new(u64::MAX) {
                    known.horizon = WallMillis::default();
                }
                self.generation.fetch_add(1, Ordering::Release);
            }
            News::Since(_) | News::FromNow => {
                known.cursor = Some(answer.cursor);
                let distrusted = known.horizon == WallMillis::new(u64::MAX);
                let known_from = if distrusted { now } else { known.horizon };
                known.horizon = known_from.max(now);
                self.generation.fetch_add(1, Ordering::Release);
            }
        }
        self.note_in(&mut known, &answer.news);
        self.verified.fetch_max(now.get(), Ordering::AcqRel);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: WallMillis = WallMillis::new(1_795_338_000_000);
    const SECOND: Duration = Duration::from_secs(1);

    fn answer(cursor: u64, complete: bool) -> Answer {
        Answer {
            cursor,
            complete,
            ..Answer::default()
        }
    }

    #[test]
    fn what_was_checked_is_believed_for_a_while() {
        let coherence = Coherence::new(5 * SECOND);
        assert!(coherence.believes(NOW, NOW.plus(5 * SECOND)));
        assert!(!coherence.believes(NOW, NOW.plus(6 * SECOND)));
        coherence.told(News::FromNow, NOW.plus(4 * SECOND), &answer(0, true));
        assert!(coherence.believes(NOW, NOW.plus(9 * SECOND)));
    }

    #[test]
    fn what_is_older_than_the_news_has_to_be_asked_about() {
        let coherence = Coherence::new(5 * SECOND);
        let wanted = coherence.wanted(true);
        assert_eq!(wanted, News::FromNow);
        coherence.told(wanted, NOW, &answer(7, true));
        let (before, after) = (WallMillis::new(NOW.get() - 1), NOW.plus(SECOND));
        assert!(coherence.is_past_horizon(before, WallMillis::default()));
        assert!(
            !coherence.is_past_horizon(before, NOW),
            "the tier was asked about it"
        );
        assert!(!coherence.is_past_horizon(after, WallMillis::default()));

        let wanted = coherence.wanted(true);
        assert_eq!(wanted, News::Since(7));
        let generation = coherence.generation();
        coherence.told(wanted, after, &answer(7, true));
        assert_eq!(coherence.generation(), generation, "no news");
        coherence.told(wanted, after, &answer(3, false));
        assert_ne!(coherence.generation(), generation);
        assert!(coherence.is_past_horizon(NOW, NOW), "some news is lost");
        assert_eq!(
            coherence.wanted(true),
            News::Since(3),
            "the server began anew"
        );
    }

    #[test]
    fn where_all_marks_are_told_nothing_older_has_to_be_asked_about() {
        let coherence = Coherence::new(5 * SECOND);
        let (old, replaced) = (WallMillis::new(NOW.get() - 1_000), Scope::tag("replaced"));
        let mark = Mark {
            scope: replaced,
            at: old,
        };
        let whole = Answer {
            whole: true,
            marks: vec![mark],
            ..answer(7, true)
        };
        coherence.told(coherence.wanted(true), NOW, &whole);
        assert!(!coherence.is_past_horizon(old, WallMillis::default()));
        assert_eq!(coherence.newest([replaced]), Some(old));
        assert_eq!(coherence.wanted(true), News::Since(7));
        // After a snapshot was restored nothing is believed, until all is told again.
        coherence.distrust();
        assert!(coherence.is_past_horizon(NOW, NOW));
        coherence.told(coherence.wanted(true), NOW, &whole);
        assert!(!coherence.is_past_horizon(NOW, WallMillis::default()));
    }

    #[test]
    fn a_file_of_its_own_is_asked_once() {
        let coherence = Coherence::new(5 * SECOND);
        let wanted = coherence.wanted(false);
        assert_eq!(wanted, News::Since(0));
        coherence.told(wanted, NOW, &answer(0, true));
        assert_eq!(coherence.wanted(false), News::None);
        assert!(!coherence.is_past_horizon(WallMillis::new(1), WallMillis::default()));
    }
}
