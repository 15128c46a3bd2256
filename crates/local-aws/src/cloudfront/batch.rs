//! A batch of items to invalidate: how it is written, and which items CloudFront takes. Pure.
//!
//! Source: "Specify the objects to invalidate" in the CloudFront Developer Guide, RFC 1738 for the
//! characters that have to be encoded, and aws-sdk issue 525 for `'` and `~`.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::refusal::Refusal;

/// How many characters a path may have.
const MAX_PATH: usize = 4_000;

/// How many characters a tag may have.
const MAX_TAG: usize = 256;

/// How many items a distribution may have in progress that end in no `*`, and how many that do.
pub(super) const MAX_IN_PROGRESS: Items = Items {
    exact: 3_000,
    wildcards: 15,
};

/// The body of `CreateInvalidation`.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    pub(super) items: Vec<String>,
    pub(super) reference: String,
    quantity: i64,
}

/// How many items of either kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Items {
    pub(super) exact: usize,
    pub(super) wildcards: usize,
}

impl Items {
    pub(super) fn of<'a>(items: impl IntoIterator<Item = &'a String>) -> Self {
        let mut counted = Self::default();
        for item in items {
            if item.ends_with('*') {
                counted.wildcards += 1;
            } else {
                counted.exact += 1;
            }
        }
        counted
    }

    /// Whether there are more of one kind than there may be.
    pub(super) fn exceed(self, most: Self) -> bool {
        self.exact > most.exact || self.wildcards > most.wildcards
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InvalidationBatch {
    paths: Paths,
    caller_reference: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Paths {
    quantity: i64,
    #[serde(default)]
    items: PathItems,
}

#[derive(Default, Deserialize)]
struct PathItems {
    #[serde(rename = "Path", default)]
    path: Vec<String>,
}

impl Batch {
    /// Reads a body.
    pub(super) fn read(body: &[u8]) -> Result<Self, Refusal> {
        if body.is_empty() {
            return Err(Refusal::missing_body());
        }
        let text = std::str::from_utf8(body).map_err(|_| Refusal::malformed())?;
        let read: InvalidationBatch =
            quick_xml::de::from_str(text).map_err(|_| Refusal::malformed())?;
        Ok(Self {
            items: read.paths.items.path,
            reference: read.caller_reference,
            quantity: read.paths.quantity,
        })
    }

    /// Whether it may be done at all, where tags are told apart from paths or are not.
    pub(super) fn check(&self, has_tags: bool) -> Result<(), Refusal> {
        if usize::try_from(self.quantity) != Ok(self.items.len()) {
            return Err(Refusal::inconsistent_quantities());
        }
        if self.items.is_empty() {
            return Err(Refusal::invalid_argument(
                "Your request contains no invalidation paths.",
            ));
        }
        if self.reference.is_empty() {
            return Err(Refusal::invalid_argument(
                "Your request contains an empty caller reference.",
            ));
        }
        if Items::of(&self.items).exact > MAX_IN_PROGRESS.exact {
            return Err(Refusal::too_large());
        }
        if self.items.iter().all(|item| is_valid(item, has_tags)) {
            Ok(())
        } else {
            Err(Refusal::invalid_paths())
        }
    }

    /// Whether these are its items, in whatever order.
    pub(super) fn has_same_items(&self, items: &[String]) -> bool {
        let own: BTreeSet<_> = self.items.iter().collect();
        own == items.iter().collect()
    }
}

/// Whether an item is taken. `/a,/b` is, and is one path with a comma in it.
fn is_valid(item: &str, has_tags: bool) -> bool {
    match item.strip_prefix('#') {
        Some(tag) => has_tags && is_tag(tag),
        None => is_path(item),
    }
}

fn is_tag(tag: &str) -> bool {
    let may_be = |byte: u8| byte.is_ascii_graphic() && byte != b',' && byte != b'*';
    !tag.is_empty() && tag.len() <= MAX_TAG && tag.bytes().all(may_be)
}

fn is_path(path: &str) -> bool {
    let before_star = path.strip_suffix('*').unwrap_or(path);
    path.starts_with('/')
        && path.len() <= MAX_PATH
        && before_star.bytes().all(may_be_in_path)
        && has_escapes_only(path)
}

/// Neither outside ASCII, nor unsafe by RFC 1738, nor one of those that CloudFront adds, nor a `*`.
fn may_be_in_path(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"<>\"#{}|\\^~[]`'*".contains(&byte)
}

/// Whether each `%` begins an escape.
fn has_escapes_only(path: &str) -> bool {
    path.split('%').skip(1).all(|after| {
        let mut digits = after.bytes();
        let mut is_digit = || digits.next().is_some_and(|byte| byte.is_ascii_hexdigit());
        is_digit() && is_digit()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(quantity: i64, items: &[&str]) -> Batch {
        Batch {
            items: items.iter().map(|&item| item.to_owned()).collect(),
            reference: "r".to_owned(),
            quantity,
        }
    }

    #[test]
    fn a_body_is_read_as_it_is_meant() {
        let body = "<?xml version=\"1.0\"?><InvalidationBatch xmlns=\"http://cloudfront.amazonaws.com/doc/2020-05-31/\">\
             <Paths><Quantity>2</Quantity><Items><Path>/a&amp;b</Path><Path>/c*</Path></Items></Paths>\
             <CallerReference>one</CallerReference></InvalidationBatch>";
        let read = Batch::read(body.as_bytes()).unwrap();
        assert_eq!(read.items, ["/a&b", "/c*"]);
        assert_eq!((read.reference.as_str(), read.quantity), ("one", 2));
        let code = |body: &[u8]| Batch::read(body).unwrap_err().code;
        assert_eq!(code(b""), "MissingBody");
        assert_eq!(code(b"<InvalidationBatch/>"), "MalformedInput");
        assert_eq!(code(b"\xff"), "MalformedInput");
        let none = "<InvalidationBatch><Paths><Quantity>1</Quantity></Paths><CallerReference>r</CallerReference></InvalidationBatch>";
        let refusal = Batch::read(none.as_bytes()).unwrap().check(true);
        assert_eq!(refusal.unwrap_err().code, "InconsistentQuantities");
    }

    #[test]
    fn only_what_cloudfront_takes_is_valid() {
        for valid in [
            "/",
            "/*",
            "/a",
            "/a*",
            "/a/b.json",
            "/a,/b",
            "/%7E",
            "/a?b=c&d",
            "/a%20b",
            "/A+b;c@d!$()=:-_.",
        ] {
            assert!(is_valid(valid, false), "{valid}");
        }
        for invalid in [
            "", "a", "*", "/a*b", "/**", "/*.png", "/é", "/a b", "/~a", "/'", "/\"", "/<", "/>",
            "/{", "/}", "/|", "/\\", "/^", "/[", "/]", "/`", "/a#b", "/%", "/%4", "/%4g", "/%+4",
            "/a\tb", "/%é",
        ] {
            assert!(!is_valid(invalid, true), "{invalid}");
        }
        assert!(is_valid(&format!("/{}", "a".repeat(3_999)), false));
        assert!(!is_valid(&format!("/{}", "a".repeat(4_000)), false));
    }

    #[test]
    fn tags_are_valid_where_the_distribution_has_them() {
        let longest = format!("#{}", "t".repeat(256));
        for valid in ["#slack", "#a'~\"", &longest] {
            assert!(is_valid(valid, true), "{valid}");
            assert!(!is_valid(valid, false), "{valid}");
        }
        for invalid in ["#", "#a,b", "#a*", "#a b", "#é", &format!("{longest}t")] {
            assert!(!is_valid(invalid, true), "{invalid}");
        }
    }

    #[test]
    fn a_batch_is_refused_by_what_is_wrong_with_it() {
        let refused = |batch: Batch| batch.check(false).map_err(|refusal| refusal.code);
        assert_eq!(refused(batch(2, &["/a", "/b*"])), Ok(()));
        assert_eq!(
            refused(batch(1, &["/a", "/b"])),
            Err("InconsistentQuantities".to_owned())
        );
        assert_eq!(
            refused(batch(-1, &[])),
            Err("InconsistentQuantities".to_owned())
        );
        assert_eq!(refused(batch(0, &[])), Err("InvalidArgument".to_owned()));
        assert_eq!(
            refused(batch(3_001, &vec!["/a"; 3_001])),
            Err("BatchTooLarge".to_owned())
        );
        assert_eq!(
            refused(batch(2, &["/a", "b"])),
            Err("InvalidArgument".to_owned())
        );
        let same = ["/b".to_owned(), "/a".to_owned(), "/a".to_owned()];
        assert!(batch(2, &["/a", "/b"]).has_same_items(&same));
        assert!(!batch(2, &["/a", "/c"]).has_same_items(&same));
    }
}
