//! The settings: read once, checked together.

use larder::CacheSettings;
use larder_lambda::{InvalidSettings, Settings, environment};
use runtime_ledger::RuntimeSettings;

/// What the function is told by its environment.
#[derive(Clone, Debug)]
pub struct Config {
    /// Tables, tags, Regions and time zone.
    pub runtime: RuntimeSettings,
    /// The cache that readers ask before the servers' table: `CACHE_*`.
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
        let cache = settings.cache();
        let config = runtime.zip(cache);
        settings.finish(config.map(|(runtime, cache)| Self { runtime, cache }))
    }
}
