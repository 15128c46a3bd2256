//! Latency distributions.

use std::time::Duration;

use fastrand::Rng;

/// Standard deviations between the median and the 99th percentile of a normal distribution.
const P99_DEVIATIONS: f64 = 2.326_347_874;
/// Bound on a draw, in standard deviations: one draw in 30,000 would lie beyond.
const MAX_DEVIATIONS: f64 = 4.0;

/// A log-normal distribution of times, given by two of its quantiles.
///
/// Log-normal, because answer times are positive and skewed, their logarithms are close to normal
/// as long as nothing fails, and a median and a 99th percentile determine the distribution: both
/// are met exactly, and nothing else has to be assumed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    p50: Duration,
    p99: Duration,
}

impl Latency {
    /// No latency.
    pub const ZERO: Self = Self::fixed(Duration::ZERO);

    /// Creates a distribution in which every draw is `time`.
    #[must_use]
    pub const fn fixed(time: Duration) -> Self {
        Self {
            p50: time,
            p99: time,
        }
    }

    /// Creates the distribution with this median and this 99th percentile.
    #[must_use]
    pub const fn from_quantiles(p50: Duration, p99: Duration) -> Self {
        Self { p50, p99 }
    }

    /// Creates the distribution from quantiles in microseconds.
    pub(super) const fn from_micros(p50: u64, p99: u64) -> Self {
        Self::from_quantiles(Duration::from_micros(p50), Duration::from_micros(p99))
    }

    /// Returns the median.
    #[must_use]
    pub const fn p50(&self) -> Duration {
        self.p50
    }

    /// Returns the 99th percentile.
    #[must_use]
    pub const fn p99(&self) -> Duration {
        self.p99
    }

    /// Returns the distribution with `more` added to both quantiles.
    #[must_use]
    pub const fn plus(&self, more: &Self) -> Self {
        Self {
            p50: self.p50.saturating_add(more.p50),
            p99: self.p99.saturating_add(more.p99),
        }
    }

    /// Draws a time.
    pub fn draw(&self, random: &mut Rng) -> Duration {
        let deviations = standard_normal(random).clamp(-MAX_DEVIATIONS, MAX_DEVIATIONS);
        if self.p50.is_zero() || self.p99 <= self.p50 {
            return self.p50;
        }
        let sigma = (self.p99.as_secs_f64() / self.p50.as_secs_f64()).ln() / P99_DEVIATIONS;
        let seconds = self.p50.as_secs_f64() * (sigma * deviations).exp();
        Duration::try_from_secs_f64(seconds).unwrap_or(self.p99)
    }
}

/// Draws from the standard normal distribution (Box and Muller's transform).
fn standard_normal(random: &mut Rng) -> f64 {
    let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.f64()).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quantile(sorted: &[Duration], percent: usize) -> f64 {
        sorted[sorted.len() * percent / 100].as_secs_f64()
    }

    #[test]
    fn draws_meet_both_quantiles() {
        let latency = Latency::from_micros(30_000, 250_000);
        let mut random = Rng::with_seed(7);
        let mut draws: Vec<_> = (0..10_000).map(|_| latency.draw(&mut random)).collect();
        draws.sort();
        let p50 = quantile(&draws, 50);
        let p99 = quantile(&draws, 99);
        assert!((0.029..0.031).contains(&p50), "{p50}");
        assert!((0.22..0.28).contains(&p99), "{p99}");
        assert!(
            draws
                .iter()
                .all(|draw| *draw < Duration::from_millis(1_200))
        );
    }

    #[test]
    fn fixed_latency_is_always_the_same() {
        let latency = Latency::fixed(Duration::from_millis(600));
        let mut random = Rng::with_seed(7);
        assert!((0..100).all(|_| latency.draw(&mut random) == Duration::from_millis(600)));
        assert_eq!(Latency::ZERO.draw(&mut random), Duration::ZERO);
    }
}
