//! What was learned a moment ago, and is forgotten before long: in this process alone.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
};

use jiff::{SignedDuration, Timestamp};

/// More than anybody asks for in such a time.
const MOST: usize = 1_000;

/// Values that are known for a while. By the wall clock: others stand still while the environment is frozen.
#[derive(Debug)]
pub(crate) struct Recently<K, V> {
    known_for: SignedDuration,
    values: Mutex<HashMap<K, (Timestamp, V)>>,
}

impl<K: Eq + Hash, V: Clone> Recently<K, V> {
    pub(crate) fn new(known_for: SignedDuration) -> Self {
        Self {
            known_for,
            values: Mutex::default(),
        }
    }

    pub(crate) fn learn(&self, key: K, value: V, now: Timestamp) {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        if values.len() >= MOST {
            values.clear();
        }
        values.insert(key, (now, value));
    }

    pub(crate) fn forget(&self, key: &K) {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        values.remove(key);
    }

    /// The value of `key`, and when it was learned.
    pub(crate) fn get(&self, key: &K, now: Timestamp) -> Option<(V, Timestamp)> {
        let values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, value) = values.get(key)?;
        (now.duration_since(*at) < self.known_for).then(|| (value.clone(), *at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_learned_is_known_for_a_while_and_no_longer() {
        let recently = Recently::new(SignedDuration::from_secs(30));
        let now = Timestamp::UNIX_EPOCH;
        let later = |seconds| now + SignedDuration::from_secs(seconds);
        recently.learn("a", 1, now);
        assert_eq!(recently.get(&"a", later(29)), Some((1, now)));
        assert_eq!(recently.get(&"a", later(30)), None);
        assert_eq!(recently.get(&"b", now), None);
        recently.forget(&"a");
        assert_eq!(recently.get(&"a", now), None);
    }
}
