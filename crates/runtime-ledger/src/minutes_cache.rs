//! The cache of running minutes that runtime-events asks first and runtime-calculator writes through to.

use larder::{Keyspace, Policy};

use crate::{InstanceId, Month, servers::CachedMinutes};

/// The application whose processes share the entries.
pub const APP: &str = "runtime-events";

/// A server and a month, so that one month's minutes are never taken for another's.
pub type MinutesKey = (String, String);

/// Minutes by server and month, fresh for as long as `CACHE_TTL_DEFAULT` says.
pub static MINUTES: Keyspace<MinutesKey, CachedMinutes> =
    Keyspace::new("minutes", 1, Policy::by_default());

/// The key of the minutes of `instance` in `month`.
#[must_use]
pub fn key(instance: &InstanceId, month: Month) -> MinutesKey {
    (instance.to_string(), month.to_string())
}
