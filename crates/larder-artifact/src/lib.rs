#![doc = include_str!("../README.md")]

mod child;
mod decide;
mod digest;
mod disk;
pub mod document;
mod error;
mod home;
mod http;
mod image;
mod info;
mod install;
mod invalid_metadata;
pub mod json;
mod lock;
mod metadata;
mod newest;
mod orphans;
mod request;
mod script;
mod store;
mod tail;
mod trust;

pub use child::{Child, Ended, Finished, Limits, end_with_parent, harden};
pub use decide::Reason;
pub use digest::{Mismatch, Sha256};
pub use error::{Error, ErrorKind, chain};
pub use home::{Home, Homes};
pub use image::{ExecMode, Image, Sealed};
pub use info::CacheInfo;
pub use invalid_metadata::InvalidMetadata;
pub use metadata::{Compression, Expected, Release, platform};
pub use store::{Artifact, Artifacts, Cache, Ensured, Options};
pub use tail::Tail;
pub use trust::{InvalidKey, Trust};
pub use url::Url;
