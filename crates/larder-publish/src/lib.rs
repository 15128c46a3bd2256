#![doc = include_str!("../README.md")]

mod arguments;
mod binary;
mod clearing;
mod cli;
pub mod digest;
pub mod metadata;
mod monitor;
pub mod progress;
mod report;
mod session;
pub mod sign;
mod stack;
pub mod store;
mod templates;
mod verify;

pub use arguments::Arguments;
pub use binary::packed;
pub use cli::run;
