//! An entry's life: absolute deadlines, set once when it is written, which travel with it.

use std::time::Duration;

use crate::{clock::WallMillis, policy::Policy};

/// When an entry was loaded and until when it serves for what. A copy in another tier has the same.
///
/// No deadline is before the one above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// When its load began: what was invalidated then or later is not in it.
    pub created: WallMillis,
    /// Until when it is fresh.
    pub fresh_until: WallMillis,
    /// Until when it is served at once, stale, and refreshed beside.
    pub revalidate_until: WallMillis,
    /// Until when it may stand in where a load fails.
    pub stale_until: WallMillis,
    /// What it took to load it.
    pub load_cost: Duration,
    /// Whether it says that there is no value.
    pub negative: bool,
}

impl Life {
    /// The life of a value that has been loaded now and took `load_cost`. `random`, from 0 to 1,
    /// is where in the jitter's range it falls: 1 leaves it the whole of its fresh time.
    #[must_use]
    pub fn of_value(policy: &Policy, now: WallMillis, load_cost: Duration, random: f64) -> Self {
        let fresh_until = now.plus(jittered(policy.fresh, policy.jitter_percent, random));
        let revalidate_until = fresh_until.plus(policy.stale_while_revalidate);
        Self {
            created: now,
            fresh_until,
            revalidate_until,
            stale_until: revalidate_until.max(fresh_until.plus(policy.stale_on_error)),
            load_cost,
            negative: false,
        }
    }

    /// The life of "there is no value", found out now. It is never served stale.
    #[must_use]
    pub fn of_absence(policy: &Policy, now: WallMillis, load_cost: Duration) -> Self {
        let until = now.plus(policy.negative);
        Self {
            created: now,
            fresh_until: until,
            revalidate_until: until,
            stale_until: until,
            load_cost,
            negative: true,
        }
    }

    /// Its moments, in the order in which they come.
    #[must_use]
    pub const fn times(&self) -> [WallMillis; 4] {
        [
            self.created,
            self.fresh_until,
            self.revalidate_until,
            self.stale_until,
        ]
    }

    /// Whether no deadline is before the one above it: what was read from somewhere may be otherwise.
    #[must_use]
    pub fn is_in_order(&self) -> bool {
        self.times().is_sorted()
    }

    /// The same, begun at `start`, if that is earlier.
    #[must_use]
    pub fn begun(self, start: WallMillis) -> Self {
        Self {
            created: self.created.min(start),
            ..self
        }
    }

    /// The same, not served any longer than until `until`: a token's own expiry.
    #[must_use]
    pub fn until(self, until: WallMillis) -> Self {
        let until = until.max(self.created);
        Self {
            fresh_until: self.fresh_until.min(until),
            revalidate_until: self.revalidate_until.min(until),
            stale_until: self.stale_until.min(until),
            ..self
        }
    }

    /// The same, not to be served any more from `now` on but where a load fails.
    #[must_use]
    pub fn expired(self, now: WallMillis) -> Self {
        let now = now.max(self.created);
        Self {
            fresh_until: self.fresh_until.min(now),
            revalidate_until: self.revalidate_until.min(now),
            ..self
        }
    }
}

/// `time`, shortened by up to `percent` of it.
fn jittered(time: Duration, percent: u8, random: f64) -> Duration {
    let share = f64::from(percent) / 100.0 * (1.0 - random.clamp(0.0, 1.0));
    let seconds = time.as_secs_f64() * (1.0 - share);
    if percent == 0 {
        time
    } else {
        Duration::try_from_secs_f64(seconds).unwrap_or(time)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);
    const NOW: WallMillis = WallMillis::new(1_795_338_000_000);

    #[test]
    fn what_is_not_found_is_never_stale() {
        let policy = Policy::fresh(HOUR)
            .stale_on_error(HOUR, Duration::ZERO)
            .negative(Duration::from_mins(1));
        let life = Life::of_absence(&policy, NOW, Duration::ZERO);
        assert_eq!(life.fresh_until, NOW.plus(Duration::from_mins(1)));
        assert_eq!(life.stale_until, life.fresh_until);
    }

    #[test]
    fn an_expired_entry_stands_in_as_long_as_before() {
        let policy = Policy::fresh(HOUR)
            .stale_while_revalidate(HOUR)
            .stale_on_error(HOUR, Duration::ZERO);
        let life = Life::of_value(&policy, NOW, Duration::ZERO, 0.5);
        let now = NOW.plus(Duration::from_mins(1));
        let expired = life.expired(now);
        assert_eq!((expired.fresh_until, expired.revalidate_until), (now, now));
        assert_eq!(expired.stale_until, life.stale_until);
    }

    proptest! {
        #[test]
        fn jitter_only_shortens_and_by_its_percentage_at_most(millis in 0_u64..1 << 40, percent: u8, random in 0.0..=1.0) {
            let policy = Policy::fresh(Duration::from_millis(millis)).jitter_percent(percent);
            let life = Life::of_value(&policy, NOW, Duration::ZERO, random);
            let left = life.fresh_until.since(NOW);
            let least = Duration::from_millis(millis / 100 * u64::from(100 - percent.min(100)));
            prop_assert!(left <= policy.fresh);
            prop_assert!(left + Duration::from_millis(1) >= least, "{left:?} of {millis} ms");
        }
    }
}
