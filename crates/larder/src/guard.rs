//! A tier as the cache asks it: in bounded time, and not again where it has just failed.

use std::{future::Future, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{
    breaker::Breaker,
    clock::WallMillis,
    invocation::Shared,
    tier::{Answer, Reach, ReadBatch, Tier, TierError, TierErrorKind, WriteBatch},
    unsent::Unsent,
};

/// Least time that a shared tier is given. On a small share of a processor one period of throttling (20 ms) may pass
/// before an answer that is there is read.
const LEAST: Duration = Duration::from_millis(50);

/// Pause before the first repetition of a write-back, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A tier, and how it has been doing.
#[derive(Debug)]
pub(crate) struct Guarded {
    tier: Arc<dyn Tier>,
    index: usize,
    shared: bool,
    /// Setting that overrides the tier's own time limit.
    timeout: Option<Duration>,
    breaker: Mutex<Breaker>,
    /// Invalidations that it was not told of yet, where it is shared: a tier of this process's own knows no more than
    /// the process.
    unsent: Unsent,
}

impl Guarded {
    pub(crate) fn new(tier: Arc<dyn Tier>, index: usize, timeout: Option<Duration>) -> Self {
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

    /// Reads, for no longer than what is read is `worth`: the time that its load is known to take. `None` allows the
    /// tier's whole time limit.
    pub(crate) async fn read(
        &self,
        batch: ReadBatch<'_>,
        worth: Option<Duration>,
    ) -> Result<Answer, TierError> {
        let now = batch.now;
        let mut answer = self.guard(now, worth, self.tier.read(batch)).await?;
        // Whatever a tier of somebody else's answers, there is one answer to each question.
        answer.found.resize(batch.entries.len(), None);
        Ok(answer)
    }

    /// Writes, for no longer than what is written is `worth`, and tells again later what could not be told.
    pub(crate) async fn write(
        &self,
        batch: WriteBatch<'_>,
        worth: Option<Duration>,
    ) -> Result<(), TierError> {
        let telling = [batch.marks, batch.news];
        let telling = self.shared.then(|| self.unsent.tell(telling));
        self.guard(batch.now, worth, self.tier.write(batch)).await?;
        if let Some(told) = telling {
            told.done();
        }
        Ok(())
    }

    /// Writes entries that a load has just made, and tries again until `budget` is over where that may help: a value
    /// that took long to make is worth it. No answer waits for this, so failures of reads do not prevent it.
    pub(crate) async fn write_back(
        &self,
        batch: WriteBatch<'_>,
        budget: Duration,
    ) -> Result<(), TierError> {
        let begun = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let limit = self.limit(batch.now);
            let now = batch.now.plus(begun.elapsed());
            let written = if self.breaker(|breaker| breaker.allows(now, limit)) {
                self.timed(now, limit, limit, self.tier.write(batch)).await
            } else {
                Err(self.off())
            };
            match written {
                Err(error) if error.is_retryable() && begun.elapsed() + pause < budget => {
                    tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
                    pause = LONGEST_PAUSE.min(pause * 2);
                }
                written => return written,
            }
        }
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
        if self.guard(now, None, self.tier.write(batch)).await.is_ok() {
            self.unsent.sent(&marks);
        }
    }

    async fn guard<T>(
        &self,
        now: WallMillis,
        worth: Option<Duration>,
        operation: impl Future<Output = Result<T, TierError>>,
    ) -> Result<T, TierError> {
        if !self.shared {
            // It takes no time worth a bound, and sees for itself when it is of no more use.
            return operation.await.inspect_err(report);
        }
        let limit = self.limit(now);
        let mut time = worth.map_or(limit, |worth| worth.max(LEAST).min(limit));
        let invocation = Shared::present();
        if let Some(invocation) = &invocation {
            time = invocation
                .time_for(self.index, time, limit)
                .ok_or_else(|| self.off())?;
        }
        if !self.breaker(|breaker| breaker.allows(now, time)) {
            return Err(self.off());
        }
        let begun = Instant::now();
        let result = self.timed(now, time, limit, operation).await;
        if let Err(error) = &result {
            let waited = error.waited(time, limit);
            if invocation
                .is_none_or(|invocation| invocation.fail(self.index, begun.elapsed(), waited))
            {
                report(error);
            }
        }
        result
    }

    /// Runs an operation for at most `time`, and tells the breaker how it ended.
    async fn timed<T>(
        &self,
        now: WallMillis,
        time: Duration,
        limit: Duration,
        operation: impl Future<Output = Result<T, TierError>>,
    ) -> Result<T, TierError> {
        let result = tokio::time::timeout(time, operation)
            .await
            .unwrap_or_else(|_| Err(TierError::new(self.name(), TierErrorKind::Timeout)));
        match &result {
            Ok(_) => self.breaker(Breaker::succeeded),
            Err(error) => {
                let waited = error.waited(time, limit);
                self.breaker(|breaker| breaker.failed(now, waited));
            }
        }
        result
    }

    /// How long one operation may take at most.
    fn limit(&self, now: WallMillis) -> Duration {
        self.timeout.unwrap_or_else(|| self.tier.time_limit(now))
    }

    fn off(&self) -> TierError {
        TierError::new(self.name(), TierErrorKind::Off)
    }

    fn breaker<T>(&self, with: impl FnOnce(&mut Breaker) -> T) -> T {
        with(&mut self.breaker.lock())
    }
}

impl TierError {
    /// Returns how long a caller has to wait for more than this failure shows to be in vain, of one that waited for
    /// up to `time` where the tier's time limit is `limit`.
    fn waited(&self, time: Duration, limit: Duration) -> Duration {
        if self.kind == TierErrorKind::Timeout && time < limit {
            time
        } else {
            Duration::MAX
        }
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
