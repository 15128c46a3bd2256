//! A cache as the environment describes it: the same variables for every function.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use crate::{builder::CacheBuilder, cache::Cache, tier::Tier};

const MIB: u64 = 1 << 20;

/// What the environment says of the cache.
///
/// | variable | default | meaning |
/// |---|---|---|
/// | `CACHE_ENABLED`, or `ENABLE_CACHE` | `true` | `false`: every read goes to its origin, nothing is written |
/// | `CACHE_BACKEND` | `hybrid` | every tier that is there; or a list of `memory`, `sqlite`, `redis`, `s3`: exactly those |
/// | `CACHE_DIR` | `/tmp` | where the file is |
/// | `CACHE_URL` | none | `redis://`, `rediss://` or `host:port` of a Redis, Valkey or `DragonflyDB` server |
/// | `CACHE_CA_FILE` | none | for `rediss://`: a PEM file of the certificate authorities to believe, in place of those that browsers believe |
/// | `CACHE_TTL_DEFAULT` | 300 | seconds, for keyspaces that name no time |
/// | `CACHE_TIMEOUT_MS` | none | bound on one operation of a shared tier, connecting included; unset, Redis has 100 ms, and 1 s where it has to connect, S3 as long as a load is known to take, 5 s at most |
/// | `CACHE_TIMEOUT_REDIS_MS`, `CACHE_TIMEOUT_S3_MS` | none | the same for one tier; takes precedence over `CACHE_TIMEOUT_MS` |
/// | `CACHE_MAX_RETRIES` | 3 | per operation, within that time |
/// | `CACHE_CONNECTION_POOL_SIZE` | 1, or 10 where requests are served at a time | connections to `CACHE_URL` |
///
/// Memory may take a quarter of `AWS_LAMBDA_FUNCTION_MEMORY_SIZE`, 64 MiB where that is not set; the
/// file a quarter of the file system that it is in, and 2 GiB at most.
#[derive(Clone)]
pub struct CacheSettings {
    enabled: bool,
    backends: Vec<Backend>,
    hybrid: bool,
    dir: PathBuf,
    /// May hold a password: never shown.
    url: Option<String>,
    #[cfg(feature = "tls")]
    authorities: Option<Vec<u8>>,
    ttl: Duration,
    timeouts: Timeouts,
    retries: u32,
    connections: u32,
    memory: u64,
}

/// Bounds on one operation of a shared tier; `None` for the tier's own.
#[derive(Clone, Copy, Debug)]
struct Timeouts {
    all: Option<Duration>,
    redis: Option<Duration>,
    s3: Option<Duration>,
}

/// A tier, by the name that it has in `CACHE_BACKEND`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Backend {
    Memory,
    Sqlite,
    Redis,
    S3,
}

/// Everything that is wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", problems.join("; "))]
pub struct InvalidCacheSettings {
    /// A sentence each: the variable, its value unless it may be secret, and what it should be.
    pub problems: Vec<String>,
}

/// Reads variables, and collects what is wrong with them.
struct Reader<L> {
    lookup: L,
    problems: Vec<String>,
}

impl<L: Fn(&str) -> Option<String>> Reader<L> {
    fn text(&self, name: &str) -> Option<String> {
        let value = (self.lookup)(name)?;
        Some(value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    fn number(&mut self, name: &str, default: u64, least: u64, most: u64) -> u64 {
        let Some(value) = self.text(name) else {
            return default;
        };
        match value.parse() {
            Ok(number) if (least..=most).contains(&number) => number,
            _ => {
                self.problems.push(format!(
                    "{name}={value:?} is not a whole number from {least} to {most}"
                ));
                default
            }
        }
    }

    fn small(&mut self, name: &str, default: u32, least: u32, most: u32) -> u32 {
        let number = self.number(name, default.into(), least.into(), most.into());
        u32::try_from(number).unwrap_or(most)
    }

    /// A time in milliseconds.
    fn millis(&mut self, name: &str) -> Option<Duration> {
        self.text(name)?;
        Some(Duration::from_millis(self.number(name, 1, 1, 60_000)))
    }

    fn flag(&mut self, name: &str) -> Option<bool> {
        let value = self.text(name)?;
        match value.to_ascii_lowercase().as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => {
                self.problems
                    .push(format!("{name}={value:?} is neither true nor false"));
                None
            }
        }
    }

    /// What is in the file that the variable names, which is the deployer's word.
    #[cfg(feature = "tls")]
    fn file(&mut self, name: &str) -> Option<Vec<u8>> {
        let path = self.text(name)?;
        std::fs::read(&path)
            .map_err(|error| {
                self.problems
                    .push(format!("{name}={path:?} cannot be read: {error}"));
            })
            .ok()
    }

    fn backends(&mut self) -> (Vec<Backend>, bool) {
        use Backend::{Memory, Redis, S3, Sqlite};
        let name = "CACHE_BACKEND";
        let value = self.text(name).unwrap_or_else(|| "hybrid".to_owned());
        if value == "hybrid" {
            return (vec![Memory, Sqlite, Redis, S3], true);
        }
        let mut backends = Vec::new();
        for item in value.split(',').map(str::trim) {
            let backend = match item {
                "memory" => Memory,
                "sqlite" => Sqlite,
                "redis" => Redis,
                "s3" => S3,
                _ => {
                    self.problems.push(format!(
                        "{name}={value:?} names {item:?}, which is none of memory, sqlite, redis and s3"
                    ));
                    continue;
                }
            };
            if backends.contains(&backend) {
                self.problems
                    .push(format!("{name}={value:?} names {item:?} twice"));
            }
            backends.push(backend);
        }
        if backends.iter().skip(1).any(|backend| *backend == Memory) {
            self.problems.push(format!(
                "{name}={value:?} has memory after another tier: it is the nearest, so name it first"
            ));
        }
        (backends, false)
    }
}

impl CacheSettings {
    /// Reads them by `lookup`, and tells everything that is wrong at once. A variable that is set to nothing
    /// counts as unset.
    pub fn from_lookup(
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, InvalidCacheSettings> {
        let mut reader = Reader {
            lookup,
            problems: Vec::new(),
        };
        let alias = reader.flag("ENABLE_CACHE");
        let enabled = reader.flag("CACHE_ENABLED").or(alias).unwrap_or(true);
        let (backends, hybrid) = reader.backends();
        let concurrency = reader.text("AWS_LAMBDA_MAX_CONCURRENCY");
        let concurrent = concurrency.is_some_and(|n| n.parse().is_ok_and(|n: u32| n > 1));
        let memory = reader.text("AWS_LAMBDA_FUNCTION_MEMORY_SIZE");
        let memory = memory.and_then(|mib| mib.parse::<u64>().ok());
        let settings = Self {
            enabled,
            backends,
            hybrid,
            dir: reader
                .text("CACHE_DIR")
                .map_or("/tmp".into(), PathBuf::from),
            url: reader.text("CACHE_URL"),
            #[cfg(feature = "tls")]
            authorities: reader.file("CACHE_CA_FILE"),
            ttl: Duration::from_secs(reader.number("CACHE_TTL_DEFAULT", 300, 1, 31_536_000)),
            timeouts: Timeouts {
                all: reader.millis("CACHE_TIMEOUT_MS"),
                redis: reader.millis("CACHE_TIMEOUT_REDIS_MS"),
                s3: reader.millis("CACHE_TIMEOUT_S3_MS"),
            },
            retries: reader.small("CACHE_MAX_RETRIES", 3, 0, 10),
            connections: reader.small(
                "CACHE_CONNECTION_POOL_SIZE",
                if concurrent { 10 } else { 1 },
                1,
                1_000,
            ),
            memory: memory.map_or(64 * MIB, |mib| mib.saturating_mul(MIB) / 4),
        };
        if enabled && !hybrid && settings.has(Backend::Redis) && settings.url.is_none() {
            reader.problems.push(
                "CACHE_BACKEND names redis, and CACHE_URL is not set: give the server's address"
                    .to_owned(),
            );
        }
        if let (true, Some(problem)) = (enabled, settings.problem_of_url()) {
            reader.problems.push(problem);
        }
        if reader.problems.is_empty() {
            Ok(settings)
        } else {
            let problems = reader.problems;
            Err(InvalidCacheSettings { problems })
        }
    }

    /// Whether there is to be a cache at all.
    #[must_use]
    pub const fn enabled(&self) -> bool {
        self.enabled
    }

    /// Whether there is to be the tier of this name, as `CACHE_BACKEND` has it, if this program and the other settings have it.
    #[must_use]
    pub fn names(&self, tier: &str) -> bool {
        let named = |backend: &Backend| format!("{backend:?}").to_lowercase() == tier;
        self.enabled && self.backends.iter().any(named)
    }

    /// Sets up the cache of the application `app`, with all its tiers in their order. `s3` is the tier of a
    /// bucket, for a function that has one: it comes last, or where `CACHE_BACKEND` names it.
    pub fn builder(
        &self,
        app: &str,
        s3: Option<&Arc<dyn Tier>>,
    ) -> Result<CacheBuilder, InvalidCacheSettings> {
        let invalid = |problem: String| InvalidCacheSettings {
            problems: vec![problem],
        };
        let mut builder = Cache::builder(app)
            .enabled(self.enabled)
            .default_fresh(self.ttl);
        if let Some(all) = self.timeouts.all {
            builder = builder.timeout(all);
        }
        for (name, timeout) in [("redis", self.timeouts.redis), ("s3", self.timeouts.s3)] {
            if let Some(timeout) = timeout {
                builder = builder.tier_timeout(name, timeout);
            }
        }
        if !self.enabled {
            return Ok(builder);
        }
        for backend in &self.backends {
            let tier = match backend {
                #[cfg(feature = "memory")]
                Backend::Memory => {
                    builder = builder.memory(self.memory);
                    continue;
                }
                #[cfg(not(feature = "memory"))]
                Backend::Memory => {
                    let _ = self.memory;
                    None
                }
                Backend::Sqlite | Backend::Redis => self.tier(*backend, app).map_err(invalid)?,
                Backend::S3 => s3.cloned(),
            };
            match tier {
                Some(tier) => builder = builder.tier(tier),
                None if self.hybrid => {}
                None => {
                    let named = format!("{backend:?}").to_lowercase();
                    return Err(invalid(format!(
                        "CACHE_BACKEND names {named}, which this program does not have"
                    )));
                }
            }
        }
        Ok(builder)
    }

    fn has(&self, backend: Backend) -> bool {
        self.backends.contains(&backend)
    }

    /// The tier that `backend` names, if this program has it and the settings say where it is.
    #[cfg_attr(
        not(feature = "redis"),
        expect(clippy::unnecessary_wraps, reason = "only an address can be wrong")
    )]
    fn tier(&self, backend: Backend, app: &str) -> Result<Option<Arc<dyn Tier>>, String> {
        match backend {
            #[cfg(feature = "sqlite")]
            Backend::Sqlite => {
                let mut name = "larder-".to_owned();
                crate::key::encode(app.as_bytes(), &mut name);
                name.push_str(".db");
                let disk = rustix::fs::statvfs(&self.dir);
                let size = disk.map(|disk| disk.f_blocks.saturating_mul(disk.f_frsize));
                let budget = size.map_or(64 * MIB, |size| (size / 4).min(2048 * MIB));
                let tier = crate::tier::sqlite::Sqlite::new(self.dir.join(name), budget);
                Ok(Some(Arc::new(tier)))
            }
            #[cfg(feature = "redis")]
            Backend::Redis => {
                use crate::tier::redis::{InvalidServer, Redis, RedisOptions};
                let Some(url) = &self.url else {
                    return Ok(None);
                };
                let timeout = self.timeouts.redis.or(self.timeouts.all);
                let options = RedisOptions {
                    timeout: timeout.unwrap_or(RedisOptions::default().timeout),
                    connect_timeout: timeout.unwrap_or(RedisOptions::default().connect_timeout),
                    retries: self.retries,
                    connections: self.connections,
                    #[cfg(feature = "tls")]
                    authorities: self.authorities.clone(),
                };
                let tier = Redis::new(url, options);
                let tier = tier.map_err(|error| match error {
                    InvalidServer::Authorities { .. } => format!("CACHE_CA_FILE: {error}"),
                    InvalidServer::Address { .. } => format!("CACHE_URL is {error}"),
                })?;
                Ok(Some(Arc::new(tier)))
            }
            _ => {
                // Whatever this program was built without.
                let _ = (app, self.retries, self.connections);
                Ok(None)
            }
        }
    }

    fn problem_of_url(&self) -> Option<String> {
        let tier = || self.tier(Backend::Redis, "");
        self.has(Backend::Redis).then(tier)?.err()
    }
}

impl fmt::Debug for CacheSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheSettings")
            .field("enabled", &self.enabled)
            .field("backends", &self.backends)
            .field("dir", &self.dir)
            .field("url", &self.url.as_ref().map(|_| "…"))
            .field("ttl", &self.ttl)
            .field("timeouts", &self.timeouts)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "memory")]
#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
