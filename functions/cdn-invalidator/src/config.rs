//! The settings: read once, checked together.

use std::time::Duration;

use cdn::{FREE_ITEMS, MAX_WILDCARDS, OUR_WILDCARDS};
use larder::CacheSettings;
use larder_lambda::{InvalidSettings, Settings, environment, event::is_name};

use crate::{domain::Domain, event::is_id};

/// The longest that Lambda waits for anybody.
const MOST_SECONDS: u64 = 900;

/// What the function is told by its environment.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where monitors are.
    pub releases_domain: Domain,
    /// The bucket behind it; found by its origin if unset.
    pub releases_bucket: Option<String>,
    /// Where templates are, if anywhere.
    pub templates_domain: Option<Domain>,
    /// The bucket behind it.
    pub templates_bucket: Option<String>,
    /// The distribution of both, in place of a look-up.
    pub distribution: Option<String>,
    /// What binaries' names begin with.
    pub prefix: String,
    /// How long a direct call waits for an invalidation to be completed, if it does not say.
    pub wait: Duration,
    /// How many wildcards may be in progress.
    pub max_wildcards: usize,
    /// How many paths of a month cost nothing.
    pub free: u64,
    /// The table of the month's count.
    pub table: Option<String>,
    /// The queue that is told what has to be done later.
    pub retry_queue: Option<String>,
    /// Where distributions are kept.
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
        let config = Self::read(&mut settings);
        settings.finish(config)
    }

    fn read<L: Fn(&str) -> Option<String>>(settings: &mut Settings<L>) -> Option<Self> {
        let cache = settings.cache();
        let name = "a domain's name, such as \"releases.example.com\"";
        let releases_domain = settings.parsed("RELEASES_DOMAIN", "releases.watchy.cloud", name);
        let templates_domain = match settings.optional("TEMPLATES_DOMAIN") {
            Some(domain) => settings.parsed("TEMPLATES_DOMAIN", &domain, name).map(Some),
            None => Some(None),
        };
        let [ours, most] =
            [OUR_WILDCARDS, MAX_WILDCARDS].map(|count| u64::try_from(count).unwrap_or(u64::MAX));
        let wildcards = settings.number("MAX_WILDCARDS", ours, 0..=most);
        let distribution = checked(
            settings,
            (
                "DISTRIBUTION_ID",
                "is not a distribution's id, such as E2BX1E7RR7IV8R",
            ),
            is_id,
        );
        let prefix = checked(
            settings,
            ("ARTIFACT_PREFIX", "is not a name, such as watchy"),
            is_name,
        );
        let is_url = |url: &str| url.starts_with("https://") || url.starts_with("http://");
        let retry_queue = checked(
            settings,
            ("RETRY_QUEUE_URL", "is not a queue's URL"),
            is_url,
        );
        let wait = settings.seconds("WAIT_SECONDS", Duration::ZERO, 0..=MOST_SECONDS);
        let free = settings.number("FREE_PATHS_PER_MONTH", FREE_ITEMS, 0..=u64::from(u32::MAX));
        // Nothing before this line may end it: all that is wrong is to be told.
        Some(Self {
            releases_domain: releases_domain?,
            releases_bucket: settings.optional("RELEASES_BUCKET"),
            templates_domain: templates_domain?,
            templates_bucket: settings.optional("TEMPLATES_BUCKET"),
            distribution,
            prefix: prefix.unwrap_or_else(|| "watchy".to_owned()),
            wait,
            max_wildcards: usize::try_from(wildcards).ok()?,
            free,
            table: settings.optional("INVALIDATIONS_TABLE"),
            retry_queue,
            cache: cache?,
        })
    }
}

/// A text that fits, if there is one.
fn checked<L: Fn(&str) -> Option<String>>(
    settings: &mut Settings<L>,
    (name, problem): (&str, &str),
    fits: impl Fn(&str) -> bool,
) -> Option<String> {
    let value = settings.optional(name)?;
    if !fits(&value) {
        settings.reject(name, &value, problem);
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Config, String> {
        let lookup = |name: &str| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Config::from_lookup(lookup).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_has_to_be_set() {
        let config = read(&[]).unwrap();
        assert_eq!(config.releases_domain.as_str(), "releases.watchy.cloud");
        assert_eq!(
            (config.max_wildcards, config.free, config.wait),
            (13, 1_000, Duration::ZERO)
        );
        assert_eq!(config.templates_domain, None);
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let told = read(&[
            ("RELEASES_DOMAIN", "https://example.com"),
            ("TEMPLATES_DOMAIN", "x"),
            ("MAX_WILDCARDS", "16"),
            ("WAIT_SECONDS", "-1"),
            ("CACHE_BACKEND", "floppy"),
        ])
        .unwrap_err();
        for said in [
            "RELEASES_DOMAIN",
            "TEMPLATES_DOMAIN",
            "from 0 to 15",
            "from 0 to 900",
            "floppy",
        ] {
            assert!(told.contains(said), "{said}: {told}");
        }
        assert!(
            read(&[("DISTRIBUTION_ID", "E1/../x")])
                .unwrap_err()
                .contains("DISTRIBUTION_ID")
        );
    }
}
