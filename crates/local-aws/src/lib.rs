#![doc = include_str!("../README.md")]

pub mod edge;
pub mod lambda;
pub mod moto;
pub mod publish;
mod server;
pub mod status_page;

pub use server::Server;
