//! Which instance.

use std::{fmt, str::FromStr};

use serde::Serialize;

/// An instance's id: `^i-[0-9a-f]{8,17}$`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct InstanceId(Box<str>);

impl InstanceId {
    /// The id itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for InstanceId {
    type Err = InvalidInstanceId;

    fn from_str(text: &str) -> Result<Self, InvalidInstanceId> {
        let is_digit = |c: char| matches!(c, '0'..='9' | 'a'..='f');
        let digits = text.strip_prefix("i-");
        let is_id =
            digits.is_some_and(|it| (8..=17).contains(&it.len()) && it.chars().all(is_digit));
        if is_id {
            Ok(Self(text.into()))
        } else {
            Err(InvalidInstanceId(text.chars().take(40).collect()))
        }
    }
}

/// A text that is no instance's id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an instance's id, which is i- and 8 to 17 hexadecimal digits in lower case")]
pub struct InvalidInstanceId(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_both_lengths_are_taken_and_nothing_else() {
        for id in ["i-12345678", "i-0123456789abcdef0"] {
            assert_eq!(id.parse::<InstanceId>().unwrap().to_string(), id);
        }
        for other in [
            "",
            "i-",
            "i-1234567",
            "i-0123456789abcdef01",
            "i-1234567G",
            "i-1234567A",
            "I-12345678",
            "i-12345678\n",
            "ii-12345678",
            "../i-12345678",
        ] {
            assert!(other.parse::<InstanceId>().is_err(), "{other:?}");
        }
    }
}
