#![doc = include_str!("../README.md")]

pub mod bucket;
mod cloudfront;
mod directory;
mod distribution;
mod error;
mod invalidator;
mod item;
mod known;
mod plan;
mod poll;
mod price;
mod reference;
pub mod release;
mod standing;
mod usage;

pub use cloudfront::{CloudFront, Invalidation};
pub use directory::{Directory, LookupError};
pub use distribution::{Distribution, NotFound, Origin, Served, by_alias, by_bucket};
pub use error::{Error, ErrorKind};
pub use invalidator::{Done, Invalidator, Order, OrderError};
pub use item::{Item, Kind, MAX_PATH, MAX_TAG, Reason, Rejected};
pub use known::{Full, Known, Listing};
pub use plan::{MAX_EXACT, MAX_WILDCARDS, NoRoom, OUR_WILDCARDS, Plan, Room, plan};
pub use poll::wait;
pub use price::{FREE_ITEMS, Price, cost};
pub use reference::reference;
pub use standing::Standing;
pub use usage::{
    Asked, BillingMonth, Cleared, Latest, Made, Process, SETTLED, Table, Usage, UsageError, Which,
};
