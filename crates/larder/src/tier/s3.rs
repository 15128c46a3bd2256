//! A tier in an S3 bucket: for what is dear to make, large, and to outlive everything else.
//!
//! - **Readable**: an object's body is the encoded value itself, uncompressed, and what is known of it is user
//!   metadata; so with a JSON codec anybody can read along, and `expires-at` says until when it is fresh.
//! - **Atomic**: an entry is written on condition that nothing newer is there, a lease on condition that nobody
//!   holds it (`If-None-Match`, `If-Match`: "Conditional requests", Amazon S3 user guide).
//! - **Marks** are one object, read by a conditional `GET` along with the entries.
//! - Without `s3:ListBucket`, S3 answers 403 for what is not there: that is a miss.
//!
//! Each entry of a batch is a request of its own, all at once, with that for the marks. A `GET` that is late is sent a
//! second time. Dead objects are not served, and not deleted
//! either: give the bucket a lifecycle rule that is longer than the longest life.

mod bucket;
mod hedge;
mod lease;
mod marks;
mod object;

use std::{fmt, time::Duration};

use aws_sdk_s3::Client;
use futures_util::future::{join_all, try_join_all, try_join3};

use self::{
    bucket::{Bucket, Written},
    hedge::Hedge,
    lease::{Leases, WantedLease},
    marks::{Marks, MarksObject},
    object::Object,
};
use crate::{
    clock::WallMillis,
    frame,
    scope::Scope,
    tier::{
        Answer, Asked, BoxFuture, Found, LeaseAnswer, News, Put, Reach, ReadBatch, Tier, TierError,
        TierErrorKind, WriteBatch,
    },
};

const NAME: &str = "s3";

/// Longest time of one operation. AWS advises to retry a request after 2 s, and again after 4 more ("Best practices
/// design patterns: optimizing Amazon S3 performance"): the look-up of what takes longer to make may wait for the first
/// of these.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// How often a conditional write is tried again that lost against another.
const TRIES: usize = 5;

/// Entries in a bucket.
pub struct S3 {
    bucket: Bucket,
    marks: MarksObject,
    leases: Leases,
}

impl S3 {
    /// In `bucket`, under `prefix`: `cache/`.
    #[must_use]
    pub fn new(client: Client, bucket: impl Into<String>, prefix: impl Into<String>) -> Self {
        Self {
            bucket: Bucket {
                client,
                name: bucket.into(),
                prefix: prefix.into(),
                object_names: |key| key.replace(':', "/"),
                hedge: Hedge::default(),
            },
            marks: MarksObject::default(),
            leases: Leases::default(),
        }
    }

    /// With other names: `names` makes an object's, behind the prefix, of an entry's key. Two keys
    /// must never have one name.
    #[must_use]
    pub fn object_names(mut self, names: fn(&str) -> String) -> Self {
        self.bucket.object_names = names;
        self
    }

    async fn read_batch(&self, batch: &ReadBatch<'_>) -> Result<Answer, TierError> {
        let objects = batch
            .entries
            .iter()
            .map(async |asked| self.bucket.get(&self.bucket.of(asked.key)).await);
        let wanted = batch.entries.first().zip(batch.lease);
        let wanted = wanted.map(|(asked, wish)| WantedLease {
            key: asked.key,
            wish,
            now: batch.now,
        });
        let held = async {
            match &wanted {
                Some(wanted) => self.leases.look(&self.bucket, wanted).await,
                None => Ok(None),
            }
        };
        let (marks, objects, held) = try_join3(
            self.marks.read(&self.bucket, batch.app, batch.now),
            try_join_all(objects),
            held,
        )
        .await?;
        let found = objects.into_iter().zip(batch.entries);
        let found: Vec<_> = found
            .map(|(object, asked)| entry(object?, asked, &marks, batch.now))
            .collect();
        let first = found.first().and_then(Option::as_ref);
        let lease = match &wanted {
            Some(wanted) if wanted.wish.is_needed(first, batch.now) => {
                self.leases.take(&self.bucket, wanted, held).await?
            }
            _ => LeaseAnswer::None,
        };
        let (news, complete) = match batch.news {
            News::Since(cursor) => marks.since(cursor),
            News::None | News::FromNow => (Vec::new(), true),
        };
        // They have been read: nobody needs to ask about what is older than now.
        let whole = batch.news == News::FromNow && marks.is_whole();
        Ok(Answer {
            found,
            marks: if whole {
                marks.all()
            } else {
                marks.marks_of(batch.scopes)
            },
            whole,
            news,
            cursor: marks.cursor(),
            complete,
            lease,
        })
    }

    async fn write_batch(&self, batch: &WriteBatch<'_>) -> Result<(), TierError> {
        if !batch.marks.is_empty() || !batch.news.is_empty() {
            // First: no entry may be found without the mark that covers it.
            self.marks.write(&self.bucket, batch).await?;
        }
        let puts = batch.puts.iter().map(|put| self.put(put));
        let removes = batch
            .removes
            .iter()
            .map(async |key| self.bucket.delete(&self.bucket.of(key)).await);
        let (puts, removes) = futures_util::future::join(join_all(puts), join_all(removes)).await;
        for result in puts.into_iter().chain(removes) {
            result?;
        }
        match batch.release {
            Some(release) => self.leases.release(&self.bucket, &release).await,
            None => Ok(()),
        }
    }

    /// Writes an entry, unless what is there was loaded later.
    async fn put(&self, put: &Put<'_>) -> Result<(), TierError> {
        let name = self.bucket.of(put.key);
        let Some(object) = Object::of_frame(put.frame) else {
            let error = TierError::new(NAME, TierErrorKind::Failed);
            return Err(error.because("its tags and ETag do not fit into 2 KB of metadata"));
        };
        let mut there = None;
        for _ in 0..TRIES {
            let write = self.bucket.put_object(&name, &object, there.as_deref());
            if matches!(write.await?, Written::Done { .. }) {
                return Ok(());
            }
            match self.bucket.head(&name).await? {
                Some(present) if present.created() > Some(put.created) => return Ok(()),
                Some(present) => there = present.etag,
                None => there = None,
            }
        }
        // Others write it again and again: theirs is as good.
        Ok(())
    }
}

/// The entry that an object holds, with the marks that cover it.
fn entry(object: Object, asked: &Asked<'_>, marks: &Marks, now: WallMillis) -> Option<Found> {
    let bytes = object.into_frame(now)?;
    let tags = frame::tags(&bytes).map(Scope::from_raw);
    let scopes = asked.scopes.iter().copied().chain(tags);
    Some(Found {
        invalidated: marks.newest(scopes),
        expired: marks.at(asked.expiry),
        bytes,
    })
}

impl Tier for S3 {
    fn name(&self) -> &'static str {
        NAME
    }

    fn reach(&self) -> Reach {
        Reach::Shared
    }

    fn time_limit(&self, _: WallMillis) -> Duration {
        TIME_LIMIT
    }

    fn read<'a>(&'a self, batch: ReadBatch<'a>) -> BoxFuture<'a, Result<Answer, TierError>> {
        Box::pin(async move { self.read_batch(&batch).await })
    }

    fn write<'a>(&'a self, batch: WriteBatch<'a>) -> BoxFuture<'a, Result<(), TierError>> {
        Box::pin(async move { self.write_batch(&batch).await })
    }
}

impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3")
            .field("bucket", &self.bucket.name)
            .field("prefix", &self.bucket.prefix)
            .finish_non_exhaustive()
    }
}
