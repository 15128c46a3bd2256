//! A tier that fails now and then, in all the ways in which real ones do.

use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::WallMillis;
use crate::tier::{
    Answer, BoxFuture, Reach, ReadBatch, Tier, TierError, TierErrorKind, WriteBatch,
};

/// How often what goes wrong, in percent of the operations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// It fails, and has done nothing.
    pub errors: u8,
    /// It fails, and has done it all the same.
    pub late_errors: u8,
    /// It never answers.
    pub hangs: u8,
    /// It answers after this time…
    pub delays: u8,
    /// …which is this long.
    pub delay: Duration,
    /// One bit of what is read is another one.
    pub corrupt: u8,
    /// Less is found than is there.
    pub partial: u8,
}

/// A tier with faults, which come in an order that `seed` decides.
#[derive(Debug)]
pub struct Chaos<T> {
    tier: T,
    faults: Mutex<Faults>,
    random: Mutex<fastrand::Rng>,
}

impl<T> Chaos<T> {
    /// `tier`, with these faults.
    pub fn new(tier: T, faults: Faults, seed: u64) -> Self {
        Self {
            tier,
            faults: Mutex::new(faults),
            random: Mutex::new(fastrand::Rng::with_seed(seed)),
        }
    }

    /// Other faults from now on.
    pub fn set(&self, faults: Faults) {
        *self.faults.lock() = faults;
    }

    fn faults(&self) -> Faults {
        *self.faults.lock()
    }

    fn strikes(&self, percent: u8) -> bool {
        percent > 0 && self.draw(100) < usize::from(percent)
    }

    fn draw(&self, below: usize) -> usize {
        self.random.lock().usize(..below.max(1))
    }

    fn damage(&self, answer: &mut Answer) {
        let faults = self.faults();
        for found in &mut answer.found {
            if self.strikes(faults.partial) {
                *found = None;
            }
            let Some(found) = found else { continue };
            let at = self.draw(found.bytes.len());
            if self.strikes(faults.corrupt)
                && let Some(byte) = found.bytes.get_mut(at)
            {
                *byte ^= 1 << self.draw(8);
            }
        }
    }

    /// What comes before an operation.
    async fn before(&self, name: &'static str) -> Result<(), TierError> {
        let faults = self.faults();
        if self.strikes(faults.hangs) {
            std::future::pending::<()>().await;
        }
        if self.strikes(faults.delays) {
            tokio::time::sleep(faults.delay).await;
        }
        self.fail(faults.errors, name)
    }

    fn fail(&self, percent: u8, name: &'static str) -> Result<(), TierError> {
        if self.strikes(percent) {
            Err(TierError::new(name, TierErrorKind::Unreachable))
        } else {
            Ok(())
        }
    }
}

impl<T: Tier> Tier for Chaos<T> {
    fn name(&self) -> &'static str {
        self.tier.name()
    }

    fn reach(&self) -> Reach {
        self.tier.reach()
    }

    fn time_limit(&self, now: WallMillis) -> Duration {
        self.tier.time_limit(now)
    }

    fn read<'a>(&'a self, batch: ReadBatch<'a>) -> BoxFuture<'a, Result<Answer, TierError>> {
        Box::pin(async move {
            self.before(self.name()).await?;
            let mut answer = self.tier.read(batch).await?;
            self.damage(&mut answer);
            Ok(answer)
        })
    }

    fn write<'a>(&'a self, batch: WriteBatch<'a>) -> BoxFuture<'a, Result<(), TierError>> {
        Box::pin(async move {
            self.before(self.name()).await?;
            self.tier.write(batch).await?;
            self.fail(self.faults().late_errors, self.name())
        })
    }
}
