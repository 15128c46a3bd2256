//! Work after the response: an internal extension keeps the environment awake for it.
//!
//! Once the runtime asks for its next event, Lambda freezes the environment, unless an extension
//! that was told of the invocation has not asked for its own next event yet ("Lambda Extensions
//! API", life cycle). So a function that leaves work for after the response registers an extension
//! inside its own process, and that extension asks only when the work is done. Where several
//! requests run at once (`AWS_LAMBDA_MAX_CONCURRENCY`), the environment is not frozen between them
//! and extensions are not told of invocations: there the work simply runs on.

use std::{
    any::Any,
    cell::RefCell,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use futures_util::future::join_all;
use lambda_extension::{Extension, LambdaEvent, NextEvent, service_fn};
use lambda_runtime::{Error as BoxError, LambdaInvocation};
use tokio::sync::watch;
use tower::Service;

use crate::{deadline::Deadline, payload};

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Who runs the work once the response is out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Worker {
    /// The runtime, before it asks for its next event: the next invocation waits.
    Runtime,
    /// The extension, while the runtime already asks.
    Extension,
    /// A task beside the next invocations.
    Task,
}

/// Work that waits for its invocation's response to be sent.
#[derive(Clone)]
pub(crate) struct AfterResponse {
    worker: Worker,
    /// What waits, and for the response to which request.
    queue: Arc<Mutex<Vec<(String, Work)>>>,
    /// Shared by those who work, so that the end of the process can wait for all of them.
    working: Arc<tokio::sync::RwLock<()>>,
    /// The request that the extension was told of last.
    told: Arc<Mutex<String>>,
    /// The request whose response was sent last.
    responded: watch::Sender<String>,
}

impl AfterResponse {
    pub(crate) fn new(worker: Worker) -> Self {
        Self {
            worker,
            queue: Arc::default(),
            working: Arc::default(),
            told: Arc::default(),
            responded: watch::Sender::new(String::new()),
        }
    }

    pub(crate) fn worker(&self) -> Worker {
        self.worker
    }

    /// Puts `work` off until the response to `request_id` is out.
    pub(crate) fn push(&self, request_id: &str, work: impl Future<Output = ()> + Send + 'static) {
        locked(&self.queue).push((request_id.to_owned(), Box::pin(work)));
    }

    /// The response to `request_id` is out: whoever is to do the work begins.
    async fn responded(&self, request_id: String, deadline: Deadline) {
        match self.worker {
            Worker::Runtime => self.work_for(&request_id, deadline.time_to_work()).await,
            Worker::Extension => {
                let told = *locked(&self.told) == request_id;
                self.responded.send_replace(request_id.clone());
                if !told {
                    // Nothing keeps the environment awake for the extension: `cargo lambda watch`
                    // forgets to tell it of the first request, and Lambda may be slow to.
                    self.work_for(&request_id, deadline.time_to_work()).await;
                }
            }
            Worker::Task => {
                let after = self.clone();
                tokio::spawn(async move {
                    after.work_for(&request_id, deadline.time_to_work()).await;
                });
            }
        }
    }

    /// Does what was left for after the response to `request_id`, for at most `time`.
    async fn work_for(&self, request_id: &str, time: Duration) {
        let working = async |undone: &AtomicUsize| {
            let _working = self.working.read().await;
            let ours = {
                let mut queue = locked(&self.queue);
                let ours = queue.extract_if(.., |(request, _)| request == request_id);
                ours.map(|(_, work)| work).collect()
            };
            do_all(ours, undone).await;
        };
        within(time, working).await;
    }

    /// Does what is left of all requests, for at most `time`, once nobody else works any more.
    pub(crate) async fn drain(&self, time: Duration) {
        let working = async |undone: &AtomicUsize| {
            let _working = self.working.write().await;
            let queue = std::mem::take(&mut *locked(&self.queue));
            do_all(queue.into_iter().map(|(_, work)| work).collect(), undone).await;
        };
        within(time, working).await;
    }

    /// Registers the extension, which has to happen before the runtime asks for its first event,
    /// and returns its run loop. That ends only when Lambda cannot be reached any more.
    pub(crate) async fn extension(
        self,
    ) -> Result<impl Future<Output = Result<(), BoxError>>, BoxError> {
        let on_event = service_fn(move |event: LambdaEvent| {
            let after = self.clone();
            async move {
                if let NextEvent::Invoke(invoke) = event.next {
                    after.follow(&invoke.request_id, invoke.deadline_ms).await;
                }
                Ok::<(), BoxError>(())
            }
        });
        let extension = Extension::new()
            .with_extension_name("larder-after-response")
            .with_events(&["INVOKE"])
            .with_events_processor(on_event)
            .register()
            .await?;
        Ok(extension.run())
    }

    /// Waits for the response to `request_id`, then works within what its deadline leaves.
    async fn follow(&self, request_id: &str, deadline_ms: u64) {
        let deadline = Deadline::from_epoch_millis(deadline_ms, SystemTime::now());
        request_id.clone_into(&mut locked(&self.told));
        let mut responded = self.responded.subscribe();
        let response = responded.wait_for(|last| last == request_id);
        if tokio::time::timeout(deadline.time_left(), response)
            .await
            .is_ok()
        {
            self.work_for(request_id, deadline.time_to_work()).await;
        }
    }
}

/// Does all of it at once, so that nothing waits for what takes long, and counts down what is not done yet.
async fn do_all(queued: Vec<Work>, undone: &AtomicUsize) {
    undone.store(queued.len(), Ordering::Relaxed);
    let all = queued.into_iter().map(|work| async {
        work.await;
        undone.fetch_sub(1, Ordering::Relaxed);
    });
    join_all(all).await;
}

/// Gives `working` some time. What is not done by then is dropped, and said to be.
async fn within(time: Duration, working: impl AsyncFnOnce(&AtomicUsize)) {
    let undone = AtomicUsize::new(0);
    let _ = tokio::time::timeout(time, working(&undone)).await;
    let dropped = undone.into_inner();
    if dropped > 0 {
        tracing::warn!(
            dropped,
            "Work after the response was dropped: its time was over"
        );
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

tokio::task_local! {
    /// What the present invocation's handler left to be dropped after its response.
    static LATER: RefCell<Option<Box<dyn Any + Send>>>;
}

/// Drops `thing` once the present invocation's response is out; at once if there is none.
pub(crate) fn drop_after_response(thing: impl Any + Send) {
    let mut thing: Option<Box<dyn Any + Send>> = Some(Box::new(thing));
    let _ = LATER.try_with(|later| later.replace(thing.take()));
}

/// The layer around the service that sends responses: it sees each one leave.
#[derive(Clone)]
pub(crate) struct Responded<S> {
    pub(crate) sender: S,
    pub(crate) after: AfterResponse,
}

impl<S> Service<LambdaInvocation> for Responded<S>
where
    S: Service<LambdaInvocation, Response = (), Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = ();
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.sender.poll_ready(cx)
    }

    fn call(&mut self, mut invocation: LambdaInvocation) -> Self::Future {
        let event = payload::withhold(&mut invocation);
        let request_id = invocation.context.request_id.clone();
        let deadline = Deadline::from_epoch_millis(invocation.context.deadline, SystemTime::now());
        let (sent, after) = (self.sender.call(invocation), self.after.clone());
        let sent = payload::with(event, sent);
        Box::pin(LATER.scope(RefCell::default(), async move {
            sent.await?;
            drop(LATER.with(RefCell::take));
            after.responded(request_id, deadline).await;
            Ok(())
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(done: &Arc<AtomicUsize>) -> impl Future<Output = ()> + Send + use<> {
        let done = Arc::clone(done);
        async move {
            done.fetch_add(1, Ordering::Relaxed);
        }
    }

    const SECOND: Duration = Duration::from_secs(1);

    fn in_a_minute() -> u64 {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap() + Duration::from_mins(1);
        u64::try_from(now.as_millis()).unwrap()
    }

    #[tokio::test]
    async fn the_extension_waits_for_the_response_to_what_it_was_told_of() {
        let (after, done) = (
            AfterResponse::new(Worker::Extension),
            Arc::new(AtomicUsize::new(0)),
        );
        after.push("second", count(&done));
        let following = {
            let after = after.clone();
            tokio::spawn(async move { after.follow("second", in_a_minute()).await })
        };
        tokio::task::yield_now().await;
        assert_eq!(done.load(Ordering::Relaxed), 0, "no response yet");

        after
            .responded("second".to_owned(), Deadline::after(SECOND))
            .await;
        following.await.unwrap();
        assert_eq!(done.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn an_extension_that_was_not_told_in_time_leaves_it_to_the_runtime() {
        let (after, done) = (
            AfterResponse::new(Worker::Extension),
            Arc::new(AtomicUsize::new(0)),
        );
        after.push("first", count(&done));
        after
            .responded("first".to_owned(), Deadline::after(SECOND))
            .await;
        assert_eq!(done.load(Ordering::Relaxed), 1);
        // Told after all, it finds nothing left to do, and does not wait for what has been.
        let late = after.follow("first", in_a_minute());
        tokio::time::timeout(SECOND, late).await.unwrap();
        assert_eq!(done.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn work_past_the_deadline_is_dropped_and_holds_up_nothing_else() {
        let (after, done) = (
            AfterResponse::new(Worker::Extension),
            Arc::new(AtomicUsize::new(0)),
        );
        after.push("only", count(&done));
        after.push("only", std::future::pending());
        after.push("only", count(&done));

        after.drain(Duration::from_millis(20)).await;
        assert_eq!(done.load(Ordering::Relaxed), 2);
        after.drain(Duration::from_millis(20)).await;
        assert_eq!(done.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_response_sets_off_its_own_requests_work_alone() {
        let (after, done) = (
            AfterResponse::new(Worker::Runtime),
            Arc::new(AtomicUsize::new(0)),
        );
        after.push("first", count(&done));
        after.push("second", std::future::pending());
        after
            .responded("first".to_owned(), Deadline::after(SECOND))
            .await;
        assert_eq!(done.load(Ordering::Relaxed), 1);
        assert_eq!(locked(&after.queue).len(), 1);
    }
}
