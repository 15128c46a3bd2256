//! A domain's name, by the rules of DNS.

use std::{fmt, str::FromStr};

/// A name such as `releases.watchy.cloud`, in small letters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Domain(String);

/// A text that is no domain's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a domain's name, such as \"releases.example.com\"")]
pub struct InvalidDomain(String);

impl FromStr for Domain {
    type Err = InvalidDomain;

    /// RFC 1035, 2.3.1, and RFC 1123, 2.1: labels of 1 to 63 letters, digits and hyphens inside, 253 in all.
    fn from_str(text: &str) -> Result<Self, InvalidDomain> {
        let is_label = |label: &str| {
            let plain = label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            (1..=63).contains(&label.len())
                && plain
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let is_name = text.len() <= 253 && text.contains('.') && text.split('.').all(is_label);
        if is_name {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(InvalidDomain(larder_lambda::event::shown(text)))
        }
    }
}

impl Domain {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rules_of_dns() {
        for good in [
            "releases.watchy.cloud",
            "A-1.example",
            "d111111abcdef8.cloudfront.net",
        ] {
            assert_eq!(
                good.parse::<Domain>().unwrap().as_str(),
                good.to_lowercase()
            );
        }
        let long = format!("{}.example", "a".repeat(64));
        for bad in [
            "",
            "localhost",
            "-a.example",
            "a-.example",
            "a..b",
            "a_b.example",
            "https://a.b",
            "a.b/c",
            "ä.example",
            &long,
        ] {
            assert!(bad.parse::<Domain>().is_err(), "{bad}");
        }
    }
}
