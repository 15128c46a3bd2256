//! What all benches have in common.

pub mod measure;
mod page;
