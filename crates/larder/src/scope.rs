//! What an invalidation covers, and what is known of past ones.
//!
//! An invalidation deletes nothing: it is a **mark**, a scope and a moment, and an entry whose load began
//! at that moment or before is not served any more. So it costs the same for one entry and for a
//! million, it also covers what lies in the memory of other processes, and a load that was under way
//! cannot put back the value that it saw before. Scopes are 64-bit hashes; where two of them meet, one
//! entry too many is loaded again.
//!
//! Moments are the wall clocks of the processes that write and invalidate. Lambda's are kept in step to
//! well under a millisecond; a clock that is ahead by more lets a value that it loaded in that time
//! survive the invalidation ("Set the time reference on your EC2 instance").

use std::collections::HashMap;

use twox_hash::XxHash3_64;

use crate::{
    clock::WallMillis,
    key::{Ident, Key},
};

/// What an invalidation covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope(u64);

// One seed a kind of scope: a tag called as a keyspace is another scope.
const TAG: u64 = 1;
const KEYSPACE: u64 = 2;
const EXPIRY: u64 = 3;

impl Scope {
    /// Everything.
    pub const ALL: Self = Self(0);

    /// Everything that bears `tag`.
    #[must_use]
    pub fn tag(tag: &str) -> Self {
        Self::hashed(XxHash3_64::oneshot_with_seed(TAG, tag.as_bytes()))
    }

    /// Everything in the keyspace called `name`.
    #[must_use]
    pub fn keyspace(name: &str) -> Self {
        Self::under(name, &())
    }

    /// What in the keyspace called `name` has a key that begins with the parts of `prefix`.
    #[must_use]
    pub fn under(name: &str, prefix: &(impl Key + ?Sized)) -> Self {
        Self::hashed(Ident::new(0, prefix).parts_hash(seed(name)))
    }

    /// As it is kept in a tier.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// As it was kept in a tier.
    #[must_use]
    pub const fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    /// Any but [`Scope::ALL`].
    const fn hashed(hash: u64) -> Self {
        Self(if hash == 0 { 1 } else { hash })
    }
}

/// Tells the keys of keyspaces apart.
pub(crate) fn seed(keyspace: &str) -> u64 {
    XxHash3_64::oneshot_with_seed(KEYSPACE, keyspace.as_bytes())
}

/// All scopes that cover the entry at `key`, but for its tags and [`Scope::ALL`].
pub(crate) fn covering(key: &Ident, seed: u64) -> impl Iterator<Item = Scope> {
    key.prefixes(seed).map(Scope::hashed)
}

/// What covers the entry at `key`, and those whose keys begin with its parts.
pub(crate) fn of(key: &Ident, seed: u64) -> Scope {
    Scope::hashed(key.parts_hash(seed))
}

/// What marks the entry at `key` as no longer fresh.
pub(crate) fn expiry(key: &Ident, seed: u64) -> Scope {
    Scope::hashed(key.parts_hash(seed ^ EXPIRY))
}

/// An invalidation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// What it covers.
    pub scope: Scope,
    /// What was loaded then or before is covered.
    pub at: WallMillis,
}

/// How many marks a process remembers, and a tier keeps: about a megabyte.
pub const MAX_MARKS: usize = 10_000;

/// The marks that a process knows, the newest of each scope. Past [`MAX_MARKS`] the older half is given up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marks {
    all: Option<WallMillis>,
    of: HashMap<Scope, WallMillis>,
}

impl Marks {
    /// Notes one more; false where that is nothing new.
    pub(crate) fn note(&mut self, mark: Mark) -> bool {
        let known = if mark.scope == Scope::ALL {
            self.all.replace(mark.at.max(self.all.unwrap_or_default()))
        } else {
            let known = self.of.get(&mark.scope).copied();
            self.of
                .insert(mark.scope, mark.at.max(known.unwrap_or_default()));
            known
        };
        known < Some(mark.at)
    }

    /// The newest invalidation that covers what `scopes` cover.
    pub(crate) fn newest(&self, scopes: impl IntoIterator<Item = Scope>) -> Option<WallMillis> {
        let of = scopes.into_iter().filter_map(|scope| self.of.get(&scope));
        of.copied().max().max(self.all)
    }

    /// Gives up the older half, if there are too many, and says when the newest of these was.
    pub(crate) fn bound(&mut self) -> Option<WallMillis> {
        if self.of.len() <= MAX_MARKS {
            return None;
        }
        let mut times: Vec<_> = self.of.values().copied().collect();
        let middle = times.len() / 2;
        let (_, limit, _) = times.select_nth_unstable(middle);
        let limit = *limit;
        self.of.retain(|_, at| *at > limit);
        Some(limit)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_scope_of_one_kind_is_none_of_another() {
        let scopes = [
            Scope::ALL,
            Scope::tag("reports"),
            Scope::keyspace("reports"),
            Scope::under("reports", "reports"),
            expiry(&Ident::new(0, "reports"), seed("reports")),
        ];
        for (n, one) in scopes.iter().enumerate() {
            assert!(!scopes[n + 1..].contains(one), "{one:?}");
        }
    }

    #[test]
    fn an_entry_is_covered_by_its_keyspace_and_its_leading_parts_in_any_edition() {
        let key = Ident::new(7, &("D05.SI", "2026-11-21"));
        let scopes: Vec<_> = covering(&key, seed("reports")).collect();
        assert!(scopes.contains(&Scope::keyspace("reports")));
        assert!(scopes.contains(&Scope::under("reports", "D05.SI")));
        assert!(scopes.contains(&Scope::under("reports", &("D05.SI", "2026-11-21"))));
        assert!(!scopes.contains(&Scope::keyspace("charts")));
    }

    proptest! {
        #[test]
        fn what_is_given_up_is_told(times in prop::collection::vec(1..100_000_u64, MAX_MARKS..MAX_MARKS + 2_000)) {
            let mut marks = Marks::default();
            let mut given_up = None;
            for (n, at) in times.iter().enumerate() {
                let mark = Mark { scope: Scope::tag(&n.to_string()), at: WallMillis::new(*at) };
                marks.note(mark);
                given_up = given_up.max(marks.bound());
                prop_assert!(marks.of.len() <= MAX_MARKS);
            }
            for (n, at) in times.iter().enumerate() {
                let newest = marks.newest([Scope::tag(&n.to_string())]);
                prop_assert!(newest.max(given_up) >= Some(WallMillis::new(*at)));
            }
        }
    }
}
