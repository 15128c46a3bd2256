//! What is going on, told on standard error, as the tool that publishes tells it.

pub use larder_publish::progress::{Progress, Step};
