//! Records state changes of EC2 servers, and answers how many minutes they ran: from the cache, or by computing it.

mod answer;
mod calculate;
mod config;
mod event;
mod popular;
mod read;

use std::time::Duration;

use aws_types::SdkConfig;
use jiff::Timestamp;
use larder::{Cache, Space};
use larder_lambda::{Deadline, Error, ErrorKind, Function, Invocation, Kind as _};
use metrique_writer::Entry;
use runtime_ledger::{
    Clients, InstanceId, Month, Region, StateChange,
    ledger::Ledger,
    minutes_cache::{self, MINUTES, MinutesKey},
    servers::{CachedMinutes, Servers, Written},
};

pub use answer::{Answer, History, Ignored, OfMonth, Reading, Source};
use calculate::Calculated;
pub use config::Config;
pub use event::Event;
use popular::Reads;
use read::reading;

/// Kept of an invocation's time for an answer with what is cached, if computing takes too long.
const FOR_THE_ANSWER: Duration = Duration::from_secs(2);

/// What one invocation counts.
#[derive(Debug, Default, Entry)]
#[entry(rename_all = "PascalCase")]
pub struct Metrics {
    changes: u64,
    cached: u64,
    calculated: u64,
    ignored: u64,
}

/// The function: its settings, its clients and its cache.
#[derive(Debug)]
pub struct App {
    config: Config,
    regions: Vec<Region>,
    ledger: Ledger,
    servers: Servers,
    cache: Cache,
    minutes: Space<MinutesKey, CachedMinutes>,
    reads: Reads,
}

impl App {
    /// Makes the clients and the cache. None of them connects.
    pub fn new(config: Config, aws: &SdkConfig) -> anyhow::Result<Self> {
        let Clients {
            regions,
            ledger,
            servers,
        } = Clients::new(&config.runtime, aws)?;
        let cache = config.cache.builder(minutes_cache::APP, None)?.build();
        Ok(Self {
            regions,
            ledger,
            servers,
            minutes: cache.space(&MINUTES),
            cache,
            reads: Reads::default(),
            config,
        })
    }

    /// What `event` comes to, as of `now`.
    pub async fn answer(
        &self,
        event: Event,
        (now, deadline): (Timestamp, &Deadline),
        metrics: &mut Metrics,
    ) -> Result<Answer, Error> {
        match event {
            Event::Changed(change) => self.changed(&change, (now, deadline), metrics).await,
            Event::Read(instance) => self.read(&instance, now, metrics).await,
            Event::History { instance, from, to } => {
                let totals = self.ledger.history(&instance, (from, to)).await;
                let totals = totals.kind(ErrorKind::Upstream)?;
                let zone = &self.config.runtime.zone;
                Ok(Answer::History(History {
                    history: totals
                        .iter()
                        .map(|total| OfMonth::of(total, zone))
                        .collect(),
                    instance_id: instance,
                }))
            }
            Event::Warm => self.warm(now).await,
        }
    }

    /// Answers with what is cached, if it is not too old; computes it otherwise.
    async fn read(
        &self,
        instance: &InstanceId,
        now: Timestamp,
        metrics: &mut Metrics,
    ) -> Result<Answer, Error> {
        self.reads.count(instance);
        if let Some(cached) = self.cached(instance, now).await? {
            metrics.cached += 1;
            return Ok(Answer::Minutes(reading(&cached, instance, None)));
        }
        metrics.calculated += 1;
        let calculated = self.calculate(instance, None, now).await?;
        let missing = || {
            let tag = &self.config.runtime.tag_key;
            let message = format!(
                "{instance} is no server: no instance with the tag {tag} has this id in {}",
                self.region_names()
            );
            Error::message(ErrorKind::NotFound, message)
        };
        let calculated = calculated.ok_or_else(missing)?;
        self.keep(instance, &calculated, now).await;
        Ok(Answer::Minutes(calculated.reading(instance)))
    }

    /// Records a change, and has the minutes that follow from it at hand.
    async fn changed(
        &self,
        change: &StateChange,
        (now, deadline): (Timestamp, &Deadline),
        metrics: &mut Metrics,
    ) -> Result<Answer, Error> {
        metrics.changes += 1;
        let recorded = self
            .ledger
            .record(&change.region, &[change.transition()])
            .await;
        // EventBridge sends it again after an error.
        recorded.kind(ErrorKind::Upstream)?;
        let instance = &change.instance;
        let cached = self.cached(instance, now).await?;
        let time = deadline.time_to_work().saturating_sub(FOR_THE_ANSWER);
        let calculated = self.calculate(instance, Some(&change.region), now);
        let calculated = tokio::time::timeout(time, calculated).await;
        let late = |_| {
            let late = "computing the minutes takes too long";
            Err(Error::message(ErrorKind::Timeout, late))
        };
        let calculated = match calculated.unwrap_or_else(late) {
            Ok(calculated) => calculated,
            // It is recorded, there is an answer, and the next hour puts it right.
            Err(error) if cached.is_some() => {
                tracing::warn!(%instance, %error, "The minutes could not be computed anew");
                None
            }
            Err(error) => return Err(error),
        };
        if let Some(calculated) = &calculated {
            self.keep(instance, calculated, now).await;
        }
        let state = Some(change.state.as_str());
        match (cached, calculated) {
            (Some(cached), _) => {
                metrics.cached += 1;
                Ok(Answer::Minutes(reading(&cached, instance, state)))
            }
            (None, Some(calculated)) => {
                metrics.calculated += 1;
                Ok(Answer::Minutes(Reading {
                    state,
                    ..calculated.reading(instance)
                }))
            }
            (None, None) => {
                metrics.ignored += 1;
                Ok(Answer::Ignored(Ignored {
                    instance_id: instance.clone(),
                    state: change.state.as_str(),
                    ignored: format!("it has not the tag {}", self.config.runtime.tag_key),
                }))
            }
        }
    }

    /// Puts what was computed where it is read next. That it could not be is no error: it is computed again.
    async fn keep(&self, instance: &InstanceId, calculated: &Calculated, now: Timestamp) {
        if !calculated.is_new {
            return;
        }
        let minutes = calculated.total.minutes();
        let create = !calculated.is_over();
        let key = self.key(instance, now);
        let start = self.minutes.begin_put(&key);
        match self.servers.set(instance, minutes, now, create).await {
            // Something newer is there.
            Ok(Written::Refused) if create => return,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%instance, %error, "The minutes could not be cached");
            }
        }
        let value = CachedMinutes {
            minutes: minutes.as_f64(),
            at: now,
        };
        let put = self.minutes.put_since(&key, value.into(), start).await;
        if let Err(error) = put {
            tracing::warn!(%instance, %error, "The minutes could not be cached");
        }
    }

    /// Where the minutes of the present month are in the cache.
    fn key(&self, instance: &InstanceId, now: Timestamp) -> MinutesKey {
        minutes_cache::key(instance, Month::of(now, &self.config.runtime.zone))
    }

    fn region_names(&self) -> String {
        let names: Vec<_> = self
            .regions
            .iter()
            .map(|region| region.name.as_str())
            .collect();
        names.join(", ")
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
        let now = Timestamp::now();
        let when = (now, &invocation.deadline);
        let answer = self.answer(event, when, metrics).await?;
        if let Some(flush) = self.reads.flush(&self.ledger, now) {
            invocation.after_response(flush);
        }
        Ok(answer)
    }
}
