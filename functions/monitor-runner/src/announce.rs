//! Telling people of a run: a log line, metrics, and events on a bus.

use std::time::Duration;

use larder::{Cache, InvalidCacheSettings};
use larder_lambda::{Invocation, log_record};

use crate::{
    Metrics,
    config::{Announcements, Config, ResultEvents},
    event_bus::EventBus,
    finding::Finding,
    status::{Statuses, Told},
};

/// The detail type of the event for each run.
const RESULT: &str = "Monitor Result";

/// The longest that telling of one run may take. Waiting for another environment that tells of the same is a part of it.
const TIME: Duration = Duration::from_secs(45);
/// Kept of the invocation's time for its answer.
const FOR_THE_ANSWER: Duration = Duration::from_millis(200);

/// Where events of runs go, and the statuses that they are compared with.
#[derive(Debug)]
pub(crate) struct Announcer {
    events: ResultEvents,
    bus: EventBus,
    statuses: Statuses,
}

impl Announcer {
    /// Where `config` says; `None` if it wants no events. Nothing connects yet.
    pub(crate) fn new(
        config: &Config,
        aws: &aws_types::SdkConfig,
        memory: &Cache,
    ) -> Result<Option<Self>, InvalidCacheSettings> {
        let Announcements {
            events,
            bus,
            bucket,
            function,
        } = &config.announcements;
        if *events == ResultEvents::None {
            return Ok(None);
        }
        let bucket = bucket.as_deref();
        let bucket = bucket.map(|bucket| (aws_sdk_s3::Client::new(aws), bucket));
        Ok(Some(Self {
            events: *events,
            bus: EventBus::new(aws, bus, function),
            statuses: Statuses::new(function, &config.cache, bucket, memory)?,
        }))
    }

    async fn send(&self, finding: &Finding) -> Told {
        let mut told = self.statuses.update(finding, &self.bus).await;
        if self.events == ResultEvents::All {
            let sent = self.bus.send(RESULT, &finding.result_detail()).await;
            if let Err(error) = sent {
                let (monitor, error) = (&finding.monitor, format!("{error:#}"));
                tracing::error!(monitor, error, "Failed to send the result");
                told.failed_events += 1;
            }
        }
        told
    }
}

/// Tells of a run: its log line and metrics, and by `announcer` its events. Never fails; what could not be sent is counted.
pub(crate) async fn announce(
    announcer: Option<&Announcer>,
    finding: &Finding,
    invocation: &Invocation,
    metrics: &mut Metrics,
) {
    log_record("Monitor result", finding.log_fields());
    let monitor = &finding.monitor;
    let own = finding.metrics();
    if own.left_out > 0 {
        let left_out = own.left_out;
        tracing::warn!(
            monitor,
            left_out,
            "Some of the result's metrics are left out"
        );
    }
    invocation.metrics("Monitor", monitor, own);
    let Some(announcer) = announcer else {
        return;
    };
    let left = invocation.deadline.time_to_work();
    let time = left.saturating_sub(FOR_THE_ANSWER).min(TIME);
    if let Ok(told) = tokio::time::timeout(time, announcer.send(finding)).await {
        metrics.event_errors += told.failed_events;
        metrics.status_errors += told.status_errors;
    } else {
        let ms = time.as_millis();
        tracing::error!(monitor, "Gave up sending events: not done within {ms} ms");
        metrics.event_errors += 1;
    }
}
