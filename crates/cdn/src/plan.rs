//! The cheapest set of items that clears all that changed.
//!
//! Changed paths C, all known paths U ⊇ C, a price for each item and one for each object that is cleared without need: an
//! item is a path of C, or all that begins with a prefix. Of the prefixes that cover the same paths of C the longest clears the
//! least else, so only the longest common prefixes of groups come into question: the inner nodes of the compressed trie of C,
//! fewer than |C|. They are nested or apart, never crossed, so the best choice in a node is made of the best choices in its
//! children: one wildcard, or all children's own, with the wildcards that are left shared out among them ([`tree`]). That takes
//! O(|C| · W) steps after sorting, W being how many wildcards there may be, and two binary searches in U for each node.

mod tree;

use std::fmt;

use crate::{
    item::{Item, Kind},
    known::Known,
    price::Price,
};
use tree::Tree;

/// How many items may be in progress at a time on a distribution, wildcards aside ("Quotas on invalidations").
pub const MAX_EXACT: usize = 3_000;
/// How many wildcards, beside.
pub const MAX_WILDCARDS: usize = 15;
/// How many of these are ours, unless settings say otherwise: two are left for people.
pub const OUR_WILDCARDS: usize = MAX_WILDCARDS - 2;

/// How often the price of an item is raised fourfold to have fewer: from 1 to more than any object's.
const DEARER: u32 = 33;

/// What is still free of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Paths and tags.
    pub exact: usize,
    /// Wildcards.
    pub wildcards: usize,
}

impl Room {
    /// All that a distribution has.
    pub const ALL: Self = Self {
        exact: MAX_EXACT,
        wildcards: MAX_WILDCARDS,
    };
}

/// What to invalidate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The items, in order, none of which covers another.
    pub items: Vec<Item>,
    /// How many objects are cleared without need, as far as that is known.
    pub over_invalidated: u64,
}

/// There are more items than there is room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub struct NoRoom {
    /// How many items of each kind it takes at least.
    pub needed: Room,
    /// How many there may be.
    pub room: Room,
}

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { needed, room } = self;
        write!(
            f,
            "{} paths and {} wildcards are to be cleared, and there is room for {} and {}",
            needed.exact, needed.wildcards, room.exact, room.wildcards
        )
    }
}

impl Plan {
    /// How many wildcards there are among the items.
    #[must_use]
    pub fn wildcards(&self) -> usize {
        self.of(Kind::Wildcard)
    }

    /// How many items there are of a kind.
    #[must_use]
    pub fn of(&self, kind: Kind) -> usize {
        self.items.iter().filter(|item| item.kind() == kind).count()
    }
}

/// The cheapest plan that clears `changed`, within `room`. Wildcards and tags that are given are kept as they are; what a
/// wildcard covers is left out. Where the paths are more than there is room for, wildcards take their place at whatever price;
/// fails where even that does not do.
pub fn plan(changed: &[Item], known: Known<'_>, price: Price, room: Room) -> Result<Plan, NoRoom> {
    let (given, paths) = without_covered(changed);
    let taken = given
        .iter()
        .filter(|item| item.kind() == Kind::Wildcard)
        .count();
    let tags = given.len() - taken;
    let needed = Room {
        exact: tags + paths.len(),
        wildcards: taken,
    };
    let left = room
        .wildcards
        .checked_sub(taken)
        .zip(room.exact.checked_sub(tags));
    let Some((wildcards, exact)) = left else {
        return Err(NoRoom { needed, room });
    };
    let tree = Tree::of(&paths, known);
    let mut price = price;
    let mut fewest = paths.len();
    // The dearer an item, the fewer are chosen; after the last of these rounds no object is worth one.
    for _ in 0..DEARER {
        let chosen = tree.cheapest(price, wildcards);
        if chosen.paths <= exact {
            let items = given.into_iter().cloned().chain(chosen.items);
            return Ok(Plan {
                items: apart(items.collect()),
                over_invalidated: chosen.extra,
            });
        }
        fewest = chosen.paths;
        price.item = price.item.saturating_mul(4).max(1);
    }
    let needed = Room {
        exact: tags + fewest,
        ..needed
    };
    Err(NoRoom { needed, room })
}

/// The items in order, without those that another one covers.
fn apart(mut items: Vec<Item>) -> Vec<Item> {
    items.sort_unstable();
    let wildcards: Vec<_> = items
        .iter()
        .filter(|item| item.kind() == Kind::Wildcard)
        .cloned()
        .collect();
    items.retain(|item| {
        !wildcards
            .iter()
            .any(|wide| wide != item && wide.covers(item))
    });
    items
}

/// The wildcards and tags among `changed`, and the paths that no wildcard of them covers; each once, in order.
fn without_covered(changed: &[Item]) -> (Vec<&Item>, Vec<&str>) {
    let mut all: Vec<_> = changed.iter().collect();
    all.sort_unstable();
    all.dedup();
    let (mut wildcards, others): (Vec<_>, Vec<_>) = all
        .into_iter()
        .partition(|item| item.kind() == Kind::Wildcard);
    // In the order of prefixes, what begins with one comes behind it, and before the next that is apart.
    wildcards.sort_unstable_by_key(|item| item.prefix());
    wildcards.dedup_by(|item, before| before.covers(item));
    let prefixes: Vec<_> = wildcards.iter().filter_map(|item| item.prefix()).collect();
    let all_is_cleared = prefixes.contains(&"/");
    let is_covered = |item: &Item| {
        let before = prefixes.partition_point(|prefix| *prefix <= item.as_str());
        let nearest = before.checked_sub(1).and_then(|at| prefixes.get(at));
        all_is_cleared || nearest.is_some_and(|prefix| item.as_str().starts_with(prefix))
    };
    let (tags, paths): (Vec<_>, Vec<_>) = others
        .into_iter()
        .filter(|item| !is_covered(item))
        .partition(|item| item.kind() == Kind::Tag);
    let given = wildcards.into_iter().chain(tags).collect();
    (given, paths.into_iter().map(Item::as_str).collect())
}

#[cfg(test)]
mod tests;
