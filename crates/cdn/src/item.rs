//! What an invalidation names: a path, all that begins with one, or a tag; spelled as CloudFront spells it, or refused.
//!
//! CloudFront takes much that clears nothing: `/a,/b` is one path with a comma in it, `%2A` no star, and `/%41` not `/A`.
//! So an item that would be accepted without effect is an error here. Rules: "What you need to know when invalidating
//! paths" in the `CloudFront` Developer Guide; RFC 1738, 2.2, for what is unsafe in a URL.

use std::fmt::{self, Write as _};

use serde::{Serialize, Serializer};

/// The longest path that `CloudFront` takes, in bytes as it is sent ("Specifying the files to invalidate").
pub const MAX_PATH: usize = 4_000;
/// The longest tag ("Invalidate by cache tag").
pub const MAX_TAG: usize = 256;
/// How much of an item that is refused is shown.
const SHOWN: usize = 120;

/// One item of an invalidation. Each costs the same, whatever its kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Item(Box<str>);

/// What an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// One path: `/a`.
    Exact,
    /// All that begins so: `/a*`.
    Wildcard,
    /// All that bears a tag: `#a`.
    Tag,
}

/// An item that was refused, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{item:?} {reason}")]
pub struct Rejected {
    /// The item as it was given, or its beginning.
    pub item: String,
    /// Why.
    pub reason: Reason,
}

/// Why an item is refused. As text it goes on where the item ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// It begins with neither.
    #[error("begins with neither `/`, as paths do, nor `#`, as tags do")]
    NoSlash,
    /// It is longer than may be sent.
    #[error("is longer than {MAX_PATH} bytes, encoded: name a prefix of it with `*` at the end")]
    TooLong,
    /// A star that is not at the end.
    #[error("has `*` before its end, where it stands for nothing: cut it off behind the `*`")]
    InnerStar,
    /// A star that is meant to be none.
    #[error(
        "has a literal `*`, which an invalidation cannot name: give the part before it, and `*`"
    )]
    LiteralStar,
    /// A slash that is meant to be none.
    #[error("has `%2F`, which CloudFront does not take for `/`: write `/`")]
    EncodedSlash,
    /// What browsers keep to themselves.
    #[error(
        "has `#`, and what follows it never reaches a server: leave it out, or write `%23` for the letter"
    )]
    Fragment,
    /// A percent sign that encodes nothing.
    #[error("has `%` without two hexadecimal digits behind it: write `%25` for the letter")]
    BadEscape,
    /// A line break, or the like.
    #[error("has a control character")]
    Control,
    /// Several in one, which is how most invalidations go wrong.
    #[error(
        "looks like several paths in one text, which would clear none of them: give each an item of its own"
    )]
    Several,
    /// A tag that is none.
    #[error(
        "is no tag: 1 to {MAX_TAG} letters of ASCII without blanks, commas and `*` follow its `#`"
    )]
    NoTag,
}

impl Item {
    /// An item as a person writes it: a URL's path, perhaps with a query, `*` at the end for all that begins so; or a tag with
    /// `#` before it. What needs encoding is encoded, what was encoded without need is decoded.
    pub fn parse(text: &str) -> Result<Self, Rejected> {
        let reject = |reason| rejected(text, reason);
        if let Some(tag) = text.strip_prefix('#') {
            return Self::tag(tag).ok_or_else(|| reject(Reason::NoTag));
        }
        if !text.starts_with('/') {
            return Err(reject(Reason::NoSlash));
        }
        if [",/", " /", "\t/", "\n/"]
            .iter()
            .any(|between| text.contains(between))
        {
            return Err(reject(Reason::Several));
        }
        let (path, star) = match text.strip_suffix('*') {
            Some(path) => (path, "*"),
            None => (text, ""),
        };
        let mut item = canonical(path).map_err(reject)?;
        item.push_str(star);
        Self::bounded(item).ok_or_else(|| reject(Reason::TooLong))
    }

    /// The path at which a bucket's object is served, by the object's key.
    pub fn of_key(key: &str) -> Result<Self, Rejected> {
        let reject = |reason| rejected(key, reason);
        if key.contains('*') {
            return Err(reject(Reason::LiteralStar));
        }
        let mut item = String::with_capacity(key.len() + 1);
        item.push('/');
        for byte in key.bytes() {
            // A question mark would begin a query.
            push(&mut item, byte, is_unsafe(byte) || byte == b'?');
        }
        Self::bounded(item).ok_or_else(|| reject(Reason::TooLong))
    }

    /// All that begins with `prefix`, which is spelled as items are.
    pub(crate) fn wildcard(prefix: &str) -> Self {
        Self(format!("{prefix}*").into())
    }

    /// What is spelled as items are already.
    pub(crate) fn spelled(text: &str) -> Self {
        Self(text.into())
    }

    fn tag(tag: &str) -> Option<Self> {
        let fits = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b',' | b'*');
        let is_tag = (1..=MAX_TAG).contains(&tag.len()) && tag.bytes().all(fits);
        // Tags are told apart whatever their case.
        is_tag.then(|| Self(format!("#{}", tag.to_ascii_lowercase()).into()))
    }

    fn bounded(item: String) -> Option<Self> {
        (item.len() <= MAX_PATH).then(|| Self(item.into()))
    }

    /// As it is sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        if self.0.starts_with('#') {
            Kind::Tag
        } else if self.0.ends_with('*') {
            Kind::Wildcard
        } else {
            Kind::Exact
        }
    }

    /// What a wildcard has before its star.
    pub(crate) fn prefix(&self) -> Option<&str> {
        self.0.strip_suffix('*')
    }

    /// Whether it clears all that `other` does. `/*` clears all there is, whatever tags it bears.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let Some(prefix) = self.prefix() else {
            return self == other;
        };
        prefix == "/" || other.0.starts_with(prefix)
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Item {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

fn rejected(item: &str, reason: Reason) -> Rejected {
    let item = item.chars().take(SHOWN).collect();
    Rejected { item, reason }
}

/// A path with exactly those characters encoded that have to be, in capitals. A query is left as it is but for what has to be
/// encoded: in it `%26` is another thing than `&`.
fn canonical(path: &str) -> Result<String, Reason> {
    let mut item = String::with_capacity(path.len());
    let mut bytes = path.bytes();
    let mut in_query = false;
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let escape = [bytes.next(), bytes.next()];
                let [Some(high), Some(low)] = escape.map(|digit| digit.and_then(hex)) else {
                    return Err(Reason::BadEscape);
                };
                let letter = high << 4 | low;
                match letter {
                    _ if in_query => {
                        item.push('%');
                        item.extend(escape.into_iter().flatten().map(char::from));
                    }
                    b'/' => return Err(Reason::EncodedSlash),
                    b'*' => return Err(Reason::LiteralStar),
                    // Raw, it would begin a query.
                    b'?' => push(&mut item, letter, true),
                    _ => push(&mut item, letter, is_unsafe(letter)),
                }
            }
            b'*' => return Err(Reason::InnerStar),
            b'#' => return Err(Reason::Fragment),
            byte if byte.is_ascii_control() => return Err(Reason::Control),
            byte => {
                in_query |= byte == b'?';
                push(&mut item, byte, is_unsafe(byte));
            }
        }
    }
    Ok(item)
}

fn push(item: &mut String, byte: u8, encoded: bool) {
    if encoded {
        let _ = write!(item, "%{byte:02X}");
    } else {
        item.push(char::from(byte));
    }
}

fn hex(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

/// What has to be encoded: all beyond ASCII, what RFC 1738 calls unsafe, and `'`, which `CloudFront` refuses as it is.
fn is_unsafe(byte: u8) -> bool {
    !byte.is_ascii_graphic()
        || matches!(
            byte,
            b'<' | b'>'
                | b'"'
                | b'#'
                | b'%'
                | b'{'
                | b'}'
                | b'|'
                | b'\\'
                | b'^'
                | b'~'
                | b'['
                | b']'
                | b'`'
                | b'\''
        )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<String, Reason> {
        let item = Item::parse(text).map_err(|rejected| rejected.reason)?;
        Ok(item.to_string())
    }

    #[test]
    fn what_has_to_be_encoded_is_and_nothing_else() {
        for (text, item) in [
            ("/", "/"),
            ("/*", "/*"),
            ("/images/image*", "/images/image*"),
            ("/a b~c'd", "/a%20b%7Ec%27d"),
            ("/ä", "/%C3%A4"),
            ("/%c3%a4", "/%C3%A4"),
            ("/%41", "/A"),
            ("/a%20b", "/a%20b"),
            ("/100%25", "/100%25"),
            ("/a+b=c&d;e:f@g!h$i(j)k,l", "/a+b=c&d;e:f@g!h$i(j)k,l"),
            ("/a?b=c d", "/a?b=c%20d"),
            ("/a%3Fb", "/a%3Fb"),
            ("/a%41?b=%26%2f%41%c3&c=ä", "/aA?b=%26%2f%41%c3&c=%C3%A4"),
            ("#Release-1", "#release-1"),
        ] {
            assert_eq!(parse(text).as_deref(), Ok(item), "{text}");
        }
    }

    #[test]
    fn several_paths_are_several_items() {
        for text in [
            "/a,/b",
            "/a, /b",
            "/a /b",
            "/binaries/x-latest,/binaries/metadata.json",
        ] {
            assert_eq!(parse(text), Err(Reason::Several), "{text}");
        }
    }

    #[test]
    fn what_would_clear_nothing_is_refused_with_its_reason() {
        let long = format!("/{}", "x".repeat(MAX_PATH));
        let tag = format!("#{}", "x".repeat(MAX_TAG + 1));
        for (text, reason) in [
            ("", Reason::NoSlash),
            ("a/b", Reason::NoSlash),
            ("https://example.com/a", Reason::NoSlash),
            ("/images/*.png", Reason::InnerStar),
            ("/a**", Reason::InnerStar),
            ("/a%2A", Reason::LiteralStar),
            ("/a%2fb", Reason::EncodedSlash),
            ("/a#b", Reason::Fragment),
            ("/100%", Reason::BadEscape),
            ("/a%zz", Reason::BadEscape),
            ("/a\nb", Reason::Control),
            ("#", Reason::NoTag),
            ("#a b", Reason::NoTag),
            ("#a,b", Reason::NoTag),
            ("#a*", Reason::NoTag),
            (&tag, Reason::NoTag),
            (&long, Reason::TooLong),
        ] {
            assert_eq!(parse(text), Err(reason), "{text}");
        }
        let told = Item::parse("/images/*.png").unwrap_err().to_string();
        assert!(
            told.starts_with("\"/images/*.png\" has `*` before its end"),
            "{told}"
        );
    }

    #[test]
    fn a_key_is_taken_as_it_is() {
        let of = |key: &str| Item::of_key(key).map(|item| item.to_string());
        assert_eq!(
            of("a b/ü#1?.txt").as_deref(),
            Ok("/a%20b/%C3%BC%231%3F.txt")
        );
        assert_eq!(of("100%25,/x").as_deref(), Ok("/100%2525,/x"));
        assert_eq!(of("a*").unwrap_err().reason, Reason::LiteralStar);
    }

    #[test]
    fn a_wildcard_covers_all_that_begins_so() {
        let item = |text: &str| Item::parse(text).unwrap();
        for (wide, narrow, covers) in [
            ("/a*", "/a", true),
            ("/a*", "/ab/c", true),
            ("/a*", "/ab*", true),
            ("/ab*", "/a*", false),
            ("/a", "/a", true),
            ("/a", "/ab", false),
            ("/*", "#tag", true),
            ("/a*", "#tag", false),
        ] {
            assert_eq!(item(wide).covers(&item(narrow)), covers, "{wide} {narrow}");
        }
    }

    proptest! {
        #[test]
        fn what_was_spelled_once_stays(text in "\\PC{0,40}") {
            let items = [Item::parse(&text), Item::parse(&format!("/{text}")), Item::of_key(&text)];
            for item in items.into_iter().flatten().filter(|item| !item.as_str().contains(",/")) {
                let again = Item::parse(item.as_str());
                prop_assert_eq!(again.as_ref(), Ok(&item), "{}", text);
            }
        }
    }
}
