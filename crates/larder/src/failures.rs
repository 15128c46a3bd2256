//! Which keys' loads have failed lately, so that an origin that is down is not asked again and again.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::{clock::WallMillis, key::Ident};

/// More are not remembered: where so many fail, the origin is asked a little too often.
const MOST: usize = 10_000;

/// Until when the origin is left alone, by key.
#[derive(Debug, Default)]
pub(crate) struct Failures(Mutex<HashMap<Ident, WallMillis>>);

impl Failures {
    pub(crate) fn note(&self, key: Ident, until: WallMillis, now: WallMillis) {
        let mut failures = self.0.lock();
        if failures.len() >= MOST {
            failures.retain(|_, until| *until > now);
        }
        if failures.len() < MOST {
            failures.insert(key, until);
        }
    }

    pub(crate) fn until(&self, key: &Ident) -> Option<WallMillis> {
        let failures = self.0.lock();
        failures.get(key).copied()
    }

    pub(crate) fn forget(&self, key: &Ident) {
        let mut failures = self.0.lock();
        failures.remove(key);
    }
}
