//! The description of a link between a function and a service.

use std::time::Duration;

use fastrand::Rng;

use super::latency::Latency;

/// Odd constant that spreads consecutive numbers over all seeds (the golden ratio's fraction, as in `SplitMix64`).
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
/// Separates the draws of connections from those of requests.
const CONNECTIONS: u64 = 0x5bf0_3635_dcf5_9e6d;

/// Latency, idle time and refusals between a function and a service.
///
/// Every draw depends on the proxy's seed and the number of the request or connection alone, so a
/// run that asks the same in the same order gets the same delays.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Link {
    /// Time until a new connection can be used: TCP and TLS.
    pub setup: Latency,
    /// Time from a reading request to the first byte of its answer.
    pub read: Latency,
    /// Time from any other request to the first byte of its answer.
    pub write: Latency,
    /// Bound on a further part of each request's latency, drawn evenly from both sides of zero.
    pub jitter: Duration,
    /// Time after which the service closes a connection without a request. None: never.
    pub idle: Option<Duration>,
    /// Share of requests that the service refuses as it throttles or sheds load, from 0 to 1.
    pub refusals: f64,
    /// Requests are accepted and never answered.
    pub hangs: bool,
}

/// The effect that a request has, which decides its latency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reads.
    Read,
    /// Writes.
    Write,
}

/// The fate of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    /// Time until the first byte of the answer.
    pub delay: Duration,
    /// The service refuses the request.
    pub refused: bool,
    /// Number that selects one of the service's refusals.
    pub variant: usize,
}

impl Link {
    /// Creates a link on which every request takes `latency`, connections are set up at once and nothing fails.
    #[must_use]
    pub const fn fixed(latency: Duration) -> Self {
        Self {
            setup: Latency::ZERO,
            read: Latency::fixed(latency),
            write: Latency::fixed(latency),
            jitter: Duration::ZERO,
            idle: None,
            refusals: 0.0,
            hangs: false,
        }
    }

    /// Creates a link that accepts connections and requests, and never answers.
    #[must_use]
    pub const fn hanging() -> Self {
        let mut link = Self::fixed(Duration::ZERO);
        link.hangs = true;
        link
    }

    /// Sets the time until a new connection can be used.
    #[must_use]
    pub const fn setup(mut self, setup: Latency) -> Self {
        self.setup = setup;
        self
    }

    /// Sets the latency of requests that read.
    #[must_use]
    pub const fn read(mut self, read: Latency) -> Self {
        self.read = read;
        self
    }

    /// Sets the latency of requests that do not only read.
    #[must_use]
    pub const fn write(mut self, write: Latency) -> Self {
        self.write = write;
        self
    }

    /// Sets the bound on jitter.
    #[must_use]
    pub const fn jitter(mut self, jitter: Duration) -> Self {
        self.jitter = jitter;
        self
    }

    /// Sets the time after which idle connections are closed.
    #[must_use]
    pub const fn idle(mut self, idle: Duration) -> Self {
        self.idle = Some(idle);
        self
    }

    /// Sets the share of refused requests, from 0 to 1.
    #[must_use]
    pub const fn refusals(mut self, share: f64) -> Self {
        self.refusals = share;
        self
    }

    /// Draws the fate of request `number`.
    #[must_use]
    pub fn request(&self, seed: u64, number: u64, access: Access) -> Draw {
        let mut random = Rng::with_seed(seed ^ number.wrapping_mul(SPREAD));
        let latency = match access {
            Access::Read => &self.read,
            Access::Write => &self.write,
        };
        let refused = random.f64() < self.refusals;
        let variant = random.usize(..);
        let delay = latency.draw(&mut random);
        let jitter = self.jitter.mul_f64(random.f64());
        let delay = if random.bool() {
            delay.saturating_add(jitter)
        } else {
            delay.saturating_sub(jitter)
        };
        Draw {
            delay,
            refused,
            variant,
        }
    }

    /// Draws the time until connection `number` can be used.
    #[must_use]
    pub fn connection(&self, seed: u64, number: u64) -> Duration {
        let seed = seed ^ CONNECTIONS ^ number.wrapping_mul(SPREAD);
        self.setup.draw(&mut Rng::with_seed(seed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: Link = Link::fixed(Duration::ZERO)
        .read(Latency::from_micros(30_000, 250_000))
        .write(Latency::from_micros(50_000, 400_000))
        .jitter(Duration::from_millis(1))
        .refusals(0.1);

    fn draws(seed: u64, access: Access) -> Vec<Draw> {
        let draw = |number| LINK.request(seed, number, access);
        (0..10_000).map(draw).collect()
    }

    fn median(draws: &[Draw]) -> Duration {
        let mut delays: Vec<_> = draws.iter().map(|draw| draw.delay).collect();
        delays.sort();
        delays[delays.len() / 2]
    }

    #[test]
    fn draws_depend_on_seed_and_number_alone() {
        assert_eq!(draws(1, Access::Read), draws(1, Access::Read));
        assert_ne!(draws(1, Access::Read), draws(2, Access::Read));
        let link = LINK.setup(Latency::from_micros(4_000, 40_000));
        assert_eq!(link.connection(1, 9), link.connection(1, 9));
        assert_ne!(link.connection(1, 9), link.connection(1, 10));
    }

    #[test]
    fn numbered_draws_meet_medians_and_share_of_refusals() {
        let reads = draws(3, Access::Read);
        let writes = draws(3, Access::Write);
        let (read, write) = (median(&reads), median(&writes));
        assert!((29..=31).contains(&read.as_millis()), "{read:?}");
        assert!((48..=52).contains(&write.as_millis()), "{write:?}");
        let refused = reads.iter().filter(|draw| draw.refused).count();
        assert!((900..1_100).contains(&refused), "{refused}");
    }
}
