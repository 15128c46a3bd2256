//! Where a monitor's release lies, in its bucket and at its domain: for whoever publishes and for whoever invalidates alike.

/// What customers' templates lie under.
pub const TEMPLATES: &str = "customer-templates/";

/// What the key of a publisher's own note ends with: nobody reads it through a CDN.
pub const PENDING: &str = ".larder-pending.json";

/// The version of the object that always is the newest.
const LATEST: &str = "latest";

/// The objects of one monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release<'a> {
    /// What binaries' names begin with: `watchy`.
    pub prefix: &'a str,
    /// The monitor: `slack`.
    pub monitor: &'a str,
}

impl Release<'_> {
    /// The key of its metadata, which says what is newest.
    #[must_use]
    pub fn metadata(&self) -> String {
        format!("binaries/{}-monitor/metadata.json", self.monitor)
    }

    /// The key of a version, which never changes.
    #[must_use]
    pub fn versioned(&self, version: &str) -> String {
        let Self { prefix, monitor } = self;
        format!("binaries/{monitor}-monitor/{prefix}-{monitor}-monitor-{version}")
    }

    /// The key of the newest version, under a name that does not change.
    #[must_use]
    pub fn latest(&self) -> String {
        self.versioned(LATEST)
    }

    /// What another release makes stale: all but its version, which nobody can have asked for before it was there.
    #[must_use]
    pub fn mutable(&self) -> [String; 2] {
        [self.latest(), self.metadata()]
    }
}

/// Whether an object is one version of a monitor, written once and never changed.
#[must_use]
pub fn is_immutable(key: &str, prefix: &str) -> bool {
    let parts = key
        .strip_prefix("binaries/")
        .and_then(|rest| rest.split_once('/'));
    let Some((folder, file)) = parts else {
        return false;
    };
    let version = file
        .strip_prefix(prefix)
        .and_then(|rest| rest.strip_prefix('-'))
        .and_then(|rest| rest.strip_prefix(folder))
        .and_then(|rest| rest.strip_prefix('-'));
    let is_fixed = |version: &str| !version.is_empty() && !version.starts_with(LATEST);
    folder.ends_with("-monitor") && version.is_some_and(is_fixed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_where_readers_look_for_it() {
        let slack = Release {
            prefix: "watchy",
            monitor: "slack",
        };
        assert_eq!(slack.metadata(), "binaries/slack-monitor/metadata.json");
        assert_eq!(
            slack.versioned("2025.08.31.200811-da23b42"),
            "binaries/slack-monitor/watchy-slack-monitor-2025.08.31.200811-da23b42"
        );
        assert_eq!(
            slack.latest(),
            "binaries/slack-monitor/watchy-slack-monitor-latest"
        );
        for (key, immutable) in [
            (slack.versioned("1.0"), true),
            (slack.latest(), false),
            (slack.metadata(), false),
            (
                "binaries/slack-monitor/watchy-zoom-monitor-1.0".to_owned(),
                false,
            ),
            ("binaries/slack/watchy-slack-1.0".to_owned(), false),
            ("customer-templates/a.yaml".to_owned(), false),
        ] {
            assert_eq!(is_immutable(&key, "watchy"), immutable, "{key}");
        }
    }
}
