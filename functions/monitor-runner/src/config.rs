//! The settings: read once, checked together.

mod announcements;
mod child_env;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use larder::CacheSettings;
use larder_artifact::{Artifact, ExecMode, Options, Trust, Url};
use larder_lambda::{InvalidSettings, Settings, environment};

pub use self::{
    announcements::{Announcements, ResultEvents},
    child_env::ChildEnv,
};
use crate::event::MonitorName;

/// Of the function's memory, the part that all binaries may take under `EXEC_MODE=auto`: a quarter,
/// since the monitors run in the same memory.
const MEMORY_SHARE: u64 = 4;

const DAY: Duration = Duration::from_hours(24);

/// What the function is told by its environment.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where releases are published: `RELEASES_URL`.
    pub releases_url: Url,
    /// What a schedule runs: `MONITORS`.
    pub monitors: Vec<MonitorName>,
    /// What file names begin with: `ARTIFACT_PREFIX`.
    pub prefix: String,
    /// The longest a monitor may run: `MONITOR_TIMEOUT_SECONDS`.
    pub monitor_timeout: Duration,
    /// Whether binaries are kept, and where statuses are: `CACHE_*`.
    pub cache: CacheSettings,
    /// Where they are kept: `CACHE_DIR`.
    pub cache_dir: PathBuf,
    /// How they are got: `REQUIRE_SIGNATURE`, `TRUSTED_KEYS`, `MIN_EPOCH`, `MAX_ARTIFACT_BYTES`,
    /// `EXEC_MODE`, `STALE_BINARY_SECONDS`.
    pub artifacts: Options,
    /// The monitors' environment: `MONITOR_ENV_*` without the prefix, `MONITOR_ENVIRONMENT`, `MONITOR_SECRET_PARAMETERS`.
    pub child_env: ChildEnv,
    /// Where runs' results go: `RESULT_EVENTS`, `EVENT_BUS_NAME`, `CACHE_BUCKET`.
    pub announcements: Announcements,
}

impl Config {
    /// Reads the process's environment.
    pub fn from_env() -> Result<Self, InvalidSettings> {
        let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        Self::from_lookup(environment, names)
    }

    /// Reads settings by `lookup`; `names` are all variables that are set, some of them the
    /// monitors'.
    pub fn from_lookup(
        lookup: impl Fn(&str) -> Option<String>,
        names: impl Iterator<Item = String>,
    ) -> Result<Self, InvalidSettings> {
        let mut settings = Settings::new(lookup);
        let releases_url = releases_url(&mut settings);
        let monitors = monitors(&mut settings);
        let prefix = prefix(&mut settings);
        let monitor_timeout = {
            let (default, range) = (Duration::from_mins(4), 1..=900);
            settings.seconds("MONITOR_TIMEOUT_SECONDS", default, range)
        };
        let cache = settings.cache();
        let cache_dir = cache_dir(&mut settings);
        let artifacts = artifacts(&mut settings);
        let child_env = ChildEnv::read(&mut settings, names);
        let announcements = Announcements::read(&mut settings);
        let all = || {
            Some(Self {
                releases_url: releases_url?,
                monitors,
                prefix,
                monitor_timeout,
                cache: cache?,
                cache_dir,
                artifacts: artifacts?,
                child_env,
                announcements: announcements?,
            })
        };
        settings.finish(all())
    }

    /// Whether binaries are kept.
    pub(crate) fn keeps_binaries(&self) -> bool {
        self.cache.enabled()
    }

    /// The artifact that is `monitor`'s binary, with its files in `dir`.
    pub(crate) fn artifact(&self, monitor: &MonitorName, dir: &Path) -> Artifact {
        let (name, prefix) = (monitor.as_str(), &self.prefix);
        let mut metadata_url = self.releases_url.clone();
        let base = metadata_url.path().trim_end_matches('/').to_owned();
        metadata_url.set_path(&format!("{base}/binaries/{name}-monitor/metadata.json"));
        Artifact {
            name: name.to_owned(),
            label: monitor.label(),
            metadata_url,
            file: dir.join(format!("{prefix}-{name}-monitor")),
            info: dir.join(format!("{prefix}-{name}-cache.json")),
        }
    }
}

type Lookup<'a, L> = &'a mut Settings<L>;

fn releases_url<L: Fn(&str) -> Option<String>>(settings: Lookup<'_, L>) -> Option<Url> {
    let name = "RELEASES_URL";
    let text = settings.text(name, "https://releases.watchy.cloud");
    let Ok(url) = text.trim().parse::<Url>() else {
        // Not shown, since there may be credentials in it.
        settings.conflict(format!(
            "{name} is not a URL such as https://releases.example.com"
        ));
        return None;
    };
    let secure = url.scheme() == "https" || url.scheme() == "http" && is_loopback(&url);
    let plain = url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    let origin = url.origin().ascii_serialization();
    if !secure {
        settings.reject(
            name,
            &origin,
            "is neither https nor http on a loopback address",
        );
    }
    if !plain {
        let problem = "has credentials, a query or a fragment; give scheme, host and path only";
        settings.reject(name, &origin, problem);
    }
    Some(url)
}

fn is_loopback(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            host.parse()
                .is_ok_and(|address: std::net::IpAddr| address.is_loopback())
        }
        None => false,
    }
}

fn monitors<L: Fn(&str) -> Option<String>>(settings: Lookup<'_, L>) -> Vec<MonitorName> {
    let name = "MONITORS";
    let mut monitors = Vec::new();
    let named = settings.list(name, "slack");
    if named.is_empty() {
        settings.conflict(format!(
            "{name} names no monitor; give at least one, such as slack"
        ));
    }
    for item in named {
        match item.parse() {
            Ok(monitor) if monitors.contains(&monitor) => {}
            Ok(monitor) => monitors.push(monitor),
            Err(error) => settings.conflict(format!("{name}: {error}")),
        }
    }
    monitors
}

fn prefix<L: Fn(&str) -> Option<String>>(settings: Lookup<'_, L>) -> String {
    let prefix = settings.text("ARTIFACT_PREFIX", "watchy");
    // The same letters as a monitor's name, for the same reason.
    if prefix.parse::<MonitorName>().is_err() {
        let problem =
            "is not up to 64 lower-case letters, digits and hyphens, with no hyphen first";
        settings.reject("ARTIFACT_PREFIX", &prefix, problem);
    }
    prefix
}

fn cache_dir<L: Fn(&str) -> Option<String>>(settings: Lookup<'_, L>) -> PathBuf {
    let dir = PathBuf::from(settings.text("CACHE_DIR", "/tmp"));
    if !(dir.is_absolute() && dir.is_dir()) {
        let problem = "is not the absolute path of a directory that exists";
        settings.reject("CACHE_DIR", &dir.to_string_lossy(), problem);
    }
    dir
}

fn artifacts<L: Fn(&str) -> Option<String>>(settings: Lookup<'_, L>) -> Option<Options> {
    let keys = settings.list("TRUSTED_KEYS", "");
    let required = settings.flag("REQUIRE_SIGNATURE", !keys.is_empty());
    if required && keys.is_empty() {
        settings.conflict("REQUIRE_SIGNATURE=true needs TRUSTED_KEYS, minisign public keys");
    }
    let min_epoch = settings.number("MIN_EPOCH", 0, 0..=u64::MAX);
    if min_epoch > 0 && keys.is_empty() {
        settings.conflict("MIN_EPOCH over 0 needs TRUSTED_KEYS: only signed releases have epochs");
    }
    let trust = Trust::new(keys.iter().map(String::as_str), required, min_epoch);
    let trust = trust
        .map_err(|error| settings.conflict(format!("TRUSTED_KEYS: {error}")))
        .ok();
    let max_bytes = settings.number("MAX_ARTIFACT_BYTES", 256 << 20, 1..=10 << 30);
    let exec_mode: Option<ExecMode> = settings.parsed("EXEC_MODE", "auto", "auto, path or memfd");
    let stale_for = settings.seconds("STALE_BINARY_SECONDS", DAY, 0..=DAY.as_secs() * 365);
    let memory_mib = settings.number("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", 512, 1..=1 << 20);
    Some(Options {
        trust: trust?,
        max_bytes,
        stale_for,
        exec_mode: exec_mode?,
        memory_limit: (memory_mib << 20) / MEMORY_SHARE,
        runner: semver::Version::parse(env!("CARGO_PKG_VERSION")).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Config, String> {
        let lookup = |name: &str| {
            variables
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        };
        let names = variables.iter().map(|(name, _)| (*name).to_owned());
        Config::from_lookup(lookup, names).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_set_is_the_contracts_defaults() {
        let config = read(&[]).unwrap();
        assert_eq!(
            config.releases_url.as_str(),
            "https://releases.watchy.cloud/"
        );
        assert_eq!(
            config
                .monitors
                .iter()
                .map(MonitorName::as_str)
                .collect::<Vec<_>>(),
            ["slack"]
        );
        assert_eq!(config.prefix, "watchy");
        assert_eq!(config.monitor_timeout, Duration::from_mins(4));
        assert_eq!(config.artifacts.stale_for, DAY);
        assert_eq!(config.artifacts.max_bytes, 268_435_456);
        assert_eq!(config.artifacts.exec_mode, ExecMode::Auto);
        assert!(config.keeps_binaries());
        assert_eq!(config.announcements.events, ResultEvents::Changes);
        assert_eq!(config.announcements.bus, "default");
        assert_eq!(config.cache_dir, Path::new("/tmp"));
    }

    #[test]
    fn files_and_metadata_lie_where_the_contract_says() {
        let config = read(&[("RELEASES_URL", "https://cdn.example.com/mirror/")]).unwrap();
        let artifact = config.artifact(&"slack".parse().unwrap(), Path::new("/tmp"));
        assert_eq!(
            artifact.metadata_url.as_str(),
            "https://cdn.example.com/mirror/binaries/slack-monitor/metadata.json"
        );
        assert_eq!(artifact.file, Path::new("/tmp/watchy-slack-monitor"));
        assert_eq!(artifact.info, Path::new("/tmp/watchy-slack-cache.json"));
    }

    #[test]
    fn every_wrong_value_is_told_at_once() {
        let error = read(&[
            ("RELEASES_URL", "http://releases.example.com"),
            ("MONITORS", "slack,../sh"),
            ("ARTIFACT_PREFIX", "a/b"),
            ("MONITOR_TIMEOUT_SECONDS", "0"),
            ("CACHE_DIR", "tmp"),
            ("REQUIRE_SIGNATURE", "true"),
            ("MIN_EPOCH", "7"),
            ("EXEC_MODE", "memory"),
            ("MONITOR_ENV_", "x"),
            ("RESULT_EVENTS", "some"),
            ("EVENT_BUS_NAME", "a bus"),
            ("MONITOR_SECRET_PARAMETERS", "TOKEN"),
        ])
        .unwrap_err();
        assert!(error.starts_with("12 settings are invalid"), "{error}");
        for name in [
            "RELEASES_URL=",
            "MONITORS: ",
            "ARTIFACT_PREFIX=",
            "MONITOR_TIMEOUT_SECONDS=",
            "CACHE_DIR=",
            "REQUIRE_SIGNATURE=true needs TRUSTED_KEYS",
            "MIN_EPOCH over 0 needs TRUSTED_KEYS",
            "EXEC_MODE=",
            "MONITOR_ENV_ ",
            "RESULT_EVENTS=",
            "EVENT_BUS_NAME=",
            "MONITOR_SECRET_PARAMETERS: ",
        ] {
            assert!(error.contains(name), "{name}: {error}");
        }
    }

    #[test]
    fn http_will_do_on_loopback_only_and_credentials_are_not_repeated() {
        for url in [
            "http://127.0.0.1:8080",
            "http://localhost:1",
            "http://[::1]:9",
        ] {
            read(&[("RELEASES_URL", url)]).unwrap();
        }
        for url in [
            "http://127.example.com",
            "ftp://127.0.0.1",
            "https://u:hunter2@h",
            "https://h/?q",
            "https://u:hunter2@h:99999",
        ] {
            let error = read(&[("RELEASES_URL", url)]).unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn the_alias_of_the_rollback_switch_counts_and_the_name_itself_wins() {
        assert!(!read(&[("ENABLE_CACHE", "false")]).unwrap().keeps_binaries());
        assert!(
            read(&[("ENABLE_CACHE", "false"), ("CACHE_ENABLED", "true")])
                .unwrap()
                .keeps_binaries()
        );
    }

    #[test]
    fn trusted_keys_require_signatures_unless_told_otherwise() {
        let key = "RWRswUk7uXdoMsnexayTLkdOHatEi/j2bCTDNRMuedC7dPgzizJyFhQJ";
        let required = |variables: &[(&str, &str)]| {
            let trust = read(variables).unwrap().artifacts.trust;
            format!("{trust:?}").contains("required: true")
        };
        assert!(required(&[("TRUSTED_KEYS", key)]));
        assert!(!required(&[
            ("TRUSTED_KEYS", key),
            ("REQUIRE_SIGNATURE", "false")
        ]));
        assert!(!required(&[]));
    }
}
