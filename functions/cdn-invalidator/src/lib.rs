//! Clears exactly what changed from a CDN, at the least cost: what somebody names, what S3 tells of, and what waits in a queue.

mod answer;
mod batch;
mod config;
mod direct;
mod domain;
mod event;
mod failed;
mod gather;
mod queue;
mod target;

use std::time::{Duration, Instant};

use aws_types::SdkConfig;
use cdn::{CloudFront, Directory, Done, ErrorKind, Invalidator, Kind, Order, Usage};
use larder::Cache;
use larder_lambda::{Deadline, Error, Function, Invocation, milliseconds};
use metrique_writer::Entry;

pub use answer::{Answer, BatchAnswer, Failure, Outcome};
pub use config::Config;
pub use domain::{Domain, InvalidDomain};
pub use event::{Body, Change, Direct, Event, Message, Object, Status, What};

use failed::Failed;
use queue::Queue;

/// What the cache is called where others share it.
const APP: &str = "cdn-invalidator";
/// Kept of an invocation's time for the answer.
const FOR_THE_ANSWER: Duration = Duration::from_secs(2);
/// Kept beside, to leave for the queue what could not be done.
const FOR_THE_QUEUE: Duration = Duration::from_secs(4);

/// What one invocation counts.
#[derive(Debug, Default, Entry)]
#[entry(rename_all = "PascalCase")]
pub struct Metrics {
    /// New invalidations.
    invalidation_requests: u64,
    exact_items: u64,
    wildcard_items: u64,
    tag_items: u64,
    /// Objects that were cleared without need, as far as that is known.
    over_invalidated: u64,
    /// Orders that had been carried out before, and events that ask for nothing.
    skipped: u64,
    /// Orders that are done later.
    put_off: u64,
    /// Orders that failed, and why.
    invalidation_failures: u64,
    failed_too_many_in_progress: u64,
    failed_throttled: u64,
    failed_unavailable: u64,
    failed_denied: u64,
    failed_not_found: u64,
    failed_invalid: u64,
    failed_otherwise: u64,
    /// From the request to its completion, where it was waited for.
    completion_seconds: Option<f64>,
    /// How many items the month has had.
    month_billable_paths: Option<u64>,
}

/// The function: its settings, its clients and its cache.
#[derive(Debug)]
pub struct App {
    config: Config,
    invalidator: Invalidator,
    directory: Directory,
    s3: aws_sdk_s3::Client,
    queue: Option<Queue>,
    cache: Cache,
}

/// An invocation, as those see it who do its work.
struct Call<'a> {
    /// What a request without a version is told apart by: Lambda's id, which a retry has, too.
    request_id: &'a str,
    deadline: Deadline,
    metrics: &'a mut Metrics,
}

impl App {
    /// Makes the clients and the cache. None of them connects.
    pub fn new(config: Config, aws: &SdkConfig) -> anyhow::Result<Self> {
        let cloudfront = CloudFront::new(aws);
        let cache = config.cache.builder(APP, None)?.build();
        let table = config.table.clone();
        let table = table.map(|table| (aws_sdk_dynamodb::Client::new(aws), table));
        let queue = config.retry_queue.as_deref();
        Ok(Self {
            directory: Directory::new(cloudfront.clone(), &cache),
            invalidator: Invalidator {
                cloudfront,
                usage: Usage::new(table),
                max_wildcards: config.max_wildcards,
                free: config.free,
            },
            s3: aws_sdk_s3::Client::new(aws),
            queue: queue.map(|url| Queue::new(aws, url)).transpose()?,
            cache,
            config,
        })
    }

    /// Has an order carried out in the time that there is, and counts it.
    async fn carry_out(&self, order: &Order<'_>, call: &mut Call<'_>) -> Result<Done, Failed> {
        let done = async {
            let done = self.invalidator.carry_out(order).await;
            done.map_err(Failed::Order)
        };
        let done = in_time(call.deadline, done).await;
        if let Err(failed) = &done
            && failed.kind() == ErrorKind::NoDistribution
        {
            // It was found, so it was there when it was looked up.
            self.directory.forget().await;
        }
        if let Ok(done) = &done {
            call.metrics.done(done);
            let invalidation = done.invalidation.id.as_str();
            let (paths, wildcards) = (done.plan.items.len(), done.plan.wildcards());
            let message = if done.is_new {
                "Invalidation requested"
            } else {
                "Invalidated before"
            };
            tracing::info!(
                distribution = order.distribution,
                invalidation,
                paths,
                wildcards,
                billed = done.billed,
                month = done.month,
                "{message}"
            );
        }
        done
    }
}

/// What a step comes to, if it does in the time that there is.
async fn in_time<T>(
    deadline: Deadline,
    step: impl Future<Output = Result<T, Failed>>,
) -> Result<T, Failed> {
    let left = deadline.time_to_work();
    // Whoever gives seconds only is not kept from trying.
    let kept = (FOR_THE_ANSWER + FOR_THE_QUEUE).min(left / 2);
    let time = left.saturating_sub(kept);
    let done = tokio::time::timeout(time, step).await;
    done.unwrap_or(Err(Failed::Late(time)))
}

impl Metrics {
    fn done(&mut self, done: &Done) {
        let count = |kind| u64::try_from(done.plan.of(kind)).unwrap_or(u64::MAX);
        self.month_billable_paths = Some(done.month);
        if !done.is_new {
            self.skipped += 1;
            return;
        }
        self.invalidation_requests += 1;
        self.exact_items += count(Kind::Exact);
        self.wildcard_items += count(Kind::Wildcard);
        self.tag_items += count(Kind::Tag);
        self.over_invalidated += done.plan.over_invalidated;
    }

    fn failed(&mut self, failed: &Failed) {
        self.invalidation_failures += 1;
        let counter = match failed.kind() {
            ErrorKind::TooManyInProgress => &mut self.failed_too_many_in_progress,
            ErrorKind::Throttled => &mut self.failed_throttled,
            ErrorKind::Unavailable => &mut self.failed_unavailable,
            ErrorKind::Denied => &mut self.failed_denied,
            ErrorKind::NoDistribution | ErrorKind::NoInvalidation => &mut self.failed_not_found,
            ErrorKind::Invalid => &mut self.failed_invalid,
            ErrorKind::Duplicate | ErrorKind::Other => &mut self.failed_otherwise,
        };
        *counter += 1;
    }
}

impl Function for App {
    type Event = Event;
    type Answer = Answer;
    type Metrics = Metrics;

    fn cache(&self) -> Option<&Cache> {
        Some(&self.cache)
    }

    async fn handle(
        &self,
        event: Event,
        invocation: &Invocation,
        metrics: &mut Metrics,
    ) -> Result<Answer, Error> {
        let began = Instant::now();
        let mut call = Call {
            request_id: &invocation.request_id,
            deadline: invocation.deadline,
            metrics,
        };
        let mut outcome = match event {
            Event::Batch(messages) => {
                return Ok(Answer::Batch(self.batch(messages, &mut call).await));
            }
            Event::Direct(direct) => self.direct(direct, &mut call).await?,
            Event::Status(status) => self.status(status, &mut call).await,
            Event::Object(object) => self
                .object(object, &mut call)
                .await
                .map_err(Failed::into_error)?,
        };
        outcome.duration_ms = milliseconds(began.elapsed());
        Ok(Answer::One(outcome))
    }
}
