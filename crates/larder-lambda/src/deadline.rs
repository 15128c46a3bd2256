//! How much time an invocation has.

use std::time::{Duration, Instant, SystemTime};

/// The time an invocation is taken to have when nothing says how much: the longest timeout in
/// `template.yaml`.
pub const UNKNOWN_TIME_LEFT: Duration = Duration::from_mins(5);

/// Kept back from an invocation's time, so that its error and its metrics are out before Lambda
/// kills the process.
pub const RESERVE: Duration = Duration::from_millis(250);

/// The moment after which nobody waits for an answer any more.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    at: Instant,
    known: bool,
}

impl Deadline {
    /// From `Lambda-Runtime-Deadline-Ms`, milliseconds since 1970, seen at wall-clock time `now`.
    ///
    /// A deadline that lies in the past at the moment an invocation arrives cannot be one: `cargo
    /// lambda watch` sends a duration there. It means "unknown", and [`UNKNOWN_TIME_LEFT`] is
    /// assumed.
    #[must_use]
    pub fn from_epoch_millis(deadline: u64, now: SystemTime) -> Self {
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(deadline);
        match at.duration_since(now) {
            Ok(left) if !left.is_zero() => Self {
                at: Instant::now() + left,
                known: true,
            },
            _ => Self {
                at: Instant::now() + UNKNOWN_TIME_LEFT,
                known: false,
            },
        }
    }

    /// `left` from now.
    #[must_use]
    pub fn after(left: Duration) -> Self {
        Self {
            at: Instant::now() + left,
            known: true,
        }
    }

    /// Whether the platform said so, or [`UNKNOWN_TIME_LEFT`] was assumed.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.known
    }

    /// What is left now, down to zero.
    #[must_use]
    pub fn time_left(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// What is left for work, [`RESERVE`] taken off.
    #[must_use]
    pub fn time_to_work(&self) -> Duration {
        self.time_left().saturating_sub(RESERVE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_795_219_200_000;

    fn at(deadline: u64) -> Deadline {
        Deadline::from_epoch_millis(
            deadline,
            SystemTime::UNIX_EPOCH + Duration::from_millis(NOW_MS),
        )
    }

    #[test]
    fn an_epoch_deadline_is_the_time_left() {
        let deadline = at(NOW_MS + 30_000);
        assert!(deadline.is_known());
        assert!(deadline.time_left() <= Duration::from_secs(30));
        assert!(deadline.time_left() > Duration::from_secs(29));
    }

    #[test]
    fn a_deadline_in_the_past_means_unknown_and_the_default_holds() {
        for past in [0, 600_000, NOW_MS - 1, NOW_MS] {
            let deadline = at(past);
            assert!(!deadline.is_known(), "{past}");
            assert!(deadline.time_left() + Duration::from_secs(1) > UNKNOWN_TIME_LEFT);
        }
    }

    #[test]
    fn time_to_work_never_underflows() {
        assert_eq!(
            Deadline::after(Duration::from_millis(100)).time_to_work(),
            Duration::ZERO
        );
    }
}
