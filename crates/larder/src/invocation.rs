//! An invocation: what belongs to it is done while it lasts, or handed over, or counted as dropped.
//!
//! Between two invocations Lambda freezes the process. So a refresh that nobody waits for, or a value
//! that is still to be written to a server, is no background task: it is polled beside the handler, in the
//! time in which that waits for something else, and what is then left is drained, within the deadline or
//! by an internal extension after the response.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures_util::{
    StreamExt as _, future::BoxFuture, stream::FuturesUnordered, task::AtomicWaker,
};
use parking_lot::Mutex;

use crate::stats::Counter;

type Work = BoxFuture<'static, ()>;

tokio::task_local! {
    static PRESENT: Arc<Shared>;
}

/// One invocation of a function, made by [`Cache::invocation`](crate::Cache::invocation).
pub struct Invocation {
    shared: Arc<Shared>,
}

/// What the handler's look-ups know of their invocation.
pub(crate) struct Shared {
    inbox: Mutex<Vec<Work>>,
    waker: AtomicWaker,
    deadline: Option<Instant>,
    /// Failures so far, one entry a tier.
    tiers: Box<[TierFailures]>,
    dropped: Arc<Counter>,
}

/// Failures of one tier in one invocation, in microseconds.
#[derive(Debug, Default)]
struct TierFailures {
    /// Total time that they took.
    lost: AtomicU64,
    /// Longest wait among them: a caller that waits no longer is not served either.
    waited: AtomicU64,
}

impl Invocation {
    pub(crate) fn new(deadline: Option<Duration>, tiers: usize, dropped: Arc<Counter>) -> Self {
        Self {
            shared: Arc::new(Shared {
                inbox: Mutex::default(),
                waker: AtomicWaker::new(),
                deadline: deadline.and_then(|time| Instant::now().checked_add(time)),
                tiers: (0..tiers).map(|_| TierFailures::default()).collect(),
                dropped,
            }),
        }
    }

    /// Runs `handler`, and beside it the refreshes and write-backs that it sets off. What of these is
    /// not done when the handler is comes back with its output.
    pub async fn run<F: Future>(self, handler: F) -> (F::Output, Leftover) {
        let mut left = Leftover {
            work: FuturesUnordered::new(),
            shared: Arc::clone(&self.shared),
        };
        let both = async {
            let mut handler = pin!(handler);
            poll_fn(|cx| {
                let handled = handler.as_mut().poll(cx);
                // After the handler, so that what it just set off has begun before it waits.
                let _ = left.poll_work(cx);
                handled
            })
            .await
        };
        let output = PRESENT.scope(self.shared, both).await;
        (output, left)
    }
}

impl fmt::Debug for Invocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invocation").finish_non_exhaustive()
    }
}

impl Shared {
    /// The invocation that is being run, if one is.
    pub(crate) fn present() -> Option<Arc<Self>> {
        PRESENT.try_with(Arc::clone).ok()
    }

    /// Has `work` done beside the handler.
    pub(crate) fn defer(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.inbox.lock().push(Box::pin(work));
        self.waker.wake();
    }

    /// The time that is left of it, if anybody bounds it.
    pub(crate) fn time_left(&self) -> Option<Duration> {
        let left = |deadline: Instant| deadline.saturating_duration_since(Instant::now());
        self.deadline.map(left)
    }

    /// Returns how long the tier with this index may still be waited for of `time`, given that its failures may cost
    /// `limit` an invocation; `None` if a wait of that length has failed before.
    pub(crate) fn time_for(
        &self,
        tier: usize,
        time: Duration,
        limit: Duration,
    ) -> Option<Duration> {
        let Some(failures) = self.tiers.get(tier) else {
            return Some(time);
        };
        let lost = Duration::from_micros(failures.lost.load(Ordering::Relaxed));
        let time = time.min(limit.saturating_sub(lost));
        (micros(time) > failures.waited.load(Ordering::Relaxed)).then_some(time)
    }

    /// Records that the tier with this index failed after `took`, when the caller would have waited for `waited`.
    /// Returns true for the first failure.
    pub(crate) fn fail(&self, tier: usize, took: Duration, waited: Duration) -> bool {
        let Some(failures) = self.tiers.get(tier) else {
            return true;
        };
        failures.lost.fetch_add(micros(took), Ordering::Relaxed);
        failures
            .waited
            .fetch_max(micros(waited).max(1), Ordering::Relaxed)
            == 0
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Refreshes and write-backs that were not done when their handler was. Dropping it drops them, and
/// counts them as dropped.
#[must_use = "what is left is dropped with it: drain it"]
pub struct Leftover {
    work: FuturesUnordered<Work>,
    shared: Arc<Shared>,
}

/// What became of refreshes and write-backs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Done after all.
    pub done: usize,
    /// Dropped, since time was over.
    pub dropped: usize,
}

impl Leftover {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.work.len() + self.shared.inbox.lock().len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Gives them `time`. What is not done then is dropped, and counted.
    pub async fn drain(mut self, time: Duration) -> Drained {
        let at_first = self.len();
        if at_first > 0 {
            let shared = Arc::clone(&self.shared);
            let rest = PRESENT.scope(shared, poll_fn(|cx| self.poll_work(cx)));
            // Where time is over, what is left is found out below.
            let _ = tokio::time::timeout(time, rest).await;
        }
        let dropped = self.len();
        Drained {
            done: at_first.saturating_sub(dropped),
            dropped,
        }
    }

    /// Goes on with all of them; ready when none is left.
    fn poll_work(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            self.shared.waker.register(cx.waker());
            self.work
                .extend(std::mem::take(&mut *self.shared.inbox.lock()));
            let polled = self.work.poll_next_unpin(cx);
            if self.shared.inbox.lock().is_empty() {
                match polled {
                    Poll::Ready(Some(())) => {}
                    Poll::Ready(None) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
            }
        }
    }
}

impl Drop for Leftover {
    fn drop(&mut self) {
        let dropped = self.len();
        if dropped > 0 {
            self.shared
                .dropped
                .add(u64::try_from(dropped).unwrap_or(u64::MAX));
            tracing::warn!(
                dropped,
                "Cache refreshes or writes were dropped: the invocation's time was over"
            );
        }
    }
}

impl fmt::Debug for Leftover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leftover")
            .field("len", &self.len())
            .finish()
    }
}

/// A future that finishes `work` beside the present invocation, or at once where there is none.
pub(crate) async fn beside(work: impl Future<Output = ()> + Send + 'static) {
    match Shared::present() {
        Some(invocation) => invocation.defer(work),
        None => work.await,
    }
}

/// Completes `work` beside the present invocation even if the caller stops waiting for it. Returns `None` if the
/// invocation ended first.
#[cfg(feature = "redis")]
pub(crate) async fn completed<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Option<T> {
    let Some(invocation) = Shared::present() else {
        return Some(work.await);
    };
    let (send, receive) = tokio::sync::oneshot::channel();
    invocation.defer(async move {
        // The caller may have stopped waiting.
        let _ = send.send(work.await);
    });
    receive.await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn invocation() -> (Invocation, Arc<Counter>) {
        let dropped = Arc::new(Counter::default());
        let invocation = Invocation::new(None, 0, Arc::clone(&dropped));
        (invocation, dropped)
    }

    async fn sleep(millis: u64) {
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn work_goes_on_while_the_handler_waits() {
        let (invocation, dropped) = invocation();
        let done = Arc::new(Counter::default());
        let handler = async {
            for _ in 0..3 {
                let done = Arc::clone(&done);
                beside(async move {
                    sleep(10).await;
                    done.add(1);
                })
                .await;
            }
            assert_eq!(done.get(), 0, "nobody waited yet");
            sleep(11).await;
            done.get()
        };
        let (seen, left) = invocation.run(handler).await;
        assert_eq!(seen, 3);
        assert!(left.is_empty());
        drop(left);
        assert_eq!(dropped.get(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_is_drained_and_what_is_late_is_counted() {
        let (invocation, dropped) = invocation();
        let handler = async {
            beside(sleep(50)).await;
            // Sets off more while it is drained.
            beside(async { beside(sleep(10)).await }).await;
            beside(sleep(5_000)).await;
        };
        let ((), left) = invocation.run(handler).await;
        assert_eq!(left.len(), 3);
        let drained = left.drain(SECOND).await;
        assert_eq!(
            drained,
            Drained {
                done: 2,
                dropped: 1
            }
        );
        assert_eq!(dropped.get(), 1);
    }

    #[tokio::test]
    async fn without_an_invocation_work_is_done_at_once() {
        let done = Arc::new(Counter::default());
        let counter = Arc::clone(&done);
        beside(async move { counter.add(1) }).await;
        assert_eq!(done.get(), 1);
    }

    #[tokio::test]
    async fn a_handler_on_another_thread_may_leave_work_too() {
        let (invocation, _) = invocation();
        let handler = async {
            let present = Shared::present().unwrap();
            let (send, receive) = tokio::sync::oneshot::channel();
            std::thread::spawn(move || {
                present.defer(async move {
                    let _ = send.send(7);
                });
            });
            receive.await
        };
        let (seen, left) = invocation.run(handler).await;
        assert_eq!(seen, Ok(7));
        assert!(left.is_empty());
    }

    #[test]
    fn remembers_how_long_a_tier_was_waited_for_in_vain() {
        let shared = Invocation::new(None, 2, Arc::default()).shared;
        let millis = Duration::from_millis;
        assert_eq!(shared.time_for(0, millis(20), SECOND), Some(millis(20)));
        assert!(shared.fail(0, millis(20), millis(20)));
        assert_eq!(shared.time_for(0, millis(20), SECOND), None);
        assert_eq!(shared.time_for(0, SECOND, SECOND), Some(millis(980)));
        assert!(!shared.fail(0, millis(1), Duration::MAX), "the second one");
        assert_eq!(shared.time_for(0, SECOND, SECOND), None, "an error");
        assert_eq!(shared.time_for(1, SECOND, SECOND), Some(SECOND));
    }
}
