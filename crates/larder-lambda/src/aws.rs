//! AWS: one configuration for all clients, and calls of services whose SDK is not worth its weight.

mod call;
mod config;
mod parameter;

pub use call::{Call, NotSet, Refused, post};
pub use config::{aws_config, aws_config_loader};
pub use parameter::{ParameterError, Parameters};
