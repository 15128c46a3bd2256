//! The wall clock: the only one that means the same in memory, on disk and on a server, and that goes
//! on while a process is frozen.

use std::{fmt, time::Duration};

use rustix::time::{ClockId, clock_gettime};

/// A moment: milliseconds since 1970 in UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallMillis(u64);

impl WallMillis {
    /// So many milliseconds since 1970.
    #[must_use]
    pub const fn new(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// So much later, to the whole millisecond; the last moment there is, if there is none so late.
    #[must_use]
    pub fn plus(self, time: Duration) -> Self {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis))
    }

    /// The time from `earlier` to this; nothing if that is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for WallMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms since 1970", self.0)
    }
}

/// Tells the time.
pub trait Clock: fmt::Debug + Send + Sync {
    /// This moment.
    fn now(&self) -> WallMillis;
}

/// The system's clock, to the tick of a few milliseconds: reading it so takes a sixth of the time, and an
/// entry lives for seconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[inline]
    fn now(&self) -> WallMillis {
        let now = clock_gettime(ClockId::RealtimeCoarse);
        let millis = now.tv_sec.saturating_mul(1_000) + now.tv_nsec / 1_000_000;
        WallMillis(u64::try_from(millis).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_neither_wraps_nor_runs_backwards() {
        let (early, late) = (WallMillis::new(5), WallMillis::new(1_005));
        assert_eq!(late.since(early), Duration::from_secs(1));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(early.plus(Duration::MAX), WallMillis::new(u64::MAX));
        assert!(SystemClock.now() > WallMillis::new(1_700_000_000_000));
    }
}
