//! The port to CloudTrail: `LookupEvents`, two a second.
//!
//! Source of the limits: "`LookupEvents`" in the AWS CloudTrail API Reference: 2 requests a second for each account and Region,
//! 50 events a page, 90 days, one attribute a request, newest first.

use std::{collections::VecDeque, time::Duration};

use aws_sdk_cloudtrail::{
    Client,
    error::{DisplayErrorContext, ProvideErrorMetadata as _, SdkError},
    operation::lookup_events::{LookupEventsError, LookupEventsOutput},
    types::{Event, LookupAttribute, LookupAttributeKey},
};
use aws_smithy_types::{DateTime, retry::RetryConfig, timeout::TimeoutConfig};
use aws_types::{SdkConfig, region::Region};
use backon::{BackoffBuilder as _, ExponentialBuilder};
use jiff::Timestamp;
use tokio::{sync::Mutex, time::Instant};

use crate::{instance::InstanceId, observation::Transition, trail::parse_record};

/// How far back events can be looked up: 90 days.
pub const HORIZON: jiff::SignedDuration = jiff::SignedDuration::from_hours(90 * 24);

/// So many requests may begin within [`SECOND`].
const RATE: usize = 2;
/// A little more than one: the service counts at its end of a network that delays one request more than another.
const SECOND: Duration = Duration::from_millis(1_050);
/// A page may take half a minute in a large Region.
const ATTEMPT: Duration = Duration::from_secs(40);
/// How often a page is asked for again.
const RETRIES: usize = 6;

/// A client of CloudTrail in one Region.
#[derive(Debug)]
pub struct Trail {
    client: Client,
    /// When the last requests began.
    begun: Mutex<VecDeque<Instant>>,
}

/// What events are looked up by: one of these, and no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By<'a> {
    /// Their name, whichever instance they are of.
    Name(&'a str),
    /// An instance that they name.
    Instance(&'a InstanceId),
}

/// A page of events, as far as they start or stop instances.
#[derive(Clone, Debug, Default)]
pub struct TrailPage {
    /// What they did.
    pub transitions: Vec<Transition>,
    /// The moment of the oldest event: all that are younger and within the range have been seen.
    pub oldest: Option<Timestamp>,
    /// How many could not be read.
    pub unreadable: usize,
    /// What to ask for the next page with, if there is one.
    pub next: Option<String>,
}

/// CloudTrail could not be asked, or refused.
#[derive(Debug, thiserror::Error)]
#[error("LookupEvents failed: {}", DisplayErrorContext(.0))]
pub struct TrailError(Box<SdkError<LookupEventsError>>);

impl TrailError {
    /// Whether another try may succeed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        let refused = self.0.as_service_error();
        let code = refused
            .and_then(|refused| refused.code())
            .unwrap_or_default();
        match &*self.0 {
            SdkError::ConstructionFailure(_) => false,
            SdkError::ServiceError(answer) => {
                code.contains("Throttl")
                    || code.contains("LimitExceeded")
                    || answer.raw().status().is_server_error()
            }
            _ => true,
        }
    }

    /// Whether the token for the next page is not known any more.
    #[must_use]
    pub fn is_lost_token(&self) -> bool {
        let refused = self.0.as_service_error();
        refused.is_some_and(LookupEventsError::is_invalid_next_token_exception)
    }
}

impl Trail {
    /// In `region`, with the credentials and the endpoint of `config`. Whoever asks in one Region should share one.
    #[must_use]
    pub fn new(config: &SdkConfig, region: &str) -> Self {
        let config = aws_sdk_cloudtrail::config::Builder::from(config)
            .region(Region::new(region.to_owned()))
            // Each try has to wait for its turn: they are made here.
            .retry_config(RetryConfig::disabled())
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(Duration::from_secs(2))
                    .operation_attempt_timeout(ATTEMPT)
                    // There is one attempt: nothing shorter is inherited.
                    .operation_timeout(ATTEMPT)
                    .build(),
            )
            .build();
        Self {
            client: Client::from_conf(config),
            begun: Mutex::default(),
        }
    }

    /// One page of the events between `from` and `until`, newest first.
    pub async fn page(
        &self,
        by: By<'_>,
        (from, until): (Timestamp, Timestamp),
        next: Option<&str>,
    ) -> Result<TrailPage, TrailError> {
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(500))
            .with_max_delay(Duration::from_secs(8))
            .with_max_times(RETRIES)
            .with_jitter()
            .build();
        loop {
            self.turn().await;
            let error = match self.ask(by, (from, until), next).await {
                Ok(answer) => return Ok(read(answer)),
                Err(error) => TrailError(Box::new(error)),
            };
            match pauses.next().filter(|_| error.is_transient()) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(error),
            }
        }
    }

    async fn ask(
        &self,
        by: By<'_>,
        (from, until): (Timestamp, Timestamp),
        next: Option<&str>,
    ) -> Result<LookupEventsOutput, SdkError<LookupEventsError>> {
        let (key, value) = match by {
            By::Name(name) => (LookupAttributeKey::EventName, name),
            By::Instance(instance) => (LookupAttributeKey::ResourceName, instance.as_str()),
        };
        let attribute = LookupAttribute::builder()
            .attribute_key(key)
            .attribute_value(value)
            .build()
            .map_err(SdkError::construction_failure)?;
        self.client
            .lookup_events()
            .lookup_attributes(attribute)
            .start_time(DateTime::from_secs(from.as_second()))
            .end_time(DateTime::from_secs(until.as_second()))
            .max_results(50)
            .set_next_token(next.map(str::to_owned))
            .send()
            .await
    }

    /// Waits until another request may begin. Whoever comes first is first.
    async fn turn(&self) {
        let mut begun = self.begun.lock().await;
        if begun.len() >= RATE
            && let Some(earliest) = begun.pop_front()
        {
            tokio::time::sleep_until(earliest + SECOND).await;
        }
        begun.push_back(Instant::now());
    }
}

fn read(answer: LookupEventsOutput) -> TrailPage {
    let mut page = TrailPage {
        next: answer.next_token.filter(|token| !token.is_empty()),
        ..TrailPage::default()
    };
    for event in answer.events.unwrap_or_default() {
        let at = event
            .event_time
            .and_then(|at| Timestamp::from_second(at.secs()).ok());
        page.oldest = page.oldest.into_iter().chain(at).min();
        match parse_record(
            event.cloud_trail_event().unwrap_or_default(),
            &instances(&event),
        ) {
            Ok(transitions) => page.transitions.extend(transitions),
            Err(error) => {
                let id = event.event_id().unwrap_or("without an id");
                tracing::warn!(event.id = id, %error, "An event cannot be read");
                page.unreadable += 1;
            }
        }
    }
    page
}

/// The instances that CloudTrail's index names for an event.
fn instances(event: &Event) -> Vec<InstanceId> {
    let resources = event.resources().iter();
    let named = resources.filter(|it| it.resource_type() == Some("AWS::EC2::Instance"));
    named
        .filter_map(|it| it.resource_name()?.parse().ok())
        .collect()
}
