#![doc = include_str!("../README.md")]

mod account;
pub mod catch_up;
mod clients;
mod described;
pub mod ec2;
mod instance;
mod item;
pub mod ledger;
pub mod lookup;
pub mod minutes_cache;
mod month;
mod notification;
mod observation;
pub mod servers;
mod settings;
mod timeline;
mod total;
mod trail;

pub use account::{Account, Known, Looks};
pub use clients::{Clients, NoClients, Region};
pub use described::{Described, moment_in_reason};
pub use instance::{InstanceId, InvalidInstanceId};
pub use item::TableError;
pub use month::{InvalidMonth, Month};
pub use notification::{STATE_CHANGE, StateChange};
pub use observation::{Observation, Power, State, Transition, UnknownState};
pub use settings::RuntimeSettings;
pub use timeline::{Span, Timeline};
pub use total::{Minutes, Quality, Total};
pub use trail::{EVENT_NAMES, InvalidRecord, MAX_RECORD, parse_record};
