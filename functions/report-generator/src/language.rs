//! What a report is written in.

use serde::{Deserialize, Serialize};

/// A language that reports are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Language {
    /// Thai.
    #[serde(rename = "th")]
    Thai,
    /// English.
    #[serde(rename = "en")]
    English,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Thai, Self::English];

    /// Its code, by ISO 639-1.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Thai => "th",
            Self::English => "en",
        }
    }
}

impl std::str::FromStr for Language {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|known| known.code() == text);
        found.ok_or_else(|| {
            let shown = larder_lambda::event::shown(text);
            format!("{shown:?} is no language of reports: use \"th\" or \"en\"")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_named_by_its_code() {
        for language in Language::ALL {
            assert_eq!(language.code().parse(), Ok(language));
        }
        let refused = "fr".parse::<Language>().unwrap_err();
        assert!(refused.contains("\"fr\"") && refused.contains("\"th\""));
    }
}
