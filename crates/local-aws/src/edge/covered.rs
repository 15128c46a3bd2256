//! What an invalidation's items cover, told as CloudFront tells it. Pure.
//!
//! Source: "Specify the objects to invalidate" in the CloudFront Developer Guide: text is compared to
//! text, so that an item which is spelt in another way than the path is accepted and clears nothing.

use std::collections::HashSet;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, percent_encode};

/// What has to be encoded within ASCII: what is unsafe by RFC 1738, what CloudFront adds, and the start of a query.
const UNSAFE: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'<')
    .add(b'>')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'{')
    .add(b'}')
    .add(b'|')
    .add(b'\\')
    .add(b'^')
    .add(b'~')
    .add(b'[')
    .add(b']')
    .add(b'`')
    .add(b'\'')
    .add(b'?');

/// How many tags of an object CloudFront keeps.
const MAX_TAGS: usize = 50;

/// The items of one invalidation.
#[derive(Debug, Default)]
pub(super) struct Covered {
    exact: HashSet<String>,
    prefixes: Vec<String>,
    tags: HashSet<String>,
}

impl Covered {
    /// What `items` cover: `#tag`, `/prefix*` or `/path`.
    pub(super) fn by<S: AsRef<str>>(items: &[S]) -> Self {
        let mut covered = Self::default();
        for item in items.iter().map(AsRef::as_ref) {
            if let Some(tag) = item.strip_prefix('#') {
                covered.tags.insert(tag.to_ascii_lowercase());
            } else if let Some(prefix) = item.strip_suffix('*') {
                covered.prefixes.push(prefix.to_owned());
            } else {
                covered.exact.insert(item.to_owned());
            }
        }
        covered
    }

    /// Whether that is so of what was asked for as `path` and has these `tags`.
    pub(super) fn has(&self, path: &str, tags: &[String]) -> bool {
        let path = canonical(path);
        let by_prefix = |prefix: &String| path.starts_with(prefix.as_str());
        self.exact.contains(&path)
            || self.prefixes.iter().any(by_prefix)
            || tags.iter().any(|tag| self.tags.contains(tag))
    }
}

/// The tags that a header's value names, in lower case, since case does not count.
pub(super) fn tags(value: &str) -> Vec<String> {
    let tags = value
        .split(',')
        .map(str::trim)
        .filter(|tag| !tag.is_empty());
    tags.map(str::to_ascii_lowercase).take(MAX_TAGS).collect()
}

/// The one spelling of `path` that an item has to have: only what must be is encoded.
fn canonical(path: &str) -> String {
    percent_encode(&decode(path), UNSAFE).to_string()
}

/// `path` without its escapes. What is none stays.
pub(super) fn decode(path: &str) -> Vec<u8> {
    percent_decode_str(path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_covers_what_is_spelt_as_it_is() {
        for (item, path, covered) in [
            ("/a", "/a", true),
            ("/a", "/A", false),
            ("/a", "/a/", false),
            ("/a", "/%61", true),
            ("/%61", "/a", false),
            ("/a,/b", "/a", false),
            ("/%7Eme", "/~me", true),
            ("/it%27s", "/it's", true),
            ("/a%20b", "/a%20b", true),
            ("/%C3%A9", "/%c3%a9", true),
            ("/a+b(1)!$&=@:;", "/a+b(1)!$&=@:;", true),
            ("/a%2Bb", "/a+b", false),
            ("/a%2A", "/a*", false),
            ("/100%25", "/100%", true),
            ("/a%3Fb", "/a%3Fb", true),
        ] {
            assert_eq!(
                Covered::by(&[item]).has(path, &[]),
                covered,
                "{item} {path}"
            );
        }
    }

    #[test]
    fn a_star_covers_every_path_with_that_prefix_across_slashes() {
        let covered = Covered::by(&["/images/image*", "/b"]);
        for (path, expected) in [
            ("/images/image", true),
            ("/images/image1/x/y.png", true),
            ("/images/imag", false),
            ("/b/c", false),
        ] {
            assert_eq!(covered.has(path, &[]), expected, "{path}");
        }
        assert!(Covered::by(&["/*"]).has("/", &[]));
    }

    #[test]
    fn a_tag_covers_what_has_it_in_any_case() {
        let object = tags(" Slack, ,zoom");
        assert_eq!(object, ["slack", "zoom"]);
        assert!(Covered::by(&["#SLACK"]).has("/x", &object));
        assert!(!Covered::by(&["#sla"]).has("/x", &object));
        assert_eq!(tags(&"a,".repeat(60)).len(), 50);
    }

    #[test]
    fn what_is_no_escape_stays() {
        assert_eq!(decode("/%4"), b"/%4");
        assert_eq!(decode("%zz%41%"), b"%zzA%");
        assert_eq!(decode("%é"), "%é".as_bytes());
    }
}
