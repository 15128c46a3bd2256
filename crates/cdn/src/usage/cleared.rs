//! What was cleared, when and because of what: so that what changed before that is not cleared again, and what came back is.

use std::collections::HashSet;

use jiff::Timestamp;

use super::Made;
use crate::{
    item::{Item, Kind},
    reference::fingerprint,
};

/// What was cleared of a distribution, in order of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cleared(Vec<Once>);

/// What one invalidation has cleared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Once {
    pub(super) invalidation: String,
    pub(super) at: Timestamp,
    /// A hash of the order: of its items, and of what they were cleared because of.
    pub(super) order: u64,
    /// Of paths and tags.
    pub(super) hashes: HashSet<u64>,
    pub(super) wildcards: Vec<Item>,
}

/// The latest invalidation that has cleared something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latest {
    /// Its id.
    pub invalidation: String,
    /// A hash of its order.
    pub order: u64,
}

/// Items that are looked for, each with its hash: made once, however many invalidations are looked through.
pub(super) struct Sought<'a>(Vec<(u64, &'a Item)>);

impl<'a> Sought<'a> {
    pub(super) fn new(items: &'a [Item]) -> Self {
        let hashed = items.iter().map(|item| (fingerprint(item.as_str()), item));
        Self(hashed.collect())
    }
}

impl Once {
    pub(super) fn new(made: &Made) -> Self {
        let is_wide = |item: &&Item| item.kind() == Kind::Wildcard;
        let (wildcards, others): (Vec<_>, Vec<_>) = made.items.iter().partition(is_wide);
        Self {
            invalidation: made.invalidation.clone(),
            at: made.at,
            order: made.order,
            hashes: others
                .into_iter()
                .map(|item| fingerprint(item.as_str()))
                .collect(),
            wildcards: wildcards.into_iter().cloned().collect(),
        }
    }

    /// It, if it has cleared any of the items.
    pub(super) fn if_any_of(&self, Sought(items): &Sought<'_>) -> Option<Latest> {
        let mut items = items.iter();
        let is_any = items.any(|(hash, item)| self.touches(*hash, item));
        is_any.then(|| Latest {
            invalidation: self.invalidation.clone(),
            order: self.order,
        })
    }

    /// Whether an item was cleared; of a wildcard, whether anything of it may have been.
    fn touches(&self, hash: u64, item: &Item) -> bool {
        let mut wildcards = self.wildcards.iter();
        // What hashes stand for is not known any more: a wildcard may cover any of them.
        let is_wide = item.kind() == Kind::Wildcard && !self.hashes.is_empty();
        is_wide
            || self.hashes.contains(&hash)
            || wildcards.any(|wide| wide.covers(item) || item.covers(wide))
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

    /// The latest invalidation that has cleared any of the items.
    pub(super) fn latest(&self, items: &[Item]) -> Option<Latest> {
        let sought = Sought::new(items);
        self.0.iter().rev().find_map(|once| once.if_any_of(&sought))
    }

    pub(super) fn add(&mut self, made: &Made) {
        self.0.push(Once::new(made));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(text: &str) -> Item {
        Item::parse(text).unwrap()
    }

    fn made(id: &str, at: &str, items: &[&str]) -> Made {
        Made {
            distribution: "E1".to_owned(),
            invalidation: id.to_owned(),
            at: at.parse().unwrap(),
            items: items.iter().map(|text| item(text)).collect(),
            order: 7,
            is_earlier: false,
        }
    }

    #[test]
    fn what_was_cleared_after_it_changed_is_known() {
        let mut cleared = Cleared::default();
        cleared.add(&made("I1", "2026-11-27T04:00:10.9Z", &["/a", "/b*", "#c"]));
        for (text, moment, is_cleared) in [
            ("/a", "2026-11-27T04:00:09Z", true),
            ("/a", "2026-11-27T04:00:10Z", false),
            ("/a", "2026-11-27T04:00:11Z", false),
            ("/b/c", "2026-11-27T04:00:09Z", true),
            ("#c", "2026-11-27T04:00:09Z", true),
            ("/c", "2026-11-27T04:00:09Z", false),
        ] {
            let moment = moment.parse().unwrap();
            assert_eq!(
                cleared.since(&item(text), moment),
                is_cleared,
                "{text} {moment}"
            );
        }
    }

    #[test]
    fn the_latest_that_has_touched_an_item_is_known() {
        let mut cleared = Cleared::default();
        cleared.add(&made("I1", "2026-11-27T04:00:01Z", &["/a", "/b"]));
        cleared.add(&made("I2", "2026-11-27T04:00:02Z", &["/b/*"]));
        cleared.add(&made("I3", "2026-11-27T04:00:03Z", &["/c"]));
        let latest = |items: &[&str]| {
            let items: Vec<_> = items.iter().map(|text| item(text)).collect();
            cleared.latest(&items).map(|latest| latest.invalidation)
        };
        for (items, id) in [
            (&["/a"][..], Some("I1")),
            (&["/b"], Some("I1")),
            (&["/b/x"], Some("I2")),
            (&["/a", "/c"], Some("I3")),
            (&["/a*"], Some("I3")),
            (&["/x"], None),
        ] {
            assert_eq!(latest(items).as_deref(), id, "{items:?}");
        }
    }
}
