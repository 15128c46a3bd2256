//! What was cleared, and when: so that what changed before that is not cleared again.

use std::collections::HashSet;

use jiff::Timestamp;

use crate::{
    item::{Item, Kind},
    reference::fingerprint,
};

/// What was cleared of a distribution, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cleared(Vec<Once>);

/// What one invalidation has cleared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Once {
    pub(super) at: Timestamp,
    /// Of paths and tags.
    pub(super) hashes: HashSet<u64>,
    pub(super) wildcards: Vec<Item>,
}

impl Once {
    pub(super) fn new(at: Timestamp, items: &[Item]) -> Self {
        let is_wide = |item: &&Item| item.kind() == Kind::Wildcard;
        let (wildcards, others): (Vec<_>, Vec<_>) = items.iter().partition(is_wide);
        Self {
            at,
            hashes: others
                .into_iter()
                .map(|item| fingerprint(item.as_str()))
                .collect(),
            wildcards: wildcards.into_iter().cloned().collect(),
        }
    }
}

impl FromIterator<Once> for Cleared {
    fn from_iter<I: IntoIterator<Item = Once>>(all: I) -> Self {
        Self(all.into_iter().collect())
    }
}

impl Cleared {
    /// Whether an item was cleared after a moment. Both are known to the second: what was cleared within the same second may
    /// have been cleared before.
    #[must_use]
    pub fn since(&self, item: &Item, moment: Timestamp) -> bool {
        let hash = fingerprint(item.as_str());
        let mut later = self
            .0
            .iter()
            .filter(|once| once.at.as_second() > moment.as_second());
        later.any(|once| {
            once.hashes.contains(&hash) || once.wildcards.iter().any(|wide| wide.covers(item))
        })
    }

    pub(super) fn add(&mut self, at: Timestamp, items: &[Item]) {
        self.0.push(Once::new(at, items));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_cleared_after_it_changed_is_known() {
        let item = |text: &str| Item::parse(text).unwrap();
        let at = |text: &str| text.parse().unwrap();
        let mut cleared = Cleared::default();
        cleared.add(
            at("2026-11-27T04:00:10.9Z"),
            &[item("/a"), item("/b*"), item("#c")],
        );
        for (text, moment, is_cleared) in [
            ("/a", "2026-11-27T04:00:09Z", true),
            ("/a", "2026-11-27T04:00:10Z", false),
            ("/a", "2026-11-27T04:00:11Z", false),
            ("/b/c", "2026-11-27T04:00:09Z", true),
            ("#c", "2026-11-27T04:00:09Z", true),
            ("/c", "2026-11-27T04:00:09Z", false),
        ] {
            assert_eq!(
                cleared.since(&item(text), at(moment)),
                is_cleared,
                "{text} {moment}"
            );
        }
    }
}
