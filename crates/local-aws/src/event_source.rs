//! Lambda's event source mapping for SQS: what polls a queue, invokes a function with what it finds, and deletes
//! what succeeded. With it come the queue's client, and the way from a bucket to a queue.
//!
//! As Lambda does it with `ReportBatchItemFailures`, but one batch at a time and at an even pace. Source: "Using
//! Lambda with Amazon SQS" and "Implementing partial batch responses" in the AWS Lambda Developer Guide.

mod batch;
mod route;
mod s3_event;
mod sqs;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::ensure;
use serde_json::Value;
use tokio::{task::JoinHandle, time::Instant};

pub use route::{changes_in, route};
pub use sqs::{Counts, Message, Queue, Sqs};

/// How long to wait after an empty answer. Moto is not asked to wait itself: a request that was given up would
/// still take a message there, which nobody then sees until its visibility timeout is over.
const PAUSE: Duration = Duration::from_millis(100);

/// The longest that messages may take.
const SETTLES: Duration = Duration::from_mins(2);

/// How batches are gathered.
#[derive(Clone, Copy, Debug)]
pub struct Batching {
    /// The most messages in a batch: `BatchSize`.
    pub size: usize,
    /// How long to wait for more after the first: `MaximumBatchingWindowInSeconds`.
    pub window: Duration,
}

/// A mapping that is polling. Dropping it stops it, and gives up what it has begun.
#[derive(Debug)]
pub struct EventSource {
    queue: Queue,
    polling: JoinHandle<()>,
    done: Arc<Done>,
}

#[derive(Debug, Default)]
struct Done {
    batches: AtomicUsize,
    messages: AtomicUsize,
    failed: AtomicUsize,
}

impl EventSource {
    /// Polls `queue`, and has `invoke` invoke a function with each event. An error of it, as of a function that failed,
    /// fails the whole batch: then, as with each message that the answer says failed, the queue gives it out again
    /// once its visibility timeout is over.
    pub fn start<F, R>(queue: Queue, batching: Batching, invoke: F) -> Self
    where
        F: Fn(Vec<u8>) -> R + Send + Sync + 'static,
        R: Future<Output = anyhow::Result<Value>> + Send,
    {
        let done = Arc::<Done>::default();
        let polling = tokio::spawn({
            let (queue, done) = (queue.clone(), Arc::clone(&done));
            async move {
                loop {
                    match gather(&queue, batching).await {
                        Ok(batch) if batch.is_empty() => tokio::time::sleep(PAUSE).await,
                        Ok(batch) => deliver(&queue, &batch, &invoke, &done).await,
                        Err(error) => {
                            tracing::warn!("The queue cannot be polled: {error:#}");
                            tokio::time::sleep(PAUSE).await;
                        }
                    }
                }
            }
        });
        Self {
            queue,
            polling,
            done,
        }
    }

    /// Waits until so many messages were delivered, and none is left. Fails after two minutes: what failed comes again.
    pub async fn settled(&self, messages: usize) -> anyhow::Result<()> {
        let until = Instant::now() + SETTLES;
        loop {
            let left = self.queue.counts().await?;
            if self.messages() >= messages && left.visible + left.in_flight == 0 {
                return Ok(());
            }
            ensure!(
                Instant::now() < until,
                "after {} messages and {} s the queue still has {left:?}",
                self.messages(),
                SETTLES.as_secs()
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// How many batches the function has had, whatever came of them.
    #[must_use]
    pub fn batches(&self) -> usize {
        self.done.batches.load(Ordering::Acquire)
    }

    /// How many messages were in these, each as often as it was.
    #[must_use]
    pub fn messages(&self) -> usize {
        self.done.messages.load(Ordering::Acquire)
    }

    /// How many of these messages failed.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.done.failed.load(Ordering::Acquire)
    }
}

impl Drop for EventSource {
    fn drop(&mut self) {
        self.polling.abort();
    }
}

/// The next batch: none if the queue is empty.
async fn gather(queue: &Queue, batching: Batching) -> anyhow::Result<Vec<Message>> {
    let mut batch = queue.receive(batching.size).await?;
    let until = Instant::now() + batching.window;
    while !batch.is_empty() && batch.len() < batching.size && Instant::now() < until {
        // What is gathered is delivered, whatever becomes of the queue.
        let Ok(more) = queue.receive(batching.size - batch.len()).await else {
            break;
        };
        if more.is_empty() {
            let pause = Instant::now() + PAUSE;
            tokio::time::sleep_until(pause.min(until)).await;
        }
        batch.extend(more);
    }
    Ok(batch)
}

async fn deliver<F, R>(queue: &Queue, batch: &[Message], invoke: &F, done: &Done)
where
    F: Fn(Vec<u8>) -> R,
    R: Future<Output = anyhow::Result<Value>>,
{
    let event = batch::event(batch, queue.arn()).to_string();
    let failed = match invoke(event.into_bytes()).await {
        Ok(answer) => batch::failed(&answer, batch),
        Err(error) => {
            tracing::warn!("A batch failed: {error:#}");
            batch.iter().map(|message| message.id.as_str()).collect()
        }
    };
    let succeeded = batch
        .iter()
        .filter(|message| !failed.contains(message.id.as_str()));
    let succeeded: Vec<_> = succeeded.collect();
    if let Err(error) = queue.delete(&succeeded).await {
        tracing::warn!("What was done cannot be deleted: {error:#}");
    }
    done.failed.fetch_add(failed.len(), Ordering::Release);
    done.messages.fetch_add(batch.len(), Ordering::Release);
    // The last, so that whoever waits for a batch finds the rest counted and deleted.
    done.batches.fetch_add(1, Ordering::Release);
}
