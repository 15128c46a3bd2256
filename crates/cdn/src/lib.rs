#![doc = include_str!("../README.md")]

mod item;
mod known;
mod plan;
mod price;

pub use item::{Item, Kind, MAX_PATH, MAX_TAG, Reason, Rejected};
pub use known::{Full, Known, Listing};
pub use plan::{MAX_EXACT, MAX_WILDCARDS, NoRoom, Plan, Room, plan};
pub use price::{FREE_ITEMS, Price, cost};
