#![doc = include_str!("../README.md")]

mod after_response;
mod answer;
#[cfg(feature = "aws")]
mod aws;
mod cache;
mod deadline;
mod error;
pub mod event;
#[cfg(feature = "http")]
mod http;
mod logs;
mod metrics;
mod payload;
mod run;
mod settings;

pub use answer::milliseconds;
#[cfg(feature = "aws")]
pub use aws::{
    Call, NotSet, ParameterError, Parameters, Refused, aws_config, aws_config_loader, post,
};
pub use deadline::{Deadline, RESERVE, UNKNOWN_TIME_LEFT};
pub use error::{Error, ErrorKind, Kind};
#[cfg(feature = "http")]
pub use http::http_client;
pub use logs::{RESERVED_FIELDS, log_record};
pub use run::{Function, Invocation, run};
pub use settings::{InvalidSettings, Settings, environment};
