//! Leaves a tier alone that keeps failing, and asks it again after a while.

use std::time::Duration;

use crate::clock::WallMillis;

/// So many failures in a row, and it is left alone.
const FAILURES: u32 = 3;
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

/// The state of one tier, aged by the wall clock: a freeze counts as rest.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Breaker {
    failures: u32,
    /// Longest wait among these failures. Latency alone is no fault: a caller that can wait longer is let through.
    waited: Duration,
    closed_from: Option<WallMillis>,
}

impl Breaker {
    /// Returns true if a caller that waits for up to `time` may ask the tier. After the rest one caller tries, and
    /// the others are refused until the outcome is known.
    pub(crate) fn allows(&mut self, now: WallMillis, time: Duration) -> bool {
        match self.closed_from {
            Some(_) if time > self.waited => true,
            Some(from) if now < from => false,
            Some(_) => {
                self.closed_from = Some(now.plus(self.rest()));
                true
            }
            None => true,
        }
    }

    pub(crate) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// Records a failure after a wait of `waited`, which is [`Duration::MAX`] where waiting longer would not have
    /// helped.
    pub(crate) fn failed(&mut self, now: WallMillis, waited: Duration) {
        self.failures = self.failures.saturating_add(1);
        self.waited = self.waited.max(waited);
        if self.failures >= FAILURES {
            self.closed_from = Some(now.plus(self.rest()));
        }
    }

    /// How long it is left alone: twice as long each time.
    fn rest(&self) -> Duration {
        let doublings = self.failures.saturating_sub(FAILURES).min(16);
        FIRST.saturating_mul(1 << doublings).min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: WallMillis = WallMillis::new(1_795_338_000_000);
    const WAIT: Duration = Duration::from_millis(100);

    fn after(time: Duration) -> WallMillis {
        NOW.plus(time)
    }

    #[test]
    fn after_three_failures_it_rests_and_one_tries_again() {
        let mut breaker = Breaker::default();
        for _ in 0..FAILURES {
            assert!(breaker.allows(NOW, WAIT));
            breaker.failed(NOW, Duration::MAX);
        }
        assert!(!breaker.allows(after(Duration::from_millis(999)), WAIT));
        assert!(breaker.allows(after(FIRST), WAIT));
        assert!(!breaker.allows(after(FIRST), WAIT), "one of them, not all");
        breaker.succeeded();
        assert!(breaker.allows(after(FIRST), WAIT));
    }

    #[test]
    fn it_rests_longer_each_time_up_to_half_a_minute() {
        let mut breaker = Breaker::default();
        let mut now = NOW;
        let mut rests = Vec::new();
        for _ in 0..12 {
            breaker.failed(now, Duration::MAX);
            let mut rest = Duration::ZERO;
            while !breaker.allows(now.plus(rest), WAIT) {
                rest += Duration::from_millis(500);
            }
            now = now.plus(rest);
            rests.push(rest.as_secs());
        }
        assert_eq!(rests, [0, 0, 1, 2, 4, 8, 16, 30, 30, 30, 30, 30]);
    }

    #[test]
    fn one_success_forgets_the_failures_before() {
        let mut breaker = Breaker::default();
        for _ in 0..10 {
            breaker.failed(NOW, Duration::MAX);
            breaker.failed(NOW, Duration::MAX);
            breaker.succeeded();
        }
        assert!(breaker.allows(NOW, WAIT));
    }

    #[test]
    fn lets_a_more_patient_caller_through_and_no_other() {
        let mut breaker = Breaker::default();
        for _ in 0..FAILURES {
            breaker.failed(NOW, WAIT);
        }
        assert!(!breaker.allows(NOW, WAIT));
        assert!(breaker.allows(NOW, 2 * WAIT));
        breaker.failed(NOW, 2 * WAIT);
        assert!(!breaker.allows(NOW, 2 * WAIT));
        breaker.failed(NOW, Duration::MAX);
        assert!(!breaker.allows(NOW, 1_000 * WAIT), "an error, not latency");
    }
}
