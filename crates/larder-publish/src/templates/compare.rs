//! What of a folder is not in the bucket yet. Pure.

use std::collections::{BTreeSet, HashMap};

use super::{journal, local::Local};
use crate::{digest::Digests, store::Listed};

/// How a file stands to its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// There is no object.
    New,
    /// The object has the same bytes.
    Same,
    /// It has others.
    Changed,
    /// It has as many, and its ETag is none of these bytes' MD5; which it need not be, of an object that was uploaded in parts, or encrypted
    /// with a key of KMS.
    Doubtful,
}

/// How a file stands to its object, as far as a listing tells.
pub(super) fn standing(digests: &Digests, listed: Option<&Listed>) -> Standing {
    match listed {
        None => Standing::New,
        Some(listed) if listed.size != digests.size => Standing::Changed,
        Some(listed) if digests.md5.as_deref() == Some(listed.etag.as_str()) => Standing::Same,
        Some(_) => Standing::Doubtful,
    }
}

/// The keys of objects whose files are gone, in order.
pub(super) fn gone(files: &[Local], listed: &HashMap<String, Listed>, under: &str) -> Vec<String> {
    let files: BTreeSet<_> = files.iter().map(|file| file.key.as_str()).collect();
    let journal = journal::key(under);
    let mut gone: Vec<_> = listed
        .keys()
        // What ends so is a folder that the console made.
        .filter(|key| !files.contains(key.as_str()) && **key != journal && !key.ends_with('/'))
        .cloned()
        .collect();
    gone.sort_unstable();
    gone
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(size: u64, etag: &str) -> Listed {
        Listed {
            size,
            etag: etag.to_owned(),
        }
    }

    #[test]
    fn a_listing_tells_most_of_it() {
        let digests = Digests {
            sha256: "s".to_owned(),
            md5: Some("m".to_owned()),
            size: 3,
        };
        for (object, stands) in [
            (None, Standing::New),
            (Some(listed(3, "m")), Standing::Same),
            (Some(listed(4, "m")), Standing::Changed),
            (Some(listed(3, "x")), Standing::Doubtful),
            (Some(listed(3, "x-2")), Standing::Doubtful),
        ] {
            assert_eq!(standing(&digests, object.as_ref()), stands, "{object:?}");
        }
    }

    #[test]
    fn the_note_and_folders_are_never_gone() {
        let file = Local {
            key: "t/a".to_owned(),
            path: "a".into(),
        };
        let keys = [
            "t/a",
            "t/b",
            "t/",
            "t/sub/",
            "t/.larder-pending.json",
            "t/aa",
        ];
        let all = keys.map(|key| (key.to_owned(), listed(0, "")));
        assert_eq!(gone(&[file], &HashMap::from(all), "t/"), ["t/aa", "t/b"]);
    }
}
