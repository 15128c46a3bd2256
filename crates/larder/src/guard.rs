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
    timeout: Duration,
    breaker: Mutex<Breaker>,
}

impl Guarded {
    pub(crate) fn new(tier: Arc<dyn Tier>, index: usize, timeout: Duration) -> Self {
        Self {
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
        self.tier.reach() == Reach::Shared
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
        let result = if self.is_shared() {
            let patience = invocation.as_ref().map(|invocation| invocation.patience());
            let time = patience.map_or(self.timeout, |left| left.min(self.timeout));
            self.in_time(time, invocation.as_deref(), operation).await
        } else {
            operation.await
        };
        match &result {
            Ok(_) => self.breaker(Breaker::succeeded),
            Err(error) => {
                self.breaker(|breaker| breaker.failed(now));
                if invocation.is_none_or(|invocation| invocation.fail(self.index, Duration::ZERO)) {
                    report(error);
                }
            }
        }
        result
    }

    /// Waits for `operation` for at most `time`. Where it fails, its time is taken off what failures
    /// may cost in this invocation.
    async fn in_time<T>(
        &self,
        time: Duration,
        invocation: Option<&Shared>,
        operation: impl Future<Output = Result<T, TierError>>,
    ) -> Result<T, TierError> {
        let begun = Instant::now();
        let result = tokio::time::timeout(time, operation)
            .await
            .unwrap_or_else(|_| Err(TierError::new(self.name(), TierErrorKind::Timeout)));
        if let (Err(error), Some(invocation)) = (&result, invocation)
            && invocation.fail(self.index, begun.elapsed())
        {
            report(error);
        }
        result
    }

    fn breaker<T>(&self, with: impl FnOnce(&mut Breaker) -> T) -> T {
        with(&mut self.breaker.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Says what is wrong with a tier, whole.
fn report(error: &TierError) {
    let cause = error.source.as_ref().map(ToString::to_string);
    tracing::warn!(tier = error.tier, cause, "{error}; going on without it");
}
