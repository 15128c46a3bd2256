//! Settings: environment variables read once, typed, and all their problems told at once.

use std::{fmt, ops::RangeInclusive, str::FromStr, time::Duration};

use larder::CacheSettings;
use secrecy::SecretString;

/// An environment variable of this process, if it is set to valid Unicode.
///
/// The one place that reads the environment: everything else takes a look-up function, so that
/// tests need not change the process they run in.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "this is the function that the lint points to"
)]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Reads typed settings from a look-up function and collects every problem on the way.
///
/// A variable that is set to nothing counts as unset, as a template's empty parameter should.
///
/// ```
/// use std::time::Duration;
/// use larder_lambda::Settings;
///
/// let mut settings = Settings::new(|name| (name == "TIMEOUT_SECONDS").then(|| "soon".to_owned()));
/// let timeout = settings.seconds("TIMEOUT_SECONDS", Duration::from_secs(240), 1..=900);
/// let problem = settings.finish(Some(timeout)).unwrap_err().to_string();
/// assert_eq!(
///     problem,
///     r#"1 setting is invalid: TIMEOUT_SECONDS="soon" is not a whole number from 1 to 900"#
/// );
/// ```
#[derive(Debug)]
pub struct Settings<L> {
    lookup: L,
    problems: Vec<String>,
}

impl<L: Fn(&str) -> Option<String>> Settings<L> {
    /// Settings that come from `lookup`, [`environment`] in production.
    pub fn new(lookup: L) -> Self {
        Self {
            lookup,
            problems: Vec::new(),
        }
    }

    /// A text, if the variable is set.
    pub fn optional(&self, name: &str) -> Option<String> {
        (self.lookup)(name).filter(|value| !value.is_empty())
    }

    /// A text, or `default`.
    pub fn text(&self, name: &str, default: &str) -> String {
        self.optional(name).unwrap_or_else(|| default.to_owned())
    }

    /// A comma-separated list without empty items, or `default` read the same way.
    pub fn list(&self, name: &str, default: &str) -> Vec<String> {
        let value = self.text(name, default);
        let items = value
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty());
        items.map(str::to_owned).collect()
    }

    /// A secret, if the variable is set. It cannot be printed, and no problem will show it.
    pub fn secret(&self, name: &str) -> Option<SecretString> {
        self.optional(name).map(SecretString::from)
    }

    /// Anything that parses, from the variable or else from `default`, which has to parse. `None`
    /// stands for a problem, and `expected` ends its sentence, "… is not".
    pub fn parsed<T: FromStr>(&mut self, name: &str, default: &str, expected: &str) -> Option<T> {
        let value = self.text(name, default);
        let parsed = value.trim().parse().ok();
        if parsed.is_none() {
            self.reject(name, &value, &format!("is not {expected}"));
        }
        parsed
    }

    /// A whole number within `range`, or `default`.
    pub fn number(&mut self, name: &str, default: u64, range: RangeInclusive<u64>) -> u64 {
        let Some(value) = self.optional(name) else {
            return default;
        };
        match value.trim().parse() {
            Ok(number) if range.contains(&number) => number,
            _ => {
                let expected = format!(
                    "is not a whole number from {} to {}",
                    range.start(),
                    range.end()
                );
                self.reject(name, &value, &expected);
                default
            }
        }
    }

    /// A duration in whole seconds within `range`, or `default`.
    pub fn seconds(
        &mut self,
        name: &str,
        default: Duration,
        range: RangeInclusive<u64>,
    ) -> Duration {
        Duration::from_secs(self.number(name, default.as_secs(), range))
    }

    /// `true` or `false`, or `default`.
    pub fn flag(&mut self, name: &str, default: bool) -> bool {
        let Some(value) = self.optional(name) else {
            return default;
        };
        match value.trim().to_ascii_lowercase().as_str() {
            "true" | "1" => true,
            "false" | "0" => false,
            _ => {
                self.reject(name, &value, "is neither true nor false");
                default
            }
        }
    }

    /// The cache, as `CACHE_*` describe it.
    pub fn cache(&mut self) -> Option<CacheSettings> {
        let cache = CacheSettings::from_lookup(&self.lookup);
        let told = cache.map_err(|invalid| self.problems.extend(invalid.problems));
        told.ok()
    }

    /// Records that `name` cannot have `value`; `problem` ends the sentence.
    pub fn reject(&mut self, name: &str, value: &str, problem: &str) {
        self.problems.push(format!("{name}={value:?} {problem}"));
    }

    /// Records a problem that is not one variable's, such as two that exclude each other.
    pub fn conflict(&mut self, problem: impl Into<String>) {
        self.problems.push(problem.into());
    }

    /// Gives `value`, or everything that was wrong. A `None` without a problem is one of its own.
    pub fn finish<T>(mut self, value: Option<T>) -> Result<T, InvalidSettings> {
        match value {
            Some(value) if self.problems.is_empty() => Ok(value),
            _ => {
                if self.problems.is_empty() {
                    self.conflict("a default does not parse");
                }
                Err(InvalidSettings {
                    problems: self.problems,
                })
            }
        }
    }
}

/// Every problem that the settings had, in one message.
#[derive(Debug, thiserror::Error)]
pub struct InvalidSettings {
    problems: Vec<String>,
}

impl fmt::Display for InvalidSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, verb) = match self.problems.len() {
            1 => ("1 setting".to_owned(), "is"),
            n => (format!("{n} settings"), "are"),
        };
        write!(f, "{count} {verb} invalid: {}", self.problems.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn settings(variables: &'static [(&str, &str)]) -> Settings<impl Fn(&str) -> Option<String>> {
        Settings::new(|name| {
            variables
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn tells_every_problem_at_once_and_none_of_the_secrets() {
        let mut read = settings(&[("SIZE", "big"), ("SIGNED", "maybe"), ("TOKEN", "hunter2")]);
        read.number("SIZE", 1, 1..=9);
        read.flag("SIGNED", false);
        let secret = read.secret("TOKEN").unwrap();
        read.conflict("SIGNED=true needs KEYS");

        assert!(!format!("{secret:?}").contains("hunter2"));
        assert_eq!(secret.expose_secret(), "hunter2");
        assert_eq!(
            read.finish(Some(())).unwrap_err().to_string(),
            "3 settings are invalid: SIZE=\"big\" is not a whole number from 1 to 9; \
             SIGNED=\"maybe\" is neither true nor false; SIGNED=true needs KEYS"
        );
    }

    #[test]
    fn an_empty_variable_counts_as_unset() {
        let mut read = settings(&[("NAME", ""), ("AGE_SECONDS", "")]);
        assert_eq!(read.text("NAME", "slack"), "slack");
        let week = Duration::from_hours(168);
        assert_eq!(read.seconds("AGE_SECONDS", week, 1..=9), week);
        assert_eq!(read.optional("NAME"), None);
        read.finish(Some(())).unwrap();
    }

    #[test]
    fn numbers_outside_their_range_and_texts_that_do_not_parse_are_problems() {
        let mut read = settings(&[("SMALL", "0"), ("PORT", "http")]);
        assert_eq!(read.number("SMALL", 5, 1..=9), 5);
        let port: Option<u16> = read.parsed("PORT", "80", "a port");
        assert_eq!(
            read.finish(port).unwrap_err().to_string(),
            "2 settings are invalid: SMALL=\"0\" is not a whole number from 1 to 9; \
             PORT=\"http\" is not a port"
        );
    }

    #[test]
    fn lists_lose_blanks_and_empty_items() {
        assert_eq!(
            settings(&[("LIST", " slack, github,,")]).list("LIST", ""),
            ["slack", "github"]
        );
        assert_eq!(settings(&[]).list("LIST", "zoom"), ["zoom"]);
    }
}
