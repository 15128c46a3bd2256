//! From changes to orders: whatever came together and concerns one distribution becomes one invalidation. Pure.

use std::collections::{BTreeMap, BTreeSet};

use cdn::{Cleared, Item, Kind, Served};
use jiff::Timestamp;

/// What is to be invalidated of one distribution, because of what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gathered {
    /// What changed, each once.
    pub(crate) items: BTreeSet<Item>,
    /// Because of what.
    pub(crate) content: BTreeSet<String>,
    /// Which messages said so.
    pub(crate) messages: BTreeSet<usize>,
    /// Where the objects lie, if all lie in the same place; with their keys.
    pub(crate) place: Place,
}

/// Where changed objects lie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nothing is known by now.
    #[default]
    Unknown,
    /// All in one bucket.
    Bucket {
        /// Its name.
        bucket: String,
        /// As what it is served.
        served: Served,
        /// The keys.
        keys: BTreeSet<String>,
    },
    /// Here and there, or not in a bucket.
    Several,
}

/// One change of one distribution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Changed {
    /// Which message said so.
    pub(crate) message: usize,
    /// What tells it from all other changes.
    pub(crate) identity: String,
    /// What is to be invalidated.
    pub(crate) items: Vec<Item>,
    /// When it changed, where that is known.
    pub(crate) at: Option<Timestamp>,
    /// The object, if it is one.
    pub(crate) object: Option<Located>,
}

impl Changed {
    /// Whether it asks for a wildcard.
    pub(crate) fn is_wide(&self) -> bool {
        self.items.iter().any(|item| item.kind() == Kind::Wildcard)
    }
}

/// Where a changed object lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Located {
    /// Its bucket.
    pub(crate) bucket: String,
    /// As what that is served.
    pub(crate) served: Served,
    /// Its key.
    pub(crate) key: String,
}

/// One order a distribution.
pub(crate) type Orders = BTreeMap<String, Vec<Changed>>;

/// When the first of these changed, if that is known of any.
pub(crate) fn first(changes: &[Changed]) -> Option<Timestamp> {
    changes.iter().filter_map(|change| change.at).min()
}

/// All changes of one distribution together, without those that were cleared since they came about: a pipeline may have asked for
/// that directly, or the change is told for the second time.
pub(crate) fn gather(changes: &[Changed], cleared: &Cleared) -> Gathered {
    let mut gathered = Gathered::default();
    let is_cleared = |change: &Changed| {
        let at = change
            .at
            .filter(|at| change.items.iter().all(|item| cleared.since(item, *at)));
        at.is_some()
    };
    for change in changes.iter().filter(|change| !is_cleared(change)) {
        gathered.items.extend(change.items.iter().cloned());
        gathered.content.insert(change.identity.clone());
        gathered.messages.insert(change.message);
        gathered.place.add(change.object.as_ref());
    }
    gathered
}

impl Place {
    fn add(&mut self, object: Option<&Located>) {
        match (&mut *self, object) {
            (Self::Unknown, Some(object)) => {
                *self = Self::Bucket {
                    bucket: object.bucket.clone(),
                    served: object.served.clone(),
                    keys: BTreeSet::from([object.key.clone()]),
                };
            }
            (
                Self::Bucket {
                    bucket,
                    served,
                    keys,
                },
                Some(object),
            ) if *bucket == object.bucket && *served == object.served => {
                keys.insert(object.key.clone());
            }
            _ => *self = Self::Several,
        }
    }

    /// The bucket, as what it is served, and the folder that all of the objects lie in; if they lie in one bucket.
    pub(crate) fn folder(&self) -> Option<(&str, &Served, &str)> {
        let Self::Bucket {
            bucket,
            served,
            keys,
        } = self
        else {
            return None;
        };
        let (first, last) = (keys.first()?, keys.last()?);
        // All that lies between two in order begins as both do.
        let same = first
            .bytes()
            .zip(last.bytes())
            .take_while(|(a, b)| a == b)
            .count();
        let slash = first
            .as_bytes()
            .get(..same)?
            .iter()
            .rposition(|byte| *byte == b'/');
        let folder = first.get(..slash.map_or(0, |at| at + 1))?;
        Some((bucket, served, folder))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(message: usize, key: &str) -> Changed {
        Changed {
            message,
            identity: format!("{key} {message}"),
            items: vec![Item::of_key(key).unwrap()],
            at: Some(Timestamp::UNIX_EPOCH),
            object: Some(Located {
                bucket: "bucket".to_owned(),
                served: Served::whole("E1".to_owned()),
                key: key.to_owned(),
            }),
        }
    }

    #[test]
    fn what_came_together_is_one() {
        let changes = [changed(0, "a/1"), changed(1, "a/2"), changed(2, "a/1")];
        let gathered = gather(&changes, &Cleared::default());
        assert_eq!(gathered.items.len(), 2);
        assert_eq!(gathered.messages, BTreeSet::from([0, 1, 2]));
        assert_eq!(gathered.content.len(), 3);
        assert_eq!(first(&changes), Some(Timestamp::UNIX_EPOCH));
    }

    #[test]
    fn the_folder_of_all_is_known_where_there_is_one() {
        let folder = |keys: &[&str]| {
            let changes: Vec<_> = keys
                .iter()
                .enumerate()
                .map(|(at, key)| changed(at, key))
                .collect();
            let gathered = gather(&changes, &Cleared::default());
            gathered
                .place
                .folder()
                .map(|(_, _, folder)| folder.to_owned())
        };
        assert_eq!(folder(&["t/ab/1", "t/ac/2"]).as_deref(), Some("t/"));
        assert_eq!(folder(&["t/a"]).as_deref(), Some("t/"));
        assert_eq!(folder(&["a", "b/c"]).as_deref(), Some(""));
        assert_eq!(folder(&[]), None);
        let mut elsewhere = changed(1, "a");
        elsewhere.object = None;
        let gathered = gather(&[changed(0, "a"), elsewhere], &Cleared::default());
        assert_eq!(gathered.place.folder(), None);
    }
}
