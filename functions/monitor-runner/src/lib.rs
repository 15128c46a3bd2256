//! Runs monitors: verified binaries that are downloaded when they change, and not before.

mod answer;
mod config;
mod event;
mod monitor;
mod output;

use futures_util::{StreamExt as _, stream};
use larder_artifact::{Artifacts, harden};
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
    ensure_time: std::time::Duration,
    execution_time: std::time::Duration,
}

/// The function: its settings and the binaries that it knows.
#[derive(Debug)]
pub struct App {
    config: Config,
    artifacts: Artifacts,
}

impl App {
    /// Closes the process to its children and prepares the cache. Neither downloads nor connects.
    pub fn new(config: Config) -> anyhow::Result<Self> {
        harden()?;
        let artifacts = Artifacts::new(config.artifacts.clone())?;
        Ok(Self { config, artifacts })
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
        let outcomes: Vec<Outcome> = stream::iter(monitors)
            .map(|name| monitor::run(&self.config, &self.artifacts, name, invocation))
            .buffered(AT_A_TIME)
            .collect()
            .await;
        for outcome in &outcomes {
            metrics.count(outcome);
        }
        Answer::of(outcomes)
    }
}

impl Metrics {
    fn count(&mut self, outcome: &Outcome) {
        let run = match outcome {
            Outcome::Ran(run) => run,
            Outcome::Failed(_) => {
                self.monitor_errors += 1;
                return;
            }
        };
        match run.cache {
            "miss" => self.misses += 1,
            "stale" => self.stale += 1,
            _ => self.hits += 1,
        }
        *self.downloaded_bytes += run.downloaded_bytes;
        if run.cache != "miss" {
            *self.bytes_not_downloaded += run.binary_size;
        }
        self.ensure_time += run.ensure;
        self.execution_time += run.execution;
    }
}
