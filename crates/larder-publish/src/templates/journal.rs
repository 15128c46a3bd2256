//! The note in the bucket of what still has to be cleared: written before the first upload, removed once it was cleared.

use std::collections::{BTreeMap, BTreeSet};

use cdn::{Item, release};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::digest::Sha256;

/// More than all files of a folder take.
pub(super) const MAX_BYTES: usize = 256 << 20;

/// What still has to be cleared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Journal {
    /// When the run began that has changed any of it last. What is changed back and forth is cleared each time.
    pub(super) began: Timestamp,
    /// Keys of objects that changed, with their new SHA-256; null for one that was removed.
    pub(super) changed: BTreeMap<String, Option<String>>,
    /// Keys of objects that are new: nobody can have kept them.
    pub(super) new: BTreeSet<String>,
}

/// The key of the note of a folder.
pub(super) fn key(under: &str) -> String {
    format!("{under}{}", release::PENDING)
}

impl Journal {
    /// Adds what a run that died has left.
    pub(super) fn take_over(&mut self, earlier: Self) {
        if self.changed.is_empty() {
            // What is ordered is what was ordered then, if it was.
            self.began = earlier.began;
        }
        for (key, sha256) in earlier.changed {
            self.changed.entry(key).or_insert(sha256);
        }
        self.new.extend(earlier.new);
        self.new.retain(|key| !self.changed.contains_key(key));
    }

    /// What was changed to what, and when, as one text: the same for a run that goes on where another died.
    pub(super) fn content(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.began.to_string().as_bytes());
        for (key, sha256) in &self.changed {
            // No key and no digest has a byte of zero in it.
            let sha256 = sha256.as_deref().unwrap_or("removed");
            for part in [key.as_str(), "\0", sha256, "\0"] {
                hash.update(part.as_bytes());
            }
        }
        hash.finish()
    }

    /// The paths to be cleared.
    pub(super) fn items(&self) -> Result<Vec<Item>, cdn::Rejected> {
        let items = self.changed.keys().map(|key| Item::clearing(key));
        let items: Vec<_> = items.collect::<Result<_, _>>()?;
        Ok(items.concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal(changed: &[(&str, Option<&str>)], new: &[&str]) -> Journal {
        let owned =
            |(key, sha256): &(&str, Option<&str>)| ((*key).to_owned(), sha256.map(str::to_owned));
        Journal {
            began: Timestamp::UNIX_EPOCH,
            changed: changed.iter().map(owned).collect(),
            new: new.iter().map(|&key| key.to_owned()).collect(),
        }
    }

    #[test]
    fn what_a_run_that_died_has_left_is_added() {
        let mut now = journal(&[("a", Some("2")), ("n", Some("2"))], &["m"]);
        now.began = Timestamp::MAX;
        now.take_over(journal(&[("a", Some("1")), ("b", None)], &["n", "o"]));
        let mut expected = journal(
            &[("a", Some("2")), ("b", None), ("n", Some("2"))],
            &["m", "o"],
        );
        expected.began = Timestamp::MAX;
        assert_eq!(now, expected);
        assert_eq!(now.began, Timestamp::MAX, "it has changed something itself");
        let mut nothing = Journal::default();
        nothing.take_over(now.clone());
        assert_eq!(nothing.content(), now.content(), "asked for once");
    }

    #[test]
    fn other_content_is_another_text() {
        let mut later = journal(&[("a", Some("1"))], &[]);
        later.began = Timestamp::MAX;
        let texts = [
            later,
            journal(&[("a", Some("1"))], &[]),
            journal(&[("a", Some("2"))], &[]),
            journal(&[("a", None)], &[]),
            journal(&[("a", Some("1")), ("b", Some("1"))], &[]),
        ];
        let texts: BTreeSet<_> = texts.iter().map(Journal::content).collect();
        assert_eq!(texts.len(), 5);
    }
}
