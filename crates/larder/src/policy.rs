//! How long entries live and when they are refreshed: what a keyspace states once.

use std::time::Duration;

/// How long an entry is served, and how. Made of constants:
///
/// ```
/// use std::time::Duration;
/// use larder::{Policy, Refresh};
///
/// const REPORTS: Policy = Policy::fresh(Duration::from_hours(4))
///     .stale_while_revalidate(Duration::from_mins(10))
///     .stale_on_error(Duration::from_hours(24), Duration::from_secs(30))
///     .negative(Duration::from_mins(1))
///     .jitter_percent(10);
/// assert_eq!(REPORTS, REPORTS.refresh(Refresh::XFetch { beta: 1.0 }));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    pub(crate) fresh: Duration,
    pub(crate) stale_while_revalidate: Duration,
    pub(crate) stale_on_error: Duration,
    pub(crate) throttle: Duration,
    pub(crate) negative: Duration,
    pub(crate) jitter_percent: u8,
    pub(crate) refresh: Refresh,
    pub(crate) load_soft: Option<Duration>,
    pub(crate) load_hard: Option<Duration>,
    pub(crate) lease: Option<Lease>,
    pub(crate) load_cost: Option<Duration>,
}

/// Stands for a time that is not named.
const UNNAMED: Duration = Duration::MAX;

/// How processes agree that one of them loads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    pub(crate) time: Duration,
    pub(crate) wait: Duration,
}

/// When an entry that is still fresh is loaded again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Refresh {
    /// Not before it has become stale.
    Never,
    /// Once this share of its fresh time is over.
    AtPercent(u8),
    /// With a probability that grows towards the end, the more so the longer a load takes: of many
    /// processes that hold the same entry, a few refresh it before all would at once. `beta` over 1
    /// means earlier. Formula: A. Vattani, F. Chierichetti, K. Lowenstein, "Optimal Probabilistic
    /// Cache Stampede Prevention", VLDB 2015.
    XFetch {
        /// 1 is the optimum for loads that all take the same time.
        beta: f64,
    },
}

impl Policy {
    /// Values are fresh for `time`, and are not served after that. Refreshed by
    /// [`Refresh::XFetch`] with a beta of 1; no jitter; what is not found is not kept.
    #[must_use]
    pub const fn fresh(time: Duration) -> Self {
        Self {
            fresh: time,
            stale_while_revalidate: Duration::ZERO,
            stale_on_error: Duration::ZERO,
            throttle: Duration::ZERO,
            negative: Duration::ZERO,
            jitter_percent: 0,
            refresh: Refresh::XFetch { beta: 1.0 },
            load_soft: None,
            load_hard: None,
            lease: None,
            load_cost: None,
        }
    }

    /// The same for keyspaces that name no time: fresh as long as the cache's
    /// [default](crate::CacheBuilder::default_fresh) says.
    #[must_use]
    pub const fn by_default() -> Self {
        Self::fresh(UNNAMED)
    }

    /// For `time` after it was fresh, a value is served at once and refreshed beside.
    #[must_use]
    pub const fn stale_while_revalidate(self, time: Duration) -> Self {
        Self {
            stale_while_revalidate: time,
            ..self
        }
    }

    /// For `time` after it was fresh, a value stands in where a load fails; the origin is then left
    /// alone for `throttle`.
    #[must_use]
    pub const fn stale_on_error(self, time: Duration, throttle: Duration) -> Self {
        Self {
            stale_on_error: time,
            throttle,
            ..self
        }
    }

    /// That there is no value is kept for `time`.
    #[must_use]
    pub const fn negative(self, time: Duration) -> Self {
        Self {
            negative: time,
            ..self
        }
    }

    /// Each entry's fresh time is shortened by a random part of up to `percent`, so that what was
    /// written together does not end together. Over 100 counts as 100.
    #[must_use]
    pub const fn jitter_percent(self, percent: u8) -> Self {
        Self {
            jitter_percent: if percent > 100 { 100 } else { percent },
            ..self
        }
    }

    /// When an entry that is still fresh is loaded again.
    #[must_use]
    pub const fn refresh(self, refresh: Refresh) -> Self {
        Self { refresh, ..self }
    }

    /// A load that takes longer than this goes on beside, if a stale value can be served meanwhile.
    #[must_use]
    pub const fn soft_timeout(self, time: Duration) -> Self {
        Self {
            load_soft: Some(time),
            ..self
        }
    }

    /// A load that takes longer than this is given up. Without it, it has the invocation's time.
    #[must_use]
    pub const fn hard_timeout(self, time: Duration) -> Self {
        Self {
            load_hard: Some(time),
            ..self
        }
    }

    /// Of all processes one loads, for at most `time`; the others serve what is stale, or wait for the
    /// value for at most `wait` and then load all the same. Needs a shared tier, and saves the origin;
    /// it excludes nobody from anything.
    #[must_use]
    pub const fn lease(self, time: Duration, wait: Duration) -> Self {
        Self {
            lease: Some(Lease { time, wait }),
            ..self
        }
    }

    /// A load takes `time` at least, or costs as much: a look-up in a shared tier may take that long, within the
    /// [tier's limit](crate::tier::Tier::time_limit). Without it the time is learned from loads and from entries that
    /// are found, and before anything is known the tier's limit holds.
    #[must_use]
    pub const fn load_cost(self, time: Duration) -> Self {
        Self {
            load_cost: Some(time),
            ..self
        }
    }

    /// The same, fresh for `time` if it names none itself.
    pub(crate) fn or_fresh_for(self, time: Duration) -> Self {
        if self.fresh == UNNAMED {
            self.fresh_for(time)
        } else {
            self
        }
    }

    /// The same, fresh for `time`.
    pub(crate) const fn fresh_for(self, time: Duration) -> Self {
        Self {
            fresh: time,
            ..self
        }
    }

    /// How long the origin is left alone after a load that failed while a stale value was there.
    #[must_use]
    pub const fn throttle(&self) -> Duration {
        self.throttle
    }
}
