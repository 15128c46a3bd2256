//! The network between functions and services: latency, idle connections that are closed, refusals.
//!
//! A [`Profile`] has a [`Link`] for every [`Service`], and a [`Proxy`] puts a link in front of a server of this machine. The
//! figures and their sources are in `docs/network.md`.

mod http;
mod latency;
mod link;
mod pause;
mod profile;
mod proxy;
mod refusal;
#[cfg(test)]
mod refusal_tests;
mod routes;
mod tcp;
#[cfg(test)]
mod tests;

pub use latency::Latency;
pub use link::{Access, Draw, Link};
pub use profile::{Profile, Service};
pub use proxy::Proxy;
pub use routes::Network;
