//! A tier in an S3 bucket: for what is dear to make, large, and to outlive everything else.
//!
//! - **Readable**: an object's body is the encoded value itself, uncompressed, and what is known of it is user
//!   metadata; so with a JSON codec anybody can read along, and `expires-at` says until when it is fresh.
//! - **Atomic**: an entry is written on condition that nothing newer is there, a lease on condition that nobody
//!   holds it (`If-None-Match`, `If-Match`: "Conditional requests", Amazon S3 user guide).
//! - **Marks** are one object, read by a conditional `GET` along with the entries.
//! - Without `s3:ListBucket`, S3 answers 403 for what is not there: that is a miss.
//!
//! Each entry of a batch is a request of its own, all at once. Dead objects are not served, and not deleted
//! either: give the bucket a lifecycle rule that is longer than the longest life.

mod bucket;
mod marks;
mod object;

use std::fmt;

use aws_sdk_s3::Client;
use futures_util::future::{join_all, try_join_all};

use self::{bucket::Bucket, marks::MarksObject, object::Object};
use crate::{
    clock::WallMillis,
    frame,
    tier::{
        Answer, Asked, BoxFuture, Found, LeaseAnswer, LeaseRequest, News, Put, Reach, ReadBatch,
        Release, Tier, TierError, TierErrorKind, WriteBatch,
    },
};

const NAME: &str = "s3";

/// How often a conditional write is tried again that lost against another.
const TRIES: usize = 5;

/// Entries in a bucket.
pub struct S3 {
    bucket: Bucket,
    marks: MarksObject,
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
            },
            marks: MarksObject::default(),
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
        let (marks, objects) = futures_util::future::try_join(
            self.marks.read(&self.bucket, batch.app, batch.now),
            try_join_all(objects),
        )
        .await?;
        let mut found = Vec::with_capacity(objects.len());
        for (object, asked) in objects.into_iter().zip(batch.entries) {
            let Some(bytes) = object.and_then(|object| object.into_frame(batch.now)) else {
                found.push(None);
                continue;
            };
            let tags = frame::tags(&bytes).map(crate::scope::Scope::from_raw);
            let scopes = asked.scopes.iter().copied().chain(tags);
            found.push(Some(Found {
                invalidated: marks.newest(scopes),
                expired: marks.at(asked.expiry),
                bytes,
            }));
        }
        let first = batch.entries.first().zip(found.first());
        let lease = match (batch.lease, first) {
            (Some(wish), Some((asked, found))) => {
                self.lease(asked, found.as_ref(), &wish, batch.now).await?
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

    /// Takes the lease of an entry, if there is need and nobody holds it.
    async fn lease(
        &self,
        asked: &Asked<'_>,
        found: Option<&Found>,
        wish: &LeaseRequest<'_>,
        now: WallMillis,
    ) -> Result<LeaseAnswer, TierError> {
        if !wish.is_needed(found, now) {
            return Ok(LeaseAnswer::None);
        }
        let name = self.bucket.lease_of(asked.key);
        let until = now.plus(wish.time).get();
        let text = format!("{} {until}", wish.owner);
        if self.bucket.put_if(&name, text.clone(), None).await? {
            return Ok(LeaseAnswer::Granted);
        }
        let Some(held) = self.bucket.get(&name).await? else {
            // Given back this moment: there is somebody who has just loaded it.
            return Ok(LeaseAnswer::Held);
        };
        let body = String::from_utf8_lossy(&held.body);
        let (owner, until) = body.split_once(' ').unwrap_or_default();
        let over = until.parse().is_ok_and(|until| now.get() >= until);
        if owner != wish.owner && !over {
            return Ok(LeaseAnswer::Held);
        }
        let taken = self
            .bucket
            .put_if(&name, text, held.etag.as_deref())
            .await?;
        Ok(if taken {
            LeaseAnswer::Granted
        } else {
            LeaseAnswer::Held
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
            Some(release) => self.release(&release).await,
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
            if self
                .bucket
                .put_object(&name, &object, there.as_deref())
                .await?
            {
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

    async fn release(&self, release: &Release<'_>) -> Result<(), TierError> {
        let name = self.bucket.lease_of(release.key);
        let held = self.bucket.get(&name).await?;
        let owned = |held: &Object| {
            let body = String::from_utf8_lossy(&held.body);
            body.split_once(' ')
                .is_some_and(|(owner, _)| owner == release.owner)
        };
        if held.as_ref().is_some_and(owned) {
            self.bucket.delete(&name).await?;
        }
        Ok(())
    }
}

impl Tier for S3 {
    fn name(&self) -> &'static str {
        NAME
    }

    fn reach(&self) -> Reach {
        Reach::Shared
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
