//! A tier as the cache asks it: in bounded time, and not again where it has just failed.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::{
    breaker::Breaker,
    clock::WallMillis,
    invocation::Shared,
    tier::{Answer, Reach, ReadBatch, Tier, TierError, TierErrorKind, WriteBatch},
    unsent::Unsent,
};

/// A tier, and how it has been doing.
#[derive(Debug)]
pub(crate) struct Guarded {
    tier: Arc<dyn Tier>,
    index: usize,
    shared: bool,
    timeout: Duration,
    breaker: Mutex<Breaker>,
    /// Invalidations that it was not told of yet, where it is shared: a tier of this process's own knows no more than
    /// the process.
    unsent: Unsent,
}

impl Guarded {
    pub(crate) fn new(tier: Arc<dyn Tier>, index: usize, timeout: Duration) -> Self {
        Self {
            shared: tier.reach() == Reach::Shared,
            tier,
            index,
            timeout,
            breaker: Mutex::default(),
            unsent: Unsent::default(),
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

    /// Writes, and tells again later what could not be told.
    pub(crate) async fn write(&self, batch: WriteBatch<'_>) -> Result<(), TierError> {
        let telling = [batch.marks, batch.news];
        let telling = self.shared.then(|| self.unsent.tell(telling));
        self.guard(batch.now, self.tier.write(batch)).await?;
        if let Some(told) = telling {
            told.done();
        }
        Ok(())
    }

    /// Whether there may be something to tell again.
    #[inline]
    pub(crate) fn has_unsent(&self) -> bool {
        self.unsent.any()
    }

    /// Tells again what could not be told before.
    pub(crate) async fn send_unsent(&self, app: &str, now: WallMillis) {
        let marks = self.unsent.all();
        if marks.is_empty() {
            return;
        }
        let batch = WriteBatch {
            marks: &marks,
            ..WriteBatch::new(app, now)
        };
        // Past `write`, which would keep them once more where it fails.
        if self.guard(now, self.tier.write(batch)).await.is_ok() {
            self.unsent.sent(&marks);
        }
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
        with(&mut self.breaker.lock())
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
