//! Which servers' minutes are read most, and having those at hand.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures_util::FutureExt as _;
use jiff::{Timestamp, tz::TimeZone};
use larder_lambda::{Error, ErrorKind, Kind as _};
use runtime_ledger::{InstanceId, ledger::Ledger};

use crate::{App, answer::Answer};

/// So many reads are counted before they are written down: what is read often is counted well, and the rest does not matter.
const ENOUGH: u32 = 20;
/// So many servers are kept at hand.
const MOST: usize = 100;
/// For no longer than this.
const WARMING: Duration = Duration::from_secs(20);

/// Reads that were not written down yet.
#[derive(Debug, Default)]
pub(crate) struct Reads(Mutex<HashMap<InstanceId, u32>>);

impl Reads {
    pub(crate) fn count(&self, instance: &InstanceId) {
        let mut reads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *reads.entry(instance.clone()).or_default() += 1;
    }

    /// Writes them down, if there are enough of them.
    pub(crate) fn flush(
        &self,
        ledger: &Ledger,
        now: Timestamp,
    ) -> Option<impl Future<Output = ()> + Send + 'static> {
        let reads = {
            let mut reads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if reads.values().sum::<u32>() < ENOUGH {
                return None;
            }
            std::mem::take(&mut *reads)
        };
        let (ledger, day) = (ledger.clone(), now.to_zoned(TimeZone::UTC).date());
        Some(async move {
            if let Err(error) = ledger.count_reads(day, reads).await {
                tracing::warn!(%error, "Reads could not be counted");
            }
        })
    }
}

impl App {
    /// Has the minutes at hand of those servers that were read most today and yesterday.
    pub(crate) async fn warm(&self, now: Timestamp) -> Result<Answer, Error> {
        let today = now.to_zoned(TimeZone::UTC).date();
        let yesterday = today.yesterday().unwrap_or(today);
        let days = [today, yesterday].map(|day| self.ledger.most_read(day, MOST));
        let [today, yesterday] = days;
        let (today, yesterday) = tokio::try_join!(today, yesterday).kind(ErrorKind::Upstream)?;
        let mut servers = today;
        servers.extend(yesterday);
        let mut seen = std::collections::HashSet::new();
        servers.retain(|instance| seen.insert(instance.clone()));
        servers.truncate(MOST);
        let plan = servers.iter().map(|instance| {
            async move {
                // What cannot be had now is read when it is wanted.
                let _ = self.at_hand(instance, now).await;
            }
            .boxed()
        });
        let warmed = self.cache.warm(plan, WARMING).await;
        Ok(Answer::Warmed {
            warmed: warmed.done,
        })
    }
}
