//! Minutes for those who read the cache before the servers' table.

use jiff::Timestamp;
use larder::{PutStart, Space};
use runtime_ledger::{
    InstanceId, Minutes, Month,
    minutes_cache::{self, MinutesKey},
    servers::CachedMinutes,
};

use crate::App;

/// A write of a server's minutes to the tiers that readers share. Begun before the servers' table is written, it never
/// replaces an entry that was computed after that.
pub(crate) struct WriteThrough<'a> {
    space: &'a Space<MinutesKey, CachedMinutes>,
    key: MinutesKey,
    start: PutStart,
    at: Timestamp,
}

impl App {
    /// Begins a write of the minutes of `instance` as of `at`; `None` where no tier is shared.
    pub(crate) fn write_through(
        &self,
        instance: &InstanceId,
        at: Timestamp,
    ) -> Option<WriteThrough<'_>> {
        let space = self.minutes.as_ref()?;
        let key = minutes_cache::key(instance, Month::of(at, &self.config.runtime.zone));
        Some(WriteThrough {
            start: space.begin_put(&key),
            space,
            key,
            at,
        })
    }
}

impl WriteThrough<'_> {
    /// Writes `minutes`, which the servers' table has taken. A tier that fails is counted, and fails no run: readers ask the
    /// table.
    pub(crate) async fn finish(self, minutes: Minutes) {
        let value = CachedMinutes {
            minutes: minutes.as_f64(),
            at: self.at,
        };
        let put = self.space.put_since(&self.key, value.into(), self.start);
        if let Err(error) = put.await {
            tracing::warn!(instance = self.key.0, %error, "Failed to cache minutes");
        }
    }
}
