//! Running minutes of EC2 servers: once an hour, for all of them, by a number of calls that does not grow with their number.

mod answer;
mod config;
mod event;
mod gather;
mod region;
mod server;
mod write_through;

use aws_types::SdkConfig;
use futures_util::future::join_all;
use jiff::Timestamp;
use larder::{Cache, CacheBuilder, Space};
use larder_lambda::{Deadline, Error, ErrorKind, Function, Invocation};
use metrique_writer::Entry;
use runtime_ledger::{
    Clients, Month, Region,
    ledger::Ledger,
    lookup::HORIZON,
    minutes_cache::{self, MINUTES, MinutesKey},
    servers::{CachedMinutes, Servers},
};

pub use answer::{Answer, Counts};
pub use config::Config;
pub use event::Event;

/// What one invocation counts.
#[derive(Debug, Default, Entry)]
#[entry(rename_all = "PascalCase")]
pub struct Metrics {
    servers: u64,
    processed: u64,
    server_errors: u64,
    pending: u64,
    bounded: u64,
    lookups: u64,
}

/// The function: its settings, its clients, and the cache that it writes through to.
#[derive(Debug)]
pub struct App {
    config: Config,
    regions: Vec<Region>,
    ledger: Ledger,
    servers: Servers,
    /// The tiers that readers share, where there are any.
    cache: Option<Cache>,
    minutes: Option<Space<MinutesKey, CachedMinutes>>,
}

impl App {
    /// Makes the clients. None of them connects.
    pub fn new(config: Config, aws: &SdkConfig) -> anyhow::Result<Self> {
        let Clients {
            regions,
            ledger,
            servers,
        } = Clients::new(&config.runtime, aws)?;
        let cache = config.cache.builder(minutes_cache::APP, None)?;
        let cache = cache.shared_only().map(CacheBuilder::build);
        Ok(Self {
            config,
            regions,
            ledger,
            servers,
            minutes: cache.as_ref().map(|cache| cache.space(&MINUTES)),
            cache,
        })
    }

    /// Computes what `event` asks for, as of `now`; all Regions at once, and none stops another.
    pub async fn calculate(
        &self,
        event: &Event,
        now: Timestamp,
        deadline: &Deadline,
    ) -> Result<Counts, Error> {
        self.check(event, now)?;
        let regions = self.regions.iter();
        let outcomes = regions.map(|region| self.calculate_in(region, event, now, deadline));
        let outcomes = join_all(outcomes).await;
        let (mut counts, mut first) = (Counts::default(), None);
        for (region, outcome) in self.regions.iter().zip(outcomes) {
            match outcome {
                Ok(of) => counts = counts.plus(of),
                Err(failed) => {
                    let error = format!("{:#}", failed.error);
                    tracing::error!(region = region.name, error, "A Region failed");
                    counts = counts.plus(failed.counts);
                    first.get_or_insert(error);
                }
            }
        }
        match first {
            Some(error) if counts.processed + counts.pending == 0 => {
                Err(Error::message(ErrorKind::Upstream, error))
            }
            _ if counts.errors > 0 && counts.errors == counts.total_servers => {
                let message = format!(
                    "none of {} servers could be written: see the log",
                    counts.errors
                );
                Err(Error::message(ErrorKind::Upstream, message))
            }
            _ => Ok(counts),
        }
    }

    /// Refuses a month of which nothing can be known.
    fn check(&self, event: &Event, now: Timestamp) -> Result<(), Error> {
        let Some(month) = event.month else {
            return Ok(());
        };
        let zone = &self.config.runtime.zone;
        let problem = if month > Month::of(now, zone) {
            "lies in the future"
        } else if month.end(zone) < now - HORIZON {
            "ended more than 90 days ago, which is as far back as CloudTrail goes; ask runtime-events for its history"
        } else {
            return Ok(());
        };
        let message = format!("field `month`: {month} {problem}");
        Err(Error::message(ErrorKind::BadRequest, message))
    }
}

impl Function for App {
    type Event = Event;
    type Answer = Answer;
    type Metrics = Metrics;

    fn cache(&self) -> Option<&Cache> {
        self.cache.as_ref()
    }

    async fn handle(
        &self,
        event: Event,
        invocation: &Invocation,
        metrics: &mut Metrics,
    ) -> Result<Answer, Error> {
        let now = Timestamp::now();
        let counts = self.calculate(&event, now, &invocation.deadline).await?;
        *metrics = Metrics {
            servers: count(counts.total_servers),
            processed: count(counts.processed),
            server_errors: count(counts.errors),
            pending: count(counts.pending),
            bounded: count(counts.bounded),
            lookups: count(counts.lookups),
        };
        Ok(counts.into())
    }
}

fn count(of: usize) -> u64 {
    u64::try_from(of).unwrap_or(u64::MAX)
}
