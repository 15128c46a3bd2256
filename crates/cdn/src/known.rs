//! What a CDN may hold: the paths of a listing, sorted, so that how many begin with a prefix takes two binary searches.

use crate::item::{Item, Rejected};

/// What is known of the objects that a wildcard might clear beside those that changed.
#[derive(Clone, Copy, Debug)]
pub enum Known<'a> {
    /// Nothing: no wildcard is made.
    Nothing,
    /// Nothing, but the caller owns all below this prefix and wants it cleared together. Where nothing is counted, as many again
    /// as changed are taken to be there.
    Owned(&'a str),
    /// All that is below the listing's prefix.
    Listed(&'a Listing),
}

/// The paths of all objects below a prefix, in a text of their own: 8 bytes each beside the path.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    under: String,
    text: String,
    /// Where each path lies in the text, in the order of the paths.
    places: Vec<(u32, u32)>,
}

/// More paths than a listing has room for: 4 GiB of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more paths than a listing has room for: 4 GiB of them")]
pub struct Full;

impl Listing {
    /// An empty one, of what is below `under`: a path that begins with `/`, as items are spelled.
    #[must_use]
    pub fn new(under: &str) -> Self {
        Self {
            under: under.to_owned(),
            ..Self::default()
        }
    }

    /// Of the objects with these keys, all that are below `under`. Keys that no item can name are passed over: no wildcard can
    /// be kept from clearing them, and no plan has to.
    pub fn of_keys<'k>(under: &str, keys: impl IntoIterator<Item = &'k str>) -> Result<Self, Full> {
        let mut listing = Self::new(under);
        for key in keys {
            if let Ok::<_, Rejected>(item) = Item::of_key(key) {
                listing.push(item.as_str())?;
            }
        }
        listing.sort();
        Ok(listing)
    }

    /// Adds a path, spelled as items are. Until [`Self::sort`] the listing is of no use.
    pub fn push(&mut self, path: &str) -> Result<(), Full> {
        let start = u32::try_from(self.text.len()).map_err(|_| Full)?;
        let end = self.text.len().checked_add(path.len()).ok_or(Full)?;
        let end = u32::try_from(end).map_err(|_| Full)?;
        self.text.push_str(path);
        self.places.push((start, end));
        Ok(())
    }

    /// Puts all paths in order, each once.
    pub fn sort(&mut self) {
        let text = &self.text;
        self.places.sort_unstable_by_key(|place| at(text, *place));
        self.places.dedup_by_key(|place| at(text, *place));
    }

    /// What all of its paths begin with.
    #[must_use]
    pub fn under(&self) -> &str {
        &self.under
    }

    /// How many paths there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// How many begin with `prefix`.
    #[must_use]
    pub fn count(&self, prefix: &str) -> usize {
        let first = self
            .places
            .partition_point(|place| self.path(*place) < prefix);
        let rest = self.places.get(first..).unwrap_or_default();
        rest.partition_point(|place| self.path(*place).starts_with(prefix))
    }

    /// Whether `path` is among them.
    #[must_use]
    pub fn has(&self, path: &str) -> bool {
        let found = self
            .places
            .binary_search_by(|place| self.path(*place).cmp(path));
        found.is_ok()
    }

    fn path(&self, place: (u32, u32)) -> &str {
        at(&self.text, place)
    }
}

fn at(text: &str, (start, end): (u32, u32)) -> &str {
    let place = usize::try_from(start).ok().zip(usize::try_from(end).ok());
    place
        .and_then(|(start, end)| text.get(start..end))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_with_a_prefix_is_counted() {
        let keys = ["b/2", "a", "b/1", "b", "b/1", "c*", "b/10"];
        let listing = Listing::of_keys("/", keys).unwrap();
        assert_eq!(listing.len(), 5);
        for (prefix, count) in [
            ("/", 5),
            ("/b", 4),
            ("/b/", 3),
            ("/b/1", 2),
            ("/c", 0),
            ("/zz", 0),
            ("", 5),
        ] {
            assert_eq!(listing.count(prefix), count, "{prefix}");
        }
        assert!(listing.has("/b/10") && !listing.has("/b/100"));
    }
}
