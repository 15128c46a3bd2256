//! Why metadata cannot be used, in words for whoever published it.

use std::{fmt, io};

use jiff::Timestamp;

/// What is wrong with metadata.
#[derive(Debug, thiserror::Error)]
pub enum InvalidMetadata {
    /// More than anybody's metadata has.
    #[error("it is longer than {max} bytes")]
    TooLong {
        /// The most bytes that it may have.
        max: usize,
    },
    /// Not the JSON that it should be.
    #[error("it is not the JSON that it should be")]
    Syntax(#[from] serde_json::Error),
    /// A gzip file that does not unpack.
    #[error("it is a gzip file that does not unpack; publish it again")]
    Packed(#[source] io::Error),
    /// Packed in another way than with gzip.
    #[error(
        "it was sent with `Content-Encoding: {0}`, which is not understood; publish it as it is, or as gzip"
    )]
    Encoding(String),
    /// A field that is missing or has a value it cannot have.
    #[error("its field `{field}` {problem}")]
    Field {
        /// The field, as the JSON spells it.
        field: &'static str,
        /// Ends the sentence.
        problem: String,
    },
    /// A binary for other machines.
    #[error(
        "it is for {offered}, and this machine is {machine}; publish a build for it under `platforms`"
    )]
    Platform {
        /// What it is for.
        offered: String,
        /// What this is.
        machine: String,
    },
    /// No signature where one is required, or one of nobody whom we know.
    #[error("its signature {0}")]
    Signature(&'static str),
    /// Signed text and plain fields that disagree.
    #[error("its plain field `{0}` differs from the signed one")]
    Disagrees(&'static str),
    /// A signature that was good once.
    #[error("its signature ran out at {at}; sign it again")]
    Expired {
        /// When it did.
        at: Timestamp,
    },
    /// Signed metadata that is older than what was seen before.
    #[error("its epoch {epoch} is under {floor}: it was rolled back")]
    RolledBack {
        /// What it says.
        epoch: u64,
        /// The highest that was seen or configured.
        floor: u64,
    },
    /// A release that a newer runner is needed for.
    #[error("it needs a runner of version {needed}, and this is {runner}; deploy a newer one")]
    Runner {
        /// What it needs.
        needed: semver::Version,
        /// What this is.
        runner: semver::Version,
    },
}

/// A field with a problem, which ends the sentence.
pub(crate) fn field(field: &'static str, problem: impl fmt::Display) -> InvalidMetadata {
    InvalidMetadata::Field {
        field,
        problem: problem.to_string(),
    }
}
