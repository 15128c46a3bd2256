//! What an edge holds, and what invalidations take from it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Instant,
};

use super::{covered::Covered, lock, object::Object};

/// The cache of an edge, for whoever invalidates. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct EdgeCache(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    held: HashMap<String, Arc<Object>>,
    /// How many invalidations there were.
    generation: u64,
    /// The generations that fetches began in which are under way.
    fetching: Vec<u64>,
    /// The invalidations since the oldest of these began.
    since: Vec<(u64, Covered)>,
}

/// A fetch under way. What it brings is kept unless an invalidation that covers it has come meanwhile:
/// the origin may have been asked before it changed.
#[derive(Debug)]
pub(super) struct Fetch {
    cache: EdgeCache,
    began: u64,
}

impl EdgeCache {
    /// Takes out what the `items` of an invalidation cover, errors as well: `/path`, `/prefix*` or `#tag`.
    /// Returns how many objects that were.
    pub fn invalidate<S: AsRef<str>>(&self, items: &[S]) -> usize {
        let covered = Covered::by(items);
        let mut inner = self.inner();
        let before = inner.held.len();
        inner
            .held
            .retain(|path, object| !covered.has(path, &object.tags));
        let cleared = before - inner.held.len();
        inner.generation += 1;
        if !inner.fetching.is_empty() {
            let generation = inner.generation;
            inner.since.push((generation, covered));
        }
        cleared
    }

    /// Takes out everything, and returns how many objects that were.
    pub fn clear(&self) -> usize {
        self.invalidate(&["/*"])
    }

    /// Whether something is held for `path`, fresh or not.
    #[must_use]
    pub fn holds(&self, path: &str) -> bool {
        self.inner().held.contains_key(path)
    }

    /// What is held for `path`, if it is fresh; else a fetch that begins now, and what is held.
    pub(super) fn look_up(&self, path: &str) -> Result<Arc<Object>, (Fetch, Option<Arc<Object>>)> {
        let mut inner = self.inner();
        let held = inner.held.get(path).cloned();
        if let Some(held) = held.as_ref().filter(|held| held.is_fresh(Instant::now())) {
            return Ok(Arc::clone(held));
        }
        let began = inner.generation;
        inner.fetching.push(began);
        drop(inner);
        let cache = self.clone();
        Err((Fetch { cache, began }, held))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        lock(&self.0)
    }
}

impl Fetch {
    /// Keeps `object` for `path`, if that may be.
    pub(super) fn keep(self, path: &str, object: &Arc<Object>) {
        let mut inner = self.cache.inner();
        let outdated = inner
            .since
            .iter()
            .any(|(at, covered)| *at > self.began && covered.has(path, &object.tags));
        if !outdated {
            inner.held.insert(path.to_owned(), Arc::clone(object));
        }
    }
}

impl Drop for Fetch {
    fn drop(&mut self) {
        let mut inner = self.cache.inner();
        if let Some(at) = inner.fetching.iter().position(|began| *began == self.began) {
            inner.fetching.swap_remove(at);
        }
        // What came before every fetch that is left concerns none.
        match inner.fetching.iter().min().copied() {
            Some(oldest) => inner.since.retain(|(at, _)| *at > oldest),
            None => inner.since.clear(),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    fn object(tags: &[&str]) -> Arc<Object> {
        let mut object = Object::error(StatusCode::NOT_FOUND);
        object.tags = tags.iter().map(|&tag| tag.to_owned()).collect();
        Arc::new(object)
    }

    fn begin(cache: &EdgeCache, path: &str) -> Fetch {
        cache.look_up(path).unwrap_err().0
    }

    fn with(paths: &[(&str, &[&str])]) -> EdgeCache {
        let cache = EdgeCache::default();
        for (path, tags) in paths {
            begin(&cache, path).keep(path, &object(tags));
        }
        cache
    }

    #[test]
    fn what_is_covered_is_taken_out_and_counted() {
        let cache = with(&[("/a", &[]), ("/a/b", &["x"]), ("/c", &["x"]), ("/d", &[])]);
        assert_eq!(cache.invalidate(&["/a", "/z"]), 1);
        assert_eq!(cache.invalidate(&["#x"]), 2);
        assert!(cache.holds("/d") && cache.look_up("/d").is_ok());
        assert_eq!(cache.clear(), 1);
    }

    #[test]
    fn what_was_fetched_before_an_invalidation_does_not_come_back() {
        let cache = with(&[]);
        let (a, b, c) = (
            begin(&cache, "/a"),
            begin(&cache, "/b"),
            begin(&cache, "/c"),
        );
        assert_eq!(cache.invalidate(&["/a", "#x"]), 0);
        let later = begin(&cache, "/a");
        a.keep("/a", &object(&[]));
        assert!(!cache.holds("/a"));
        b.keep("/b", &object(&["x"]));
        assert!(!cache.holds("/b"));
        c.keep("/c", &object(&["y"]));
        assert!(cache.holds("/c"));
        later.keep("/a", &object(&[]));
        assert!(cache.holds("/a"));
    }

    #[test]
    fn invalidations_are_forgotten_once_no_fetch_is_older() {
        let cache = with(&[]);
        let first = begin(&cache, "/a");
        cache.invalidate(&["/a"]);
        let second = begin(&cache, "/b");
        cache.invalidate(&["/b"]);
        assert_eq!(cache.inner().since.len(), 2);
        drop(first);
        assert_eq!(cache.inner().since.len(), 1);
        drop(second);
        assert_eq!(cache.inner().since.len(), 0);
        cache.invalidate(&["/c"]);
        assert_eq!(cache.inner().since.len(), 0);
    }
}
