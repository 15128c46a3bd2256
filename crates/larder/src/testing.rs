//! For tests of what is built on a cache: a [clock](ManualClock) that is set by hand, [faults](Chaos), a
//! [tier](Server) that other processes seem to share, and the suite that every tier [passes](conformance()).

mod chaos;
mod clock;
mod conformance;
mod server;

pub use chaos::{Chaos, Faults};
pub use clock::ManualClock;
pub use conformance::conformance;
pub use server::Server;
