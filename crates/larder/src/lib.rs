#![doc = include_str!("../README.md")]

mod clock;
mod decide;
pub mod frame;
mod key;
mod keyspace;
mod life;
mod policy;

pub use clock::{Clock, SystemClock, WallMillis};
pub use decide::{Circumstances, Decision, Freshness, decide};
pub use key::{Key, KeyTooLong, KeyWriter, MAX_KEY};
pub use keyspace::Keyspace;
pub use life::Life;
pub use policy::{Policy, Refresh};
