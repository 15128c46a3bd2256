//! What was cleared, when and because of what: so that what changed before that is not cleared again, and what came back is.

use std::{collections::HashSet, time::Duration};

use jiff::{SignedDuration, Timestamp};

use super::{Asked, Made};
use crate::{
    item::{Item, Kind},
    reference::fingerprint,
};

/// An invalidation that came so long after a change has cleared it, though the change is told to the second, and by another clock.
const CLOCK_MARGIN: SignedDuration = SignedDuration::from_secs(2);
/// Whoever waits for so long after an upload has it cleared so late that nobody clears it again when S3 tells of it.
pub const SETTLED: Duration = CLOCK_MARGIN
    .unsigned_abs()
    .saturating_add(Duration::from_millis(200));
/// What the names of attempts begin with.
const ATTEMPT: &str = "asked-";

/// What was cleared of a distribution, in order of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cleared(Vec<Once>);

/// An invalidation, or an attempt to have one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Once {
    pub(super) which: Which,
    pub(super) at: Timestamp,
    /// When it was about to be asked for.
    pub(super) asked: Timestamp,
    /// A hash of the order: of its items, and of what they were cleared because of.
    pub(super) order: u64,
    pub(super) items: Footprint,
}

/// What became of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// The invalidation of this id.
    Made(String),
    /// It was about to be asked for, which was noted under this name. Whether it was is not known.
    Asked(String),
}

impl Which {
    /// The id, or the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Made(name) | Self::Asked(name) => name,
        }
    }

    /// The name of an attempt, which no invalidation has as its id.
    fn attempt(asked: &Asked<'_>) -> Self {
        Self::Asked(format!("{ATTEMPT}{:016x}-{}", asked.order, asked.at))
    }

    /// Whichever is called so.
    pub(super) fn of(name: &str) -> Self {
        let which = if name.starts_with(ATTEMPT) {
            Self::Asked
        } else {
            Self::Made
        };
        which(name.to_owned())
    }

    fn made(&self) -> Option<&str> {
        match self {
            Self::Made(id) => Some(id),
            Self::Asked(_) => None,
        }
    }
}

/// The latest order that had to do with something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latest {
    /// What became of it.
    pub which: Which,
    /// When.
    pub at: Timestamp,
    /// When it was about to be asked for.
    pub asked: Timestamp,
    /// A hash of it.
    pub order: u64,
    /// Invalidations that came later, and had nothing to do with it.
    pub passed: Vec<String>,
}

/// A look through orders, the newest first, for the latest that had to do with some items.
pub(super) struct Search<'a> {
    sought: Sought<'a>,
    order: u64,
    /// The same order, once it was met.
    same: Option<Latest>,
    passed: Vec<String>,
}

impl<'a> Search<'a> {
    pub(super) fn new(asked: &Asked<'a>) -> Self {
        Self {
            sought: Sought::new(asked.items),
            order: asked.order,
            same: None,
            passed: Vec::new(),
        }
    }

    /// Looks at the next one. What it returns is what is looked for: another order, or the same one unless another was under way
    /// while it was asked for. Attempts at the same order tell nothing.
    pub(super) fn look(&mut self, once: &Once) -> Option<Latest> {
        if let Some(same) = self.same.take_if(|same| once.at < same.asked) {
            return Some(same);
        }
        let is_same = once.order == self.order;
        if !once.items.touches(&self.sought) {
            self.passed.extend(once.which.made().map(str::to_owned));
            return None;
        }
        if is_same && (self.same.is_some() || once.which.made().is_none()) {
            return None;
        }
        let latest = Latest {
            which: once.which.clone(),
            at: once.at,
            asked: once.asked,
            order: once.order,
            passed: std::mem::take(&mut self.passed),
        };
        if !is_same {
            return Some(latest);
        }
        self.same = Some(latest);
        None
    }

    /// What is looked for, if nothing came before.
    pub(super) fn end(self) -> Option<Latest> {
        self.same
    }
}

/// The items of an invalidation, as short as they can be kept where there are thousands: a path or tag is a hash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Footprint {
    /// Of paths and tags.
    pub(super) hashes: HashSet<u64>,
    pub(super) wildcards: Vec<Item>,
    /// What all of its paths begin with; none if it has none.
    pub(super) stem: Option<String>,
    /// Any object may bear a tag.
    pub(super) has_tags: bool,
}

impl Footprint {
    pub(crate) fn of(items: &[Item]) -> Self {
        let mut footprint = Self::default();
        for item in items {
            match item.kind() {
                Kind::Wildcard => {
                    footprint.wildcards.push(item.clone());
                    continue;
                }
                Kind::Tag => footprint.has_tags = true,
                Kind::Exact => footprint.lead_to(item.as_str()),
            }
            footprint.hashes.insert(fingerprint(item.as_str()));
        }
        footprint
    }

    fn lead_to(&mut self, path: &str) {
        let Some(stem) = &mut self.stem else {
            self.stem = Some(path.to_owned());
            return;
        };
        let same = stem.bytes().zip(path.bytes()).take_while(|(a, b)| a == b);
        let same = same.count();
        *stem = stem.get(..same).unwrap_or_default().to_owned();
    }

    /// Whether an item was cleared.
    fn clears(&self, hash: u64, item: &Item) -> bool {
        self.hashes.contains(&hash) || self.wildcards.iter().any(|wide| wide.covers(item))
    }

    /// Whether anything may have been cleared that one of the items clears.
    pub(crate) fn touches(&self, Sought(items): &Sought<'_>) -> bool {
        let mut items = items.iter();
        items.any(|(hash, item)| self.has_tags || self.touches_one(*hash, item))
    }

    fn touches_one(&self, hash: u64, item: &Item) -> bool {
        match (item.kind(), item.prefix()) {
            (Kind::Tag, _) => true,
            // What hashes stand for is not known any more, but for what all of it begins with.
            (Kind::Wildcard, Some(prefix)) => {
                let stem = self.stem.as_ref();
                let mut wildcards = self.wildcards.iter();
                stem.is_some_and(|stem| stem.starts_with(prefix) || prefix.starts_with(stem))
                    || wildcards.any(|wide| wide.covers(item) || item.covers(wide))
            }
            _ => self.clears(hash, item),
        }
    }
}

/// Items that are looked for, each with its hash: made once, however many invalidations are looked through.
pub(crate) struct Sought<'a>(Vec<(u64, &'a Item)>);

impl<'a> Sought<'a> {
    pub(crate) fn new(items: &'a [Item]) -> Self {
        let hashed = items.iter().map(|item| (fingerprint(item.as_str()), item));
        Self(hashed.collect())
    }
}

impl Once {
    pub(super) fn made(made: &Made) -> Self {
        Self {
            which: Which::Made(made.invalidation.clone()),
            at: made.at,
            asked: made.asked,
            order: made.order,
            items: Footprint::of(&made.items),
        }
    }

    pub(super) fn asked(asked: &Asked<'_>) -> Self {
        Self {
            which: Which::attempt(asked),
            at: asked.at,
            asked: asked.at,
            order: asked.order,
            items: Footprint::of(asked.items),
        }
    }
}

impl FromIterator<Once> for Cleared {
    fn from_iter<I: IntoIterator<Item = Once>>(all: I) -> Self {
        Self(all.into_iter().collect())
    }
}

impl Cleared {
    /// Whether an item was cleared after a moment, beyond doubt: the moment is known to the second, by another clock than that of
    /// the invalidation.
    #[must_use]
    pub fn since(&self, item: &Item, moment: Timestamp) -> bool {
        let hash = fingerprint(item.as_str());
        let is_later = |once: &&Once| once.at.duration_since(moment) > CLOCK_MARGIN;
        let mut later = self.0.iter().filter(is_later);
        later.any(|once| once.which.made().is_some() && once.items.clears(hash, item))
    }

    /// The latest order that had to do with any of the items.
    pub(super) fn latest(&self, asked: &Asked<'_>) -> Option<Latest> {
        let mut search = Search::new(asked);
        let mut newest = self.0.iter().rev();
        newest
            .find_map(|once| search.look(once))
            .or_else(|| search.end())
    }

    pub(super) fn add(&mut self, once: Once) {
        self.0.push(once);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(texts: &[&str]) -> Vec<Item> {
        let parsed = texts.iter().map(|text| Item::parse(text).unwrap());
        parsed.collect()
    }

    fn made(id: &str, at: &str, texts: &[&str], order: u64) -> Once {
        Once::made(&Made {
            distribution: "E1".to_owned(),
            invalidation: id.to_owned(),
            at: at.parse().unwrap(),
            asked: at.parse().unwrap(),
            items: items(texts),
            order,
            is_earlier: false,
        })
    }

    fn asked<'a>(items: &'a [Item], order: u64, at: &str) -> Asked<'a> {
        Asked {
            distribution: "E1",
            items,
            order,
            at: at.parse().unwrap(),
        }
    }

    #[test]
    fn what_was_cleared_after_it_changed_is_known() {
        let mut cleared = Cleared::default();
        let at = "2026-11-27T04:00:10.9Z";
        cleared.add(made("I1", at, &["/a", "/b*", "#c"], 7));
        cleared.add(Once::asked(&asked(&items(&["/d"]), 8, at)));
        for (text, moment, is_cleared) in [
            ("/a", "2026-11-27T04:00:08Z", true),
            ("/a", "2026-11-27T04:00:09Z", false),
            ("/a", "2026-11-27T04:00:11Z", false),
            ("/b/c", "2026-11-27T04:00:08Z", true),
            ("#c", "2026-11-27T04:00:08Z", true),
            ("/c", "2026-11-27T04:00:08Z", false),
            ("/d", "2026-11-27T04:00:08Z", false),
        ] {
            let moment = moment.parse().unwrap();
            let item = Item::parse(text).unwrap();
            assert_eq!(cleared.since(&item, moment), is_cleared, "{text} {moment}");
        }
    }

    #[test]
    fn the_latest_that_has_touched_an_item_is_known() {
        let mut cleared = Cleared::default();
        cleared.add(made("I1", "2026-11-27T04:00:01Z", &["/a", "/b"], 1));
        cleared.add(made("I2", "2026-11-27T04:00:02Z", &["/b/*"], 2));
        cleared.add(made("I3", "2026-11-27T04:00:03Z", &["/c", "/c/d"], 3));
        let latest = |cleared: &Cleared, texts: &[&str]| {
            let latest = cleared.latest(&asked(&items(texts), 0, "2026-11-27T05:00:00Z"));
            latest.map(|latest| latest.which.as_str().to_owned())
        };
        for (texts, id) in [
            (&["/a"][..], Some("I1")),
            (&["/b"], Some("I1")),
            (&["/b/x"], Some("I2")),
            (&["/a", "/c"], Some("I3")),
            // All that I3 has begins with `/c`, and with I1's nothing is known.
            (&["/b*"], Some("I2")),
            (&["/x*"], Some("I1")),
            (&["/c/d/*"], Some("I3")),
            (&["/x"], None),
            (&["#x"], Some("I3")),
        ] {
            assert_eq!(latest(&cleared, texts).as_deref(), id, "{texts:?}");
        }
        cleared.add(made("I4", "2026-11-27T04:00:04Z", &["#t"], 4));
        assert_eq!(latest(&cleared, &["/x"]).as_deref(), Some("I4"), "any path");
    }

    #[test]
    fn an_attempt_at_something_else_came_between_and_one_at_the_same_did_not() {
        let mut cleared = Cleared::default();
        let items = items(&["/a"]);
        cleared.add(made("I1", "2026-11-27T04:00:01Z", &["/a"], 1));
        cleared.add(Once::asked(&asked(&items, 2, "2026-11-27T04:00:02Z")));
        cleared.add(made("I3", "2026-11-27T04:00:03Z", &["/b"], 3));
        let of = |order| {
            let latest = cleared.latest(&asked(&items, order, "2026-11-27T05:00:00Z"));
            latest.unwrap()
        };
        assert_eq!(of(2).which, Which::Made("I1".to_owned()));
        assert_eq!(of(2).passed, ["I3"]);
        let attempt = "asked-0000000000000002-2026-11-27T04:00:02Z".to_owned();
        assert_eq!(of(1).which, Which::Asked(attempt));
    }

    #[test]
    fn an_order_that_took_long_is_not_the_latest_if_another_was_faster() {
        let mut cleared = Cleared::default();
        let items = items(&["/a"]);
        let mut slow = made("I1", "2026-11-27T04:00:30Z", &["/a"], 1);
        slow.asked = "2026-11-27T04:00:00Z".parse().unwrap();
        cleared.add(Once::asked(&asked(&items, 1, "2026-11-27T04:00:00Z")));
        cleared.add(Once::asked(&asked(&items, 2, "2026-11-27T04:00:01Z")));
        cleared.add(made("I2", "2026-11-27T04:00:02Z", &["/a"], 2));
        cleared.add(slow);
        let latest = cleared.latest(&asked(&items, 1, "2026-11-27T04:01:00Z"));
        assert_eq!(latest.unwrap().which, Which::Made("I2".to_owned()));
    }
}
