//! The smart read: what is cached, if it is of this month and not too old.

use std::time::Duration;

use jiff::Timestamp;
use larder::{Load, Loaded};
use larder_lambda::{Error, ErrorKind};
use runtime_ledger::{
    InstanceId, Month,
    servers::{CachedMinutes, age},
};

use crate::{
    App,
    answer::{Reading, Source},
};

/// What is answered with `cached` minutes.
pub(crate) fn reading(
    cached: &CachedMinutes,
    instance: &InstanceId,
    state: Option<&'static str>,
) -> Reading {
    Reading {
        instance_id: instance.clone(),
        state,
        minutes: cached.minutes,
        timestamp: Some(cached.at),
        source: Source::Cache,
        upper: None,
    }
}

impl App {
    /// What is cached of `instance`, if it may be used. A zero is a value like any other.
    pub(crate) async fn cached(
        &self,
        instance: &InstanceId,
        now: Timestamp,
    ) -> Result<Option<CachedMinutes>, Error> {
        let Some(mut cached) = self.at_hand(instance, now).await? else {
            return Ok(None);
        };
        if self.is_stale(&cached, now) {
            // The table may have a newer one than what is in front of it.
            let key = self.key(instance, now);
            let expired = self.minutes.expire(&key).await;
            drop(expired.map_err(|error| tracing::warn!(%error, "The cache could not be told")));
            match self.at_hand(instance, now).await? {
                Some(newer) => cached = newer,
                None => return Ok(None),
            }
        }
        let hours = age(cached.at, now).as_secs_f64() / 3_600.0;
        if self.is_stale(&cached, now) {
            tracing::info!(
                "Cache is stale for {instance} (age: {hours:.1} hours), falling back to calculation"
            );
            return Ok(None);
        }
        let minutes = cached.minutes;
        tracing::info!(
            "Using cached value for {instance}: {minutes:.2} minutes (age: {hours:.1} hours)"
        );
        Ok(Some(cached))
    }

    fn is_stale(&self, cached: &CachedMinutes, now: Timestamp) -> bool {
        let limit = self.config.max_age.unwrap_or(Duration::MAX);
        age(cached.at, now) > limit
    }

    /// What the cache has, or else the servers' table.
    pub(crate) async fn at_hand(
        &self,
        instance: &InstanceId,
        now: Timestamp,
    ) -> Result<Option<CachedMinutes>, Error> {
        let (servers, of) = (self.servers.clone(), instance.clone());
        let zone = self.config.runtime.zone.clone();
        let month = Month::of(now, &zone);
        let load = async move |_: Load<CachedMinutes>| {
            let found = servers.get(&of).await?;
            // What was computed in an earlier month is of that month.
            let found = found.filter(|it| Month::of(it.at, &zone) == month);
            Ok::<_, runtime_ledger::TableError>(found.map_or(Loaded::Absent, Loaded::from))
        };
        let got = self
            .minutes
            .get_or_load(&self.key(instance, now), load)
            .await;
        match got {
            Ok(got) => Ok(got.map(|got| *got.value)),
            Err(error) => Err(Error::new(ErrorKind::Upstream, error)),
        }
    }
}
