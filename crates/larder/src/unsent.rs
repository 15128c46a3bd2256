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

    /// All of them, by the tier that they are for.
    pub(crate) fn all(&self) -> HashMap<usize, Vec<Mark>> {
        let unsent = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        unsent.clone()
    }

    /// `marks` have reached the tier. Not taken out before: whoever sends them may be cancelled.
    pub(crate) fn sent(&self, tier: usize, marks: &[Mark]) {
        let mut unsent = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = unsent.get_mut(&tier)
            && waiting.starts_with(marks)
        {
            waiting.drain(..marks.len());
        }
        unsent.retain(|_, waiting| !waiting.is_empty());
        self.any.store(!unsent.is_empty(), Ordering::Release);
    }
}
