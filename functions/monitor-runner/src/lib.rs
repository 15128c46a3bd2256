//! Runs monitors: verified binaries that are downloaded when they change, and not before.

mod announce;
mod answer;
mod config;
mod event;
mod event_bus;
mod finding;
mod monitor;
mod output;
mod redact;
mod secrets;
mod status;

use std::{collections::BTreeMap, time::Duration};

use aws_types::SdkConfig;
use futures_util::{StreamExt as _, stream};
use larder_artifact::{Artifacts, Cache, Ensured, Homes, harden};
use larder_lambda::{Error, Function, Invocation, Parameters};
use metrique_writer::{Entry, unit::AsBytes};
use secrecy::SecretString;

use announce::{Announcer, announce};
use secrets::Secrets;

pub use answer::{Answer, Failure, Outcome, Run};
pub use config::{Announcements, ChildEnv, Config, ResultEvents};
pub use event::{Event, MonitorName};
pub use output::find_result;

/// How many monitors of one event run at a time. They wait for the network, not for the processor.
const AT_A_TIME: usize = 4;

/// What one invocation counts.
#[derive(Debug, Default, Entry)]
#[entry(rename_all = "PascalCase")]
pub struct Metrics {
    hits: u64,
    misses: u64,
    stale: u64,
    monitor_errors: u64,
    event_errors: u64,
    status_errors: u64,
    downloaded_bytes: AsBytes<u64>,
    bytes_not_downloaded: AsBytes<u64>,
    ensure_time: Duration,
    execution_time: Duration,
}

/// The function: its settings, the binaries that it knows, and those who are told of runs.
#[derive(Debug)]
pub struct App {
    config: Config,
    artifacts: Artifacts,
    homes: Homes,
    secrets: Option<Secrets>,
    announcer: Option<Announcer>,
}

impl App {
    /// Closes the process to its children and prepares the cache. Neither downloads nor connects.
    pub fn new(config: Config, aws: &SdkConfig) -> anyhow::Result<Self> {
        harden()?;
        let memory = status::memory();
        let artifacts = Artifacts::new(config.artifacts.clone(), &memory)?;
        let homes = Homes::new(&config.cache_dir);
        let announcer = Announcer::new(&config, aws, &memory)?;
        let names = config.child_env.parameters.clone();
        let secrets = if names.is_empty() {
            None
        } else {
            Some(Secrets::new(names, Parameters::new(aws)?, &memory))
        };
        Ok(Self {
            config,
            artifacts,
            homes,
            secrets,
            announcer,
        })
    }

    /// The monitors' secrets, by the name of their variable.
    async fn secrets(&self) -> anyhow::Result<BTreeMap<String, SecretString>> {
        match &self.secrets {
            Some(secrets) => secrets.read().await,
            None => Ok(BTreeMap::new()),
        }
    }

    /// Runs a monitor, and tells people of it.
    async fn run(&self, name: MonitorName, invocation: &Invocation) -> (Outcome, Metrics) {
        let ran = monitor::run(self, name, invocation).await;
        let mut metrics = ran.metrics;
        let announcer = self.announcer.as_ref();
        announce(announcer, &ran.finding, invocation, &mut metrics).await;
        (ran.outcome, metrics)
    }
}

impl Function for App {
    type Event = Event;
    type Answer = Answer;
    type Metrics = Metrics;

    async fn handle(
        &self,
        event: Event,
        invocation: &Invocation,
        metrics: &mut Metrics,
    ) -> Result<Answer, Error> {
        let monitors = match event {
            Event::Scheduled => self.config.monitors.clone(),
            Event::Monitors(monitors) => monitors,
        };
        // In whatever order they end, so that one that hangs keeps no other from its turn.
        let mut runs = stream::iter(monitors.into_iter().enumerate())
            .map(async |(at, name)| (at, self.run(name, invocation).await))
            .buffer_unordered(AT_A_TIME);
        let mut outcomes = BTreeMap::new();
        while let Some((at, (outcome, counted))) = runs.next().await {
            metrics.add(&counted);
            outcomes.insert(at, outcome);
        }
        Answer::of(outcomes.into_values().collect())
    }
}

impl Metrics {
    /// Counts a binary that it took `time` to have ready.
    fn count(&mut self, ensured: &Ensured, time: Duration) {
        match ensured.cache {
            Cache::Hit => self.hits += 1,
            Cache::Miss(_) => self.misses += 1,
            Cache::Stale { .. } => self.stale += 1,
        }
        *self.downloaded_bytes += ensured.downloaded_bytes;
        if !matches!(ensured.cache, Cache::Miss(_)) {
            *self.bytes_not_downloaded += ensured.size;
        }
        self.ensure_time += time;
    }

    fn add(&mut self, other: &Self) {
        self.hits += other.hits;
        self.misses += other.misses;
        self.stale += other.stale;
        self.monitor_errors += other.monitor_errors;
        self.event_errors += other.event_errors;
        self.status_errors += other.status_errors;
        *self.downloaded_bytes += *other.downloaded_bytes;
        *self.bytes_not_downloaded += *other.bytes_not_downloaded;
        self.ensure_time += other.ensure_time;
        self.execution_time += other.execution_time;
    }
}
