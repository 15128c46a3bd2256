//! Leases as objects: written on condition that there is none, or that the one that is there has ended.

use std::collections::HashSet;

use parking_lot::Mutex;

use super::{
    bucket::{Bucket, Written},
    object::Object,
};
use crate::{
    clock::WallMillis,
    tier::{LeaseAnswer, LeaseRequest, Release, TierError},
};

/// Leases that are remembered to be held by others; more are found out by asking.
const MAX_HELD: usize = 1_000;

/// A lease that a look-up asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct WantedLease<'a> {
    /// The entry's key.
    pub(super) key: &'a str,
    pub(super) wish: LeaseRequest<'a>,
    pub(super) now: WallMillis,
}

/// Leases of entries.
#[derive(Debug, Default)]
pub(super) struct Leases {
    /// Keys whose lease another process held when it was asked for last. Its waiters look at the lease along with the
    /// entry, and do not try to take it each time.
    held: Mutex<HashSet<String>>,
}

impl Leases {
    /// Reads a lease, where another process is known to have held it.
    pub(super) async fn look(
        &self,
        bucket: &Bucket,
        wanted: &WantedLease<'_>,
    ) -> Result<Option<Object>, TierError> {
        if wanted.wish.even_if_fresh || !self.held.lock().contains(wanted.key) {
            return Ok(None);
        }
        bucket.get(&bucket.lease_of(wanted.key)).await
    }

    /// Takes a lease, if no other process holds it. `seen` is the lease that was read with the entry.
    pub(super) async fn take(
        &self,
        bucket: &Bucket,
        wanted: &WantedLease<'_>,
        seen: Option<Object>,
    ) -> Result<LeaseAnswer, TierError> {
        let answer = take(bucket, wanted, seen).await?;
        let mut held = self.held.lock();
        if answer != LeaseAnswer::Held {
            held.remove(wanted.key);
        } else if held.len() < MAX_HELD {
            held.insert(wanted.key.to_owned());
        }
        Ok(answer)
    }

    /// Gives a lease back, if it is still the owner's.
    pub(super) async fn release(
        &self,
        bucket: &Bucket,
        release: &Release<'_>,
    ) -> Result<(), TierError> {
        let name = bucket.lease_of(release.key);
        let held = bucket.get(&name).await?;
        let owned = |held: &Object| {
            let body = String::from_utf8_lossy(&held.body);
            body.split_once(' ')
                .is_some_and(|(owner, _)| owner == release.owner)
        };
        if held.as_ref().is_some_and(owned) {
            bucket.delete(&name).await?;
        }
        Ok(())
    }
}

async fn take(
    bucket: &Bucket,
    wanted: &WantedLease<'_>,
    seen: Option<Object>,
) -> Result<LeaseAnswer, TierError> {
    let WantedLease { key, wish, now } = wanted;
    let name = bucket.lease_of(key);
    let until = now.plus(wish.time).get();
    let text = format!("{} {until}", wish.owner);
    let there = match seen {
        Some(seen) => seen,
        None => {
            let written = bucket.put_if(&name, text.clone(), None).await?;
            if written != Written::Refused {
                return Ok(LeaseAnswer::Granted);
            }
            let Some(there) = bucket.get(&name).await? else {
                // Given back this moment: there is somebody who has just loaded it.
                return Ok(LeaseAnswer::Held);
            };
            there
        }
    };
    let body = String::from_utf8_lossy(&there.body);
    let (owner, until) = body.split_once(' ').unwrap_or_default();
    let over = until.parse().is_ok_and(|until: u64| now.get() >= until);
    if owner != wish.owner && !over {
        return Ok(LeaseAnswer::Held);
    }
    let taken = bucket.put_if(&name, text, there.etag.as_deref()).await?;
    Ok(match taken {
        Written::Done { .. } => LeaseAnswer::Granted,
        Written::Refused => LeaseAnswer::Held,
    })
}
