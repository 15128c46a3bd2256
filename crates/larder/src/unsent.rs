//! Invalidations that could not reach a tier yet.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::scope::{MAX_MARKS, Mark, Scope};

/// Those of one tier. Bounded: past [`MAX_MARKS`] one mark over everything takes their place.
#[derive(Debug, Default)]
pub(crate) struct Unsent {
    waiting: Mutex<Vec<Mark>>,
    any: AtomicBool,
}

impl Unsent {
    /// `marks` are being told to the tier. Unless that is [done](Telling::done), because it fails or whoever does it is
    /// cancelled, they wait to be told again.
    pub(crate) fn tell<'a>(&'a self, marks: [&'a [Mark]; 2]) -> Telling<'a> {
        Telling {
            unsent: self,
            marks,
        }
    }

    fn push(&self, marks: &[Mark]) {
        if marks.is_empty() {
            return;
        }
        let mut waiting = self.waiting.lock();
        self.any.store(true, Ordering::Release);
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

    /// All of them.
    pub(crate) fn all(&self) -> Vec<Mark> {
        self.waiting.lock().clone()
    }

    /// `marks` have reached the tier, which may be all, or some among others.
    pub(crate) fn sent(&self, marks: &[Mark]) {
        if marks.is_empty() {
            return;
        }
        let mut waiting = self.waiting.lock();
        let mut windows = waiting.windows(marks.len());
        if let Some(from) = windows.position(|window| window == marks) {
            waiting.drain(from..from + marks.len());
        }
        self.any.store(!waiting.is_empty(), Ordering::Release);
    }
}

/// Marks on their way to a tier.
pub(crate) struct Telling<'a> {
    unsent: &'a Unsent,
    marks: [&'a [Mark]; 2],
}

impl Telling<'_> {
    /// They are there.
    pub(crate) fn done(mut self) {
        self.marks = [&[]; 2];
    }
}

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        for marks in self.marks {
            self.unsent.push(marks);
        }
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
        let (unsent, other) = (Unsent::default(), Unsent::default());
        unsent.push(&[mark(1)]);
        drop(unsent.tell([&[mark(2)], &[mark(3)]]));
        unsent.tell([&[mark(4)], &[]]).done();
        other.push(&[mark(2)]);
        unsent.sent(&[mark(2), mark(3)]);
        assert_eq!(unsent.all(), [mark(1)]);
        unsent.sent(&[mark(1)]);
        unsent.sent(&[mark(1)]);
        assert!(!unsent.any() && other.any());
        other.sent(&[mark(2)]);
        assert!(!other.any() && other.all().is_empty());
    }

    #[test]
    fn too_many_are_one_over_everything() {
        let unsent = Unsent::default();
        for n in 0..=u64::try_from(MAX_MARKS).unwrap() {
            unsent.push(&[mark(n)]);
        }
        let waiting = unsent.all();
        assert_eq!(waiting.len(), 1);
        assert_eq!(
            (waiting[0].scope, waiting[0].at.get()),
            (Scope::ALL, 10_000)
        );
    }
}
