//! The smart read: what is cached, if it is of this month and not too old.

use std::time::Duration;

use jiff::Timestamp;
use larder::{Load, Loaded};
use larder_lambda::{Error, ErrorKind};
use runtime_ledger::{InstanceId, Month, servers::age};
use serde::{Deserialize, Serialize};

use crate::{
    App,
    answer::{InstanceText, Reading, Source},
};

/// A server's minutes and when they were computed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Minutes {
    pub(crate) minutes: f64,
    pub(crate) at: Timestamp,
}

impl Minutes {
    pub(crate) fn reading(&self, instance: &InstanceId, state: Option<&'static str>) -> Reading {
        Reading {
            instance_id: InstanceText(instance.clone()),
            state,
            minutes: self.minutes,
            timestamp: Some(self.at),
            source: Source::Cache,
            upper: None,
        }
    }
}

impl App {
    /// What is cached of `instance`, if it may be used. A zero is a value like any other.
    pub(crate) async fn cached(
        &self,
        instance: &InstanceId,
        now: Timestamp,
    ) -> Result<Option<Minutes>, Error> {
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

    fn is_stale(&self, cached: &Minutes, now: Timestamp) -> bool {
        let limit = self.config.max_age.unwrap_or(Duration::MAX);
        age(cached.at, now) > limit
    }

    /// What the cache has, or else the servers' table.
    pub(crate) async fn at_hand(
        &self,
        instance: &InstanceId,
        now: Timestamp,
    ) -> Result<Option<Minutes>, Error> {
        let (servers, of) = (self.servers.clone(), instance.clone());
        let zone = self.config.runtime.zone.clone();
        let month = Month::of(now, &zone);
        let load = async move |_: Load<Minutes>| {
            let found = servers.get(&of).await?;
            // What was computed in an earlier month is of that month.
            let found = found.filter(|it| Month::of(it.at, &zone) == month);
            let minutes = found.map(|it| Minutes {
                minutes: it.minutes,
                at: it.at,
            });
            Ok::<_, runtime_ledger::TableError>(minutes.map_or(Loaded::Absent, Loaded::from))
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
