//! Invalidations that could not reach a tier yet.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::scope::{MAX_MARKS, Mark, Scope};

/// By the tier's index. Bounded: past [`MAX_MARKS`] one mark over everything takes their place.
#[derive(Debug, Default)]
pub(crate) struct Unsent {
    waiting: Mutex<HashMap<usize, Vec<Mark>>>,
    any: AtomicBool,
}

impl Unsent {
    /// `marks` are being told to the tier. Unless that is [done](Telling::done), because it fails or whoever does it is
    /// cancelled, they wait to be told again.
    pub(crate) fn tell<'a>(&'a self, tier: usize, marks: &'a [Mark]) -> Telling<'a> {
        Telling {
            unsent: self,
            tier,
            marks,
        }
    }

    fn push(&self, tier: usize, marks: &[Mark]) {
        if marks.is_empty() {
            return;
        }
        let mut unsent = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        self.any.store(true, Ordering::Release);
        let waiting = unsent.entry(tier).or_default();
        waiting.extend_from_slice(marks);
        if waiting.len() > MAX_MARKS
            && let Some(at) = waiting.iter().map(|mark| mark.at).max()
        {
            *waiting = vec![Mark {
                scope: Scope::ALL,
                at,
            }];
        }
    }

    /// Whether there may be any.
    #[inline]
    pub(crate) fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// All of them, by the tier that they are for.
    pub(crate) fn all(&self) -> HashMap<usize, Vec<Mark>> {
        let unsent = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        unsent.clone()
    }

    /// `marks` have reached the tier, which may be all, or some among others.
    pub(crate) fn sent(&self, tier: usize, marks: &[Mark]) {
        if marks.is_empty() {
            return;
        }
        let mut unsent = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = unsent.get_mut(&tier) {
            let mut windows = waiting.windows(marks.len());
            if let Some(from) = windows.position(|window| window == marks) {
                waiting.drain(from..from + marks.len());
            }
        }
        unsent.retain(|_, waiting| !waiting.is_empty());
        self.any.store(!unsent.is_empty(), Ordering::Release);
    }
}

/// Marks on their way to a tier.
pub(crate) struct Telling<'a> {
    unsent: &'a Unsent,
    tier: usize,
    marks: &'a [Mark],
}

impl Telling<'_> {
    /// They are there.
    pub(crate) fn done(mut self) {
        self.marks = &[];
    }
}

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        self.unsent.push(self.tier, self.marks);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::WallMillis;

    fn mark(n: u64) -> Mark {
        Mark {
            scope: Scope::from_raw(n),
            at: WallMillis::new(n),
        }
    }

    #[test]
    fn what_was_sent_waits_no_more_and_the_rest_does() {
        let unsent = Unsent::default();
        unsent.push(0, &[mark(1)]);
        unsent.push(0, &[mark(2), mark(3)]);
        unsent.push(1, &[mark(2)]);
        unsent.sent(0, &[mark(2), mark(3)]);
        assert_eq!(unsent.all()[&0], [mark(1)]);
        unsent.sent(0, &[mark(1)]);
        unsent.sent(0, &[mark(1)]);
        assert!(unsent.any());
        unsent.sent(1, &[mark(2)]);
        assert!(!unsent.any() && unsent.all().is_empty());
    }

    #[test]
    fn too_many_are_one_over_everything() {
        let unsent = Unsent::default();
        for n in 0..=u64::try_from(MAX_MARKS).unwrap() {
            unsent.push(0, &[mark(n)]);
        }
        let waiting = unsent.all().remove(&0).unwrap();
        assert_eq!(waiting.len(), 1);
        assert_eq!(
            (waiting[0].scope, waiting[0].at.get()),
            (Scope::ALL, 10_000)
        );
    }
}
