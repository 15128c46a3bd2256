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

/// How a key's blanks and plus signs are spelled in a path. S3 takes `+` there for a blank.
#[derive(Clone, Copy, Debug)]
struct Spelling {
    blank: &'static str,
    plus: &'static str,
}

/// As browsers and SDKs ask, and S3 serves.
const SERVED: Spelling = Spelling {
    blank: "%20",
    plus: "%2B",
};
/// As forms are encoded, and S3's console links.
const FORM: Spelling = Spelling {
    blank: "+",
    plus: "%2B",
};
/// [`SERVED`], as an edge has it that decodes what is encoded without need.
const PLAIN: Spelling = Spelling {
    blank: "%20",
    plus: "+",
};
/// [`FORM`], by the same edge.
const PLAIN_FORM: Spelling = Spelling {
    blank: "+",
    plus: "+",
};

impl Spelling {
    /// The path of a key. A star is left as it is.
    fn path(self, key: &str) -> String {
        let mut path = String::with_capacity(key.len() + 1);
        path.push('/');
        for byte in key.bytes() {
            match byte {
                b' ' => path.push_str(self.blank),
                b'+' => path.push_str(self.plus),
                // A question mark would begin a query.
                byte => push(&mut path, byte, is_unsafe(byte) || byte == b'?'),
            }
        }
        path
    }
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
        let item = SERVED.path(key);
        Self::bounded(item).ok_or_else(|| reject(Reason::TooLong))
    }

    /// The items that clear a bucket's object, by the object's key, in every spelling of its path that
    /// readers use. An object whose key has a `*` is cleared with all that begins as it does before that:
    /// no item can name it alone.
    pub fn clearing(key: &str) -> Result<Vec<Self>, Rejected> {
        let (begin, star) = match key.split_once('*') {
            Some((begin, _)) => (begin, "*"),
            None => (key, ""),
        };
        let mut items = Vec::new();
        for spelling in [SERVED, FORM, PLAIN, PLAIN_FORM] {
            let item = Self::bounded(spelling.path(begin) + star);
            let item = item.ok_or_else(|| rejected(key, Reason::TooLong))?;
            if !items.contains(&item) {
                items.push(item);
            }
        }
        Ok(items)
    }

    /// The item, and the same with `%2B` for `+` in its path or the other way round: which of both an edge
    /// compares a request by is not documented.
    #[must_use]
    pub fn spellings(&self) -> Vec<Self> {
        let mut items = vec![self.clone()];
        if self.kind() == Kind::Tag {
            return items;
        }
        let query = self.0.find('?').unwrap_or(self.0.len());
        let (path, query) = self.0.split_at_checked(query).unwrap_or((&self.0, ""));
        for path in [path.replace('+', "%2B"), path.replace("%2B", "+")] {
            let spelled = Self::bounded(path + query);
            items.extend(spelled.filter(|item| !items.contains(item)));
        }
        items
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
                    // Raw, the one would begin a query, and the other is a blank to S3.
                    b'?' | b'+' => push(&mut item, letter, true),
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
mod tests;
