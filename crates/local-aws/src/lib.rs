#![doc = include_str!("../README.md")]

pub mod chat;
pub mod cloud;
pub mod cloudfront;
pub mod cloudtrail;
pub mod demo;
pub mod dynamodb;
pub mod ec2;
pub mod edge;
pub mod event_source;
pub mod fleet;
pub mod lambda;
pub mod line;
pub mod market;
pub mod moto;
pub mod progress;
pub mod publish;
pub mod reports;
pub mod schedule;
mod server;
pub mod servers;
pub mod stack;
pub mod status_page;
pub mod template;
pub mod watch;

pub use server::Server;
