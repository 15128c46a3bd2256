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
    pub(crate) fn push(&self, tier: usize, marks: &[Mark]) {
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

    /// Takes all of them, with the tier that each is for.
    pub(crate) fn take(&self) -> HashMap<usize, Vec<Mark>> {
        let mut unsent = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        self.any.store(false, Ordering::Release);
        std::mem::take(&mut unsent)
    }
}
