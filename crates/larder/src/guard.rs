//! A tier as the cache asks it: in bounded time, and not again where it has just failed.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    breaker::Breaker,
    clock::WallMillis,
    invocation::Shared,
    tier::{Answer, Reach, ReadBatch, Tier, TierError, TierErrorKind, WriteBatch},
};

/// A tier, and how it has been doing.
#[derive(Debug)]
pub(crate) struct Guarded {
    tier: Arc<dyn Tier>,
    index: usize,
    shared: bool,
    timeout: Duration,
    breaker: Mutex<Breaker>,
}

impl Guarded {
    pub(crate) fn new(tier: Arc<dyn Tier>, index: usize, timeout: Duration) -> Self {
        Self {
            shared: tier.reach() == Reach::Shared,
            tier,
            index,
            timeout,
            breaker: Mutex::default(),
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.tier.name()
    }

    pub(crate) fn is_shared(&self) -> bool {
        self.shared
    }

    pub(crate) async fn read(&self, batch: ReadBatch<'_>) -> Result<Answer, TierError> {
        let now = batch.now;
        let mut answer = self.guard(now, self.tier.read(batch)).await?;
        // Whatever a tier of somebody else's answers, there is one answer to each question.
        answer.found.resize(batch.entries.len(), None);
        Ok(answer)
    }

    pub(crate) async fn write(&self, batch: WriteBatch<'_>) -> Result<(), TierError> {
        self.guard(batch.now, self.tier.write(batch)).await
    }

    async fn guard<T>(
        &self,
        now: WallMillis,
        operation: impl Future<Output = Result<T, TierError>>,
    ) -> Result<T, TierError> {
        if !self.shared {
            // It takes no time worth a bound, and sees for itself when it is of no more use.
            return operation.await.inspect_err(report);
        }
        let invocation = Shared::present();
        let off = || TierError::new(self.name(), TierErrorKind::Off);
        if let Some(invocation) = &invocation
            && invocation.has_failed(self.index)
        {
            return Err(off());
        }
        if !self.breaker(|breaker| breaker.allows(now)) {
            return Err(off());
        }
        let patience = invocation.as_ref().map(|invocation| invocation.patience());
        let time = patience.map_or(self.timeout, |left| left.min(self.timeout));
        let begun = Instant::now();
        let result = tokio::time::timeout(time, operation)
            .await
            .unwrap_or_else(|_| Err(TierError::new(self.name(), TierErrorKind::Timeout)));
        match &result {
            Ok(_) => self.breaker(Breaker::succeeded),
            Err(error) => {
                self.breaker(|breaker| breaker.failed(now));
                let cost = begun.elapsed();
                if invocation.is_none_or(|invocation| invocation.fail(self.index, cost)) {
                    report(error);
                }
            }
        }
        result
    }

    fn breaker<T>(&self, with: impl FnOnce(&mut Breaker) -> T) -> T {
        with(&mut self.breaker.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Says what is wrong with a tier, whole; that it is off, only what made it so.
fn report(error: &TierError) {
    if error.kind == TierErrorKind::Off {
        return;
    }
    let cause = error.source.as_ref().map(ToString::to_string);
    tracing::warn!(tier = error.tier, cause, "{error}; going on without it");
}
