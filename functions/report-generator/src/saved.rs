//! The tier in the bucket, telling what it has saved.

use std::time::Duration;

use larder::{
    WallMillis,
    tier::{Answer, BoxFuture, Reach, ReadBatch, Tier, TierError, WriteBatch, s3::S3},
};

use crate::keys;

/// S3, with a line in the log for each report that reached it.
#[derive(Debug)]
pub(crate) struct Telling(pub(crate) S3);

impl Tier for Telling {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn reach(&self) -> Reach {
        self.0.reach()
    }

    fn time_limit(&self, now: WallMillis) -> Duration {
        self.0.time_limit(now)
    }

    fn read<'a>(&'a self, batch: ReadBatch<'a>) -> BoxFuture<'a, Result<Answer, TierError>> {
        self.0.read(batch)
    }

    fn write<'a>(&'a self, batch: WriteBatch<'a>) -> BoxFuture<'a, Result<(), TierError>> {
        Box::pin(async move {
            self.0.write(batch).await?;
            for (ticker, date) in batch.puts.iter().filter_map(|put| keys::report_of(put.key)) {
                tracing::info!("Saved report to S3 cache: {ticker} on {date}");
            }
            Ok(())
        })
    }
}
