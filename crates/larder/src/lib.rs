#![doc = include_str!("../README.md")]
#![cfg_attr(
    not(feature = "memory"),
    expect(dead_code, reason = "what only a hit in memory takes")
)]

mod ask;
mod batch;
mod breaker;
mod builder;
mod bytes;
mod cache;
mod clock;
mod codec;
mod coherence;
mod decide;
mod entry;
mod error;
mod failures;
mod flight;
pub mod frame;
mod guard;
#[cfg(any(feature = "memory", feature = "sqlite"))]
mod hashed;
mod held;
mod invocation;
mod judge;
mod key;
mod keyspace;
mod life;
mod load;
mod lock;
#[cfg_attr(not(feature = "memory"), path = "no_memory.rs")]
mod memory;
mod pack;
mod policy;
mod scope;
#[cfg(feature = "seal")]
mod seal;
mod search;
mod settings;
mod space;
mod stats;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod tier;
mod unsent;
mod write;

pub use builder::CacheBuilder;
pub use cache::Cache;
pub use clock::{Clock, SystemClock, WallMillis};
pub use codec::{Codec, CodecError};
pub use decide::{Circumstances, Decision, Freshness, decide};
pub use entry::{Cached, Entry, Load, Loaded, Lookup, Receipt, Source, Version};
pub use error::{Error, LoadError};
pub use invocation::{Drained, Invocation, Leftover};
pub use key::{Key, KeyTooLong, KeyWriter, MAX_KEY};
pub use keyspace::Keyspace;
pub use life::Life;
pub use lock::Lock;
pub use policy::{Lease, Policy, Refresh};
pub use scope::{MAX_MARKS, Mark, Scope};
#[cfg(feature = "seal")]
pub use seal::SealingKey;
pub use settings::{CacheSettings, InvalidCacheSettings};
pub use space::{PutStart, Space};
pub use stats::{Counts, Loads, Row, Stats};
