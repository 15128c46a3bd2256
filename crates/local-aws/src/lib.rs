#![doc = include_str!("../README.md")]

pub mod demo;
pub mod edge;
pub mod lambda;
pub mod moto;
pub mod progress;
pub mod publish;
pub mod schedule;
mod server;
pub mod stack;
pub mod status_page;
pub mod template;
pub mod watch;

pub use server::Server;
