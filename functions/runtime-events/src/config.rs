//! The settings: read once, checked together.

use std::time::Duration;

use larder::CacheSettings;
use larder_lambda::{InvalidSettings, Settings, environment};
use runtime_ledger::RuntimeSettings;

/// A year: what is older is of no month that can be asked for.
const MOST_HOURS: u64 = 366 * 24;

/// What the function is told by its environment.
#[derive(Clone, Debug)]
pub struct Config {
    /// Tables, tags, Regions and time zone.
    pub runtime: RuntimeSettings,
    /// How old a cached value may be; however old it is, if unset: `RUNTIME_CACHE_MAX_AGE_HOURS`.
    pub max_age: Option<Duration>,
    /// The cache in front of the servers' table: `CACHE_*`.
    pub cache: CacheSettings,
}

impl Config {
    /// Reads the process's environment.
    pub fn from_env() -> Result<Self, InvalidSettings> {
        Self::from_lookup(environment)
    }

    /// Reads settings by `lookup`.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, InvalidSettings> {
        let mut settings = Settings::new(lookup);
        let runtime = RuntimeSettings::read(&mut settings);
        let max_age = max_age(&mut settings);
        let cache = settings.cache();
        let config = runtime.zip(cache).map(|(runtime, cache)| Self {
            runtime,
            max_age,
            cache,
        });
        settings.finish(config)
    }
}

fn max_age<L: Fn(&str) -> Option<String>>(settings: &mut Settings<L>) -> Option<Duration> {
    let name = "RUNTIME_CACHE_MAX_AGE_HOURS";
    settings.optional(name)?;
    let hours = settings.number(name, 0, 0..=MOST_HOURS);
    Some(Duration::from_hours(hours))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Config, String> {
        let lookup = |name: &str| {
            let set = variables.iter().find(|(key, _)| *key == name);
            set.map(|(_, value)| (*value).to_owned())
        };
        Config::from_lookup(lookup).map_err(|error| error.to_string())
    }

    #[test]
    fn an_age_limit_is_optional() {
        assert_eq!(read(&[]).unwrap().max_age, None);
        let set = read(&[("RUNTIME_CACHE_MAX_AGE_HOURS", "3")]).unwrap();
        assert_eq!(set.max_age, Some(Duration::from_hours(3)));
    }

    #[test]
    fn problems_of_the_cache_and_of_the_rest_are_told_together() {
        let wrong = [
            ("RUNTIME_CACHE_MAX_AGE_HOURS", "old"),
            ("CACHE_TIMEOUT_MS", "0"),
            ("REGIONS", "X"),
        ];
        let error = read(&wrong).unwrap_err();
        for (name, _) in wrong {
            assert!(error.contains(name), "{error}");
        }
    }
}
