//! The last status known of each monitor, and the one event for each change of it.
//!
//! Where a tier is shared, its word counts, whatever this process remembers: status and lock are read there, so that of all
//! environments that see a change, one sends the event. A status is written once its event was sent: an event that could
//! not be sent is sent by the next run. Where the tier is away, each process goes by what it knows itself: the event is
//! rather sent by several environments than by none.
//!
//! Of runs that overlap, one may see a change and another, which began before, not yet. So a status is kept with when its
//! run began, and what an earlier run found is no change of it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use larder::{
    Cache, CacheBuilder, CacheSettings, Error, InvalidCacheSettings, Keyspace, Loaded, Lock,
    Lookup, Policy, Refresh, Space,
    tier::{Tier, s3::S3},
};
use serde::{Deserialize, Serialize};

use crate::{
    event_bus::{EventBus, SEND_TIME},
    finding::{Finding, OK},
};

/// The application's name in shared tiers.
const APP: &str = "monitor-runner";
/// The names of all objects in the bucket begin with this.
const S3_PREFIX: &str = "monitor-runner/";
/// A status that is renewed no more is forgotten after this time.
const LIFE: Duration = Duration::from_hours(30 * 24);
/// A status that stays the same is written again after this time, so that it is not forgotten.
const RENEWAL: Duration = Duration::from_hours(24);
/// The longest that a change may be locked: sending an event, and what is read and written before and after.
const LOCK_TIME: Duration = SEND_TIME.saturating_add(Duration::from_secs(10));
/// The longest that an invocation takes: what began that much earlier has ended.
const LONGEST_RUN: SignedDuration = SignedDuration::from_mins(15);
/// Between two attempts to take a lock.
const LOCK_PAUSE: Duration = Duration::from_millis(100);
/// Room for statuses, secrets and releases' metadata in this process's memory.
const MEMORY: u64 = 4 << 20;

/// The detail type of the event.
const CHANGED: &str = "Monitor Status Changed";

/// By function and monitor: two functions may share a tier.
type StatusKey = (String, String);

static STATUSES: Keyspace<StatusKey, LastStatus> =
    Keyspace::new("status", 1, Policy::fresh(LIFE).refresh(Refresh::Never));

/// This process's own cache, for what no other process is to read.
pub(crate) fn memory() -> Cache {
    Cache::builder(APP).memory(MEMORY).build()
}

/// The statuses that are known.
#[derive(Debug)]
pub(crate) struct Statuses {
    function: String,
    shared: Option<Shared>,
    /// The statuses that this process knows of.
    own: Space<StatusKey, LastStatus>,
    /// Held while this process goes by what it knows itself, where requests are served at once.
    alone: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Shared {
    cache: Cache,
    statuses: Space<StatusKey, LastStatus>,
}

/// What telling of a status came to, for the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// Events that could not be sent.
    pub(crate) failed_events: u64,
    /// Failures of the shared tier.
    pub(crate) status_errors: u64,
}

/// A status that was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct LastStatus {
    status: String,
    /// When the run began that found it, in milliseconds since 1970.
    began: i64,
}

/// The last status as a tier has it.
#[derive(Debug, Default)]
struct Known {
    last: Option<LastStatus>,
    /// Whether it is time to write it again.
    is_old: bool,
}

/// A status could not be compared, told or stored.
#[derive(Debug)]
enum Failed {
    /// The last status known cannot be read or locked: nothing was sent.
    Unavailable(anyhow::Error),
    /// The event could not be sent: nothing was written, and the next run tries again.
    Event(anyhow::Error),
    /// The status was told, and could not be written.
    NotWritten(anyhow::Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Unavailable(error.into())
    }
}

/// How far an environment got with the lock of a change.
#[derive(Debug)]
enum Turn {
    /// It has the lock.
    Ours(Lock),
    /// Another environment had it, and has sent the event.
    Done,
}

impl Statuses {
    /// In the tiers that `settings` name, and `bucket` if there is one. Nothing connects yet.
    pub(crate) fn new(
        function: &str,
        settings: &CacheSettings,
        bucket: Option<(aws_sdk_s3::Client, &str)>,
        memory: &Cache,
    ) -> Result<Self, InvalidCacheSettings> {
        let s3 = bucket
            .map(|(client, name)| -> Arc<dyn Tier> { Arc::new(S3::new(client, name, S3_PREFIX)) });
        // What another environment has just written must not be hidden by what this one remembers.
        let cache = settings.builder(APP, s3.as_ref())?.shared_only();
        let shared = cache.map(CacheBuilder::build).map(|cache| Shared {
            statuses: cache.space(&STATUSES),
            cache,
        });
        Ok(Self {
            function: function.to_owned(),
            shared,
            own: memory.space(&STATUSES),
            alone: tokio::sync::Mutex::default(),
        })
    }

    /// Sends the event if the status of `finding` differs from the last one known. Of a monitor of which none is known,
    /// anything but `ok` is a change. Never fails.
    pub(crate) async fn update(&self, finding: &Finding, bus: &EventBus) -> Told {
        let monitor = &finding.monitor;
        let key = (self.function.clone(), monitor.clone());
        let mut told = Told::default();
        let mut outcome = match &self.shared {
            Some(shared) => self.update_shared(shared, &key, finding, bus).await,
            None => self.update_alone(&key, finding, bus).await,
        };
        if let Err(Failed::Unavailable(error)) = outcome {
            told.status_errors += 1;
            let error = format!("{error:#}");
            tracing::warn!(
                monitor,
                error,
                "Shared status unavailable, using the process's own"
            );
            outcome = self.update_alone(&key, finding, bus).await;
        }
        match outcome {
            Ok(()) => {}
            Err(Failed::Unavailable(error) | Failed::NotWritten(error)) => {
                told.status_errors += 1;
                let error = format!("{error:#}");
                tracing::warn!(monitor, error, "Failed to store the monitor's status");
            }
            Err(Failed::Event(error)) => {
                told.failed_events += 1;
                let error = format!("{error:#}");
                tracing::error!(monitor, error, "Failed to send the status change");
            }
        }
        told
    }

    async fn update_shared(
        &self,
        shared: &Shared,
        key: &StatusKey,
        finding: &Finding,
        bus: &EventBus,
    ) -> Result<(), Failed> {
        let known = shared.read(key).await?;
        if known.is_of(finding) {
            self.remember(key, finding).await;
            if known.is_old {
                shared.write(key, finding).await?;
            }
        }
        if !known.is_changed_by(finding) {
            return Ok(());
        }
        let Turn::Ours(lock) = shared.turn(key, finding).await? else {
            return Ok(());
        };
        let outcome = self.change(shared, key, finding, bus).await;
        if let Err(error) = shared.cache.unlock(key, &lock.token).await {
            // It ends by itself.
            tracing::warn!(%error, "Failed to release the lock of a status");
        }
        outcome
    }

    /// Compares once more, under the lock: sends, and writes what was sent.
    async fn change(
        &self,
        shared: &Shared,
        key: &StatusKey,
        finding: &Finding,
        bus: &EventBus,
    ) -> Result<(), Failed> {
        let known = shared.read(key).await?;
        if known.is_changed_by(finding) {
            send(finding, &known, bus).await?;
            self.remember(key, finding).await;
            shared.write(key, finding).await?;
        }
        Ok(())
    }

    async fn update_alone(
        &self,
        key: &StatusKey,
        finding: &Finding,
        bus: &EventBus,
    ) -> Result<(), Failed> {
        let _turn = self.alone.lock().await;
        let known = read(&self.own, key).await?;
        if known.is_changed_by(finding) {
            send(finding, &known, bus).await?;
            self.remember(key, finding).await;
        }
        Ok(())
    }

    async fn remember(&self, key: &StatusKey, finding: &Finding) {
        let put = self
            .own
            .put(key, Loaded::from(LastStatus::of(finding)))
            .await;
        if let Err(error) = put {
            tracing::warn!(%error, "Failed to remember a status");
        }
    }
}

impl Shared {
    async fn read(&self, key: &StatusKey) -> Result<Known, Failed> {
        read(&self.statuses, key).await
    }

    async fn write(&self, key: &StatusKey, finding: &Finding) -> Result<(), Failed> {
        let last = LastStatus::of(finding);
        let put = self.statuses.put(key, Loaded::from(last));
        let receipt = put
            .await
            .map_err(|error| Failed::NotWritten(error.into()))?;
        match receipt.missed.into_iter().next() {
            Some(error) => Err(Failed::NotWritten(error.into())),
            None => Ok(()),
        }
    }

    /// Waits for the lock of `key`, or until another environment has told of the same.
    async fn turn(&self, key: &StatusKey, finding: &Finding) -> Result<Turn, Failed> {
        let until = Instant::now() + LOCK_TIME;
        loop {
            if let Some(lock) = self.cache.lock(key, LOCK_TIME).await? {
                return Ok(Turn::Ours(lock));
            }
            if !self.read(key).await?.is_changed_by(finding) {
                return Ok(Turn::Done);
            }
            if Instant::now() >= until {
                let seconds = LOCK_TIME.as_secs();
                let locked = anyhow::anyhow!("the status was locked for {seconds} s");
                return Err(Failed::Unavailable(locked));
            }
            tokio::time::sleep(LOCK_PAUSE).await;
        }
    }
}

impl LastStatus {
    fn of(finding: &Finding) -> Self {
        Self {
            status: finding.status.clone(),
            began: finding.began.as_millisecond(),
        }
    }

    /// Whether a run that began at `began` overlapped the one that found this, and began before it. A difference that no two
    /// such runs have is a clock's.
    fn is_later_than(&self, began: Timestamp) -> bool {
        let later = SignedDuration::from_millis(self.began.saturating_sub(began.as_millisecond()));
        later.is_positive() && later <= LONGEST_RUN
    }
}

impl Known {
    /// Whether the status of `finding` is the one that is known.
    fn is_of(&self, finding: &Finding) -> bool {
        let last = self.last.as_ref();
        last.is_some_and(|last| last.status == finding.status)
    }

    /// Whether the status of `finding` is another one, and not an earlier one.
    fn is_changed_by(&self, finding: &Finding) -> bool {
        let last = self.last.as_ref();
        last.is_none_or(|last| last.status != finding.status && !last.is_later_than(finding.began))
    }
}

async fn read(statuses: &Space<StatusKey, LastStatus>, key: &StatusKey) -> Result<Known, Failed> {
    let cached = match statuses.get(key).await? {
        Lookup::Hit(cached) => Some(cached),
        Lookup::Absent | Lookup::Miss => None,
    };
    Ok(Known {
        is_old: cached
            .as_ref()
            .is_some_and(|cached| cached.age() >= RENEWAL),
        last: cached.map(|cached| LastStatus::clone(&cached.value)),
    })
}

/// Sends the event, unless the status is the first one known and `ok`.
async fn send(finding: &Finding, known: &Known, bus: &EventBus) -> Result<(), Failed> {
    let previous = known.last.as_ref().map(|last| last.status.as_str());
    if previous.is_none() && finding.status == OK {
        return Ok(());
    }
    let (monitor, status) = (&finding.monitor, &finding.status);
    let detail = finding.change_detail(previous);
    bus.send(CHANGED, &detail).await.map_err(Failed::Event)?;
    tracing::info!(monitor, status, previous, "Sent the status change");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::tests::found_at;

    fn known(status: &str, began: i64) -> Known {
        let status = status.to_owned();
        Known {
            last: Some(LastStatus { status, began }),
            is_old: false,
        }
    }

    #[test]
    fn another_status_is_a_change_unless_an_earlier_run_found_it() {
        let minute = 60_000;
        let (before, now) = (1_795_338_000_000, 1_795_338_000_000 + minute);
        for (known, changed) in [
            (Known::default(), true),
            (known("active", before), false),
            (known("active", now + 1), false),
            (known("ok", before), true),
            (known("ok", now), true),
            (known("ok", now + 1), false),
            (known("ok", now + 15 * minute), false),
            (known("ok", now + 16 * minute), true),
            (known("ok", i64::MAX), true),
        ] {
            assert_eq!(
                known.is_changed_by(&found_at("active", now)),
                changed,
                "{known:?}"
            );
        }
    }
}
