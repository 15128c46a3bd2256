//! The errors that CloudFront answers, in its words.

use std::fmt::Write as _;

use super::{
    operation::Answer,
    xml::{NAMESPACE, PROLOGUE, escape},
};

/// An error: HTTP status, code and message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) code: String,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(status: u16, code: &str, message: &str) -> Self {
        Self {
            status,
            code: code.to_owned(),
            message: message.to_owned(),
        }
    }

    pub(super) fn invalid_argument(message: &str) -> Self {
        Self::new(400, "InvalidArgument", message)
    }

    pub(super) fn invalid_paths() -> Self {
        Self::invalid_argument("Your request contains one or more invalid invalidation paths.")
    }

    pub(super) fn used_reference() -> Self {
        Self::invalid_argument(
            "Your request contains a caller reference that was used for a previous invalidation batch for the same distribution.",
        )
    }

    pub(super) fn already_exists() -> Self {
        Self::new(
            400,
            "InvalidationBatchAlreadyExists",
            "The caller reference that you are using to create an invalidation batch is associated with another invalidation batch. Provide a new caller reference.",
        )
    }

    pub(super) fn no_such_distribution() -> Self {
        Self::new(
            404,
            "NoSuchDistribution",
            "The specified distribution does not exist.",
        )
    }

    pub(super) fn no_such_invalidation() -> Self {
        Self::new(
            404,
            "NoSuchInvalidation",
            "The specified invalidation does not exist.",
        )
    }

    pub(super) fn too_many() -> Self {
        Self::new(
            400,
            "TooManyInvalidationsInProgress",
            "Processing your request will cause you to exceed the maximum number of in-progress invalidations.",
        )
    }

    pub(super) fn too_large() -> Self {
        Self::new(
            413,
            "BatchTooLarge",
            "Your request contains too many invalidation paths.",
        )
    }

    pub(super) fn inconsistent_quantities() -> Self {
        Self::new(
            400,
            "InconsistentQuantities",
            "The value of Quantity and the size of Items don't match.",
        )
    }

    pub(super) fn missing_body() -> Self {
        Self::new(
            400,
            "MissingBody",
            "This operation requires a body. Ensure that the body is present and the Content-Type header is set.",
        )
    }

    pub(super) fn malformed() -> Self {
        Self::new(400, "MalformedInput", "The XML that you sent is malformed.")
    }

    pub(super) fn throttled() -> Self {
        Self::new(400, "Throttling", "Rate exceeded")
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        let fault = if refusal.status < 500 {
            "Sender"
        } else {
            "Receiver"
        };
        let mut xml = format!("{PROLOGUE}<ErrorResponse xmlns=\"{NAMESPACE}\"><Error>");
        let _ = write!(
            xml,
            "<Type>{fault}</Type><Code>{}</Code><Message>{}</Message></Error><RequestId>local</RequestId></ErrorResponse>",
            escape(&refusal.code),
            escape(&refusal.message)
        );
        Self {
            status: refusal.status,
            header: None,
            xml,
        }
    }
}
