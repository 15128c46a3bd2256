//! Runs monitors: verified binaries that are downloaded when they change, and not before.

mod answer;
mod config;
mod event;
mod monitor;
mod output;

use std::{collections::BTreeMap, time::Duration};

use futures_util::{StreamExt as _, stream};
use larder_artifact::{Artifacts, Cache, Ensured, Homes, harden};
use larder_lambda::{Error, Function, Invocation};
use metrique_writer::{Entry, unit::AsBytes};

pub use answer::{Answer, Failure, Outcome, Run};
pub use config::Config;
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
    downloaded_bytes: AsBytes<u64>,
    bytes_not_downloaded: AsBytes<u64>,
    ensure_time: Duration,
    execution_time: Duration,
}

/// The function: its settings and the binaries that it knows.
#[derive(Debug)]
pub struct App {
    config: Config,
    artifacts: Artifacts,
    homes: Homes,
}

impl App {
    /// Closes the process to its children and prepares the cache. Neither downloads nor connects.
    pub fn new(config: Config) -> anyhow::Result<Self> {
        harden()?;
        let artifacts = Artifacts::new(config.artifacts.clone())?;
        let homes = Homes::new(&config.cache_dir);
        Ok(Self {
            config,
            artifacts,
            homes,
        })
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
            .map(async |(at, name)| (at, monitor::run(self, name, invocation).await))
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
        *self.downloaded_bytes += *other.downloaded_bytes;
        *self.bytes_not_downloaded += *other.bytes_not_downloaded;
        self.ensure_time += other.ensure_time;
        self.execution_time += other.execution_time;
    }
}
