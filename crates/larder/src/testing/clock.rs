//! A clock that stands still until it is told otherwise.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::clock::{Clock, WallMillis};

/// Clones show the same time.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// Set to 2026-11-21, 12:00 UTC.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(AtomicU64::new(1_795_262_400_000)))
    }

    /// Puts it forward.
    pub fn advance(&self, time: Duration) {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> WallMillis {
        WallMillis::new(self.0.load(Ordering::SeqCst))
    }
}
