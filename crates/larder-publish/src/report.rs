//! What a run came to, as people and programs read it.

use serde::Serialize;
use serde_json::Value;

use crate::clearing::Answer;

/// What a run came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Report {
    /// What is published now.
    pub(crate) published: Value,
    /// Objects that were written; that would be, in a dry run.
    pub(crate) uploaded: Vec<Uploaded>,
    /// Objects that were there already.
    pub(crate) skipped: Vec<String>,
    /// Objects that were removed; that would be, in a dry run.
    pub(crate) deleted: Vec<String>,
    /// What came of clearing.
    pub(crate) invalidation: Answer,
    /// Whether what was read back is what was published; null where nothing was read.
    pub(crate) verified: Option<bool>,
    /// Whether nothing was changed because nothing was to be.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) dry_run: bool,
    pub(crate) duration_ms: f64,
}

/// An object that was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Uploaded {
    pub(crate) key: String,
    pub(crate) bytes: u64,
}

impl Report {
    /// Whether nothing went wrong that a build survives.
    pub(crate) fn is_well(&self) -> bool {
        self.invalidation.is_well() && self.verified != Some(false)
    }

    /// Adds an object of so many bytes that was written.
    pub(crate) fn wrote(&mut self, key: &str, bytes: usize) {
        self.uploaded.push(Uploaded {
            key: key.to_owned(),
            bytes: u64::try_from(bytes).unwrap_or(u64::MAX),
        });
    }

    /// How many bytes were written.
    pub(crate) fn bytes(&self) -> u64 {
        self.uploaded.iter().map(|object| object.bytes).sum()
    }

    /// In one line.
    pub(crate) fn told(&self) -> String {
        let count = self.uploaded.len();
        let uploaded = format!("{count} of {} objects", count + self.skipped.len());
        let deleted = match self.deleted.len() {
            0 => String::new(),
            count => format!(", {count} removed"),
        };
        let cleared = &self.invalidation;
        let paths = cleared.paths.join(" ");
        if self.dry_run {
            let cost = match cleared.paths.len() {
                0 => "nothing would be cleared".to_owned(),
                _ => format!(
                    "{paths} would be cleared, for {:.3} $ where the month's free paths are used up",
                    cleared.estimated_cost_usd
                ),
            };
            return format!(
                "Nothing was changed: {uploaded} would be uploaded ({}){deleted}; {cost}",
                size(self.bytes())
            );
        }
        let verified = match self.verified {
            None => "",
            Some(true) => "; read back",
            Some(false) => "; NOT yet to be read back",
        };
        format!(
            "{uploaded} uploaded ({}){deleted}; {}{verified}",
            size(self.bytes()),
            cleared.told()
        )
    }
}

/// Bytes as people read them.
pub(crate) fn size(bytes: u64) -> String {
    let tenths = |of: u64| format!("{}.{}", bytes / of, bytes % of * 10 / of);
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{} kB", tenths(1_000)),
        _ => format!("{} MB", tenths(1_000_000)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sizes_are_told_in_tenths() {
        for (bytes, told) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_250, "1.2 kB"),
            (30_256_930, "30.2 MB"),
        ] {
            assert_eq!(size(bytes), told);
        }
    }

    #[test]
    fn the_document_has_the_keys_that_programs_read() {
        let report = Report {
            uploaded: vec![Uploaded {
                key: "a".to_owned(),
                bytes: 3,
            }],
            ..Report::default()
        };
        assert_eq!(
            serde_json::to_value(&report).unwrap(),
            json!({
                "published": null, "uploaded": [{"key": "a", "bytes": 3}], "skipped": [], "deleted": [],
                "invalidation": {
                    "status": "skipped", "distribution_id": null, "invalidation_id": null, "paths": [], "billable_paths": 0,
                    "month_billable_paths": null, "estimated_cost_usd": 0.0, "duration_ms": 0.0
                },
                "verified": null, "duration_ms": 0.0
            })
        );
        assert_eq!(
            report.told(),
            "1 of 1 objects uploaded (3 B); nothing to clear"
        );
    }
}
