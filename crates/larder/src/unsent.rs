//! Invalidations that could not reach a tier yet.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use crate::scope::{MAX_MARKS, Mark, Scope};

/// By the tier's index. Bounded: past [`MAX_MARKS`] one mark over everything takes their place.
#[derive(Debug, Default)]
pub(crate) struct Unsent(Mutex<HashMap<usize, Vec<Mark>>>);

impl Unsent {
    pub(crate) fn push(&self, tier: usize, marks: &[Mark]) {
        let mut unsent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
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

    pub(crate) fn take(&self, tier: usize) -> Vec<Mark> {
        let mut unsent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        unsent.remove(&tier).unwrap_or_default()
    }
}
