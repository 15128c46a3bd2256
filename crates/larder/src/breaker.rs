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
    closed_from: Option<WallMillis>,
}

impl Breaker {
    /// Whether it may be asked. Where it is time to try again, one is told so, and the others wait for
    /// what becomes of that.
    pub(crate) fn allows(&mut self, now: WallMillis) -> bool {
        match self.closed_from {
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

    pub(crate) fn failed(&mut self, now: WallMillis) {
        self.failures = self.failures.saturating_add(1);
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

    fn after(time: Duration) -> WallMillis {
        NOW.plus(time)
    }

    #[test]
    fn after_three_failures_it_rests_and_one_tries_again() {
        let mut breaker = Breaker::default();
        for _ in 0..FAILURES {
            assert!(breaker.allows(NOW));
            breaker.failed(NOW);
        }
        assert!(!breaker.allows(after(Duration::from_millis(999))));
        assert!(breaker.allows(after(FIRST)));
        assert!(!breaker.allows(after(FIRST)), "one of them, not all");
        breaker.succeeded();
        assert!(breaker.allows(after(FIRST)));
    }

    #[test]
    fn it_rests_longer_each_time_up_to_half_a_minute() {
        let mut breaker = Breaker::default();
        let mut now = NOW;
        let mut rests = Vec::new();
        for _ in 0..12 {
            breaker.failed(now);
            let mut rest = Duration::ZERO;
            while !breaker.allows(now.plus(rest)) {
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
            breaker.failed(NOW);
            breaker.failed(NOW);
            breaker.succeeded();
        }
        assert!(breaker.allows(NOW));
    }
}
