//! What the emulators of CloudTrail and EC2 tell of: fleets, and what time it is.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use http::HeaderMap;
use jiff::Timestamp;

use crate::fleet::Fleet;

/// Fleets, one a Region, and a clock. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Cloud(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    fleets: BTreeMap<String, Arc<Fleet>>,
    now: Option<Timestamp>,
}

impl Cloud {
    /// Without any fleet, in the present.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts `fleet` in the place of its Region's.
    pub fn set(&self, fleet: Fleet) {
        self.inner()
            .fleets
            .insert(fleet.region.clone(), Arc::new(fleet));
    }

    /// The fleet of a Region.
    #[must_use]
    pub fn fleet(&self, region: &str) -> Option<Arc<Fleet>> {
        self.inner().fleets.get(region).cloned()
    }

    /// Stops its clock at `now`.
    pub fn set_now(&self, now: Timestamp) {
        self.inner().now = Some(now);
    }

    /// What time it is there.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.inner().now.unwrap_or_else(Timestamp::now)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The Region that a request was signed for: `Credential=AKID/20261121/us-east-1/ec2/aws4_request`.
#[must_use]
pub fn region_of(headers: &HeaderMap) -> Option<String> {
    let signature = headers.get("authorization")?.to_str().ok()?;
    let (_, credential) = signature.split_once("Credential=")?;
    credential.split('/').nth(2).map(str::to_owned)
}
