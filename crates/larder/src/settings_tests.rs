use super::*;
use crate::{Keyspace, Policy, testing::Server};

static ANY: Keyspace<str, u64> = Keyspace::new("any", 1, Policy::by_default());

fn settings(variables: &[(&str, &str)]) -> Result<CacheSettings, InvalidCacheSettings> {
    CacheSettings::from_lookup(|name| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    })
}

fn problems(variables: &[(&str, &str)]) -> String {
    settings(variables).unwrap_err().to_string()
}

/// The tiers of the cache that these variables make, the nearest first.
fn tiers(variables: &[(&str, &str)], s3: bool) -> Vec<&'static str> {
    let server: Arc<dyn Tier> = Arc::new(Server::new());
    let settings = settings(variables).unwrap();
    let builder = settings.builder("app", s3.then_some(&server)).unwrap();
    let cache = builder.build();
    let _ = cache.space(&ANY);
    cache.snapshot().tiers.iter().map(|row| row.tier).collect()
}

#[test]
fn tiers_are_those_that_are_there_or_those_that_are_named() {
    assert_eq!(tiers(&[], false), ["memory", "sqlite"]);
    let url = ("CACHE_URL", "cache:6379");
    assert_eq!(tiers(&[url], true), ["memory", "sqlite", "redis", "server"]);
    let named = |list| ("CACHE_BACKEND", list);
    assert_eq!(tiers(&[named("memory")], true), ["memory"]);
    assert_eq!(tiers(&[named("s3, redis"), url], true), ["server", "redis"]);
    assert_eq!(tiers(&[named("sqlite")], false), ["sqlite"]);
    assert!(tiers(&[("CACHE_ENABLED", "false"), url], true).is_empty());
    assert!(tiers(&[("ENABLE_CACHE", "0")], true).is_empty());
    let both = [("ENABLE_CACHE", "false"), ("CACHE_ENABLED", "true")];
    assert_eq!(tiers(&both, false).len(), 2, "the first name counts");
}

#[test]
fn problems_name_the_variable_its_value_and_what_to_do() {
    let all = problems(&[
        ("CACHE_ENABLED", "maybe"),
        ("CACHE_BACKEND", "memroy,memory"),
        ("CACHE_TTL_DEFAULT", "0"),
        ("CACHE_TIMEOUT_MS", "1s"),
    ]);
    assert_eq!(
        all,
        r#"CACHE_ENABLED="maybe" is neither true nor false; CACHE_BACKEND="memroy,memory" names "memroy", which is none of memory, sqlite, redis and s3; CACHE_TTL_DEFAULT="0" is not a whole number from 1 to 31536000; CACHE_TIMEOUT_MS="1s" is not a whole number from 1 to 60000"#
    );
    assert!(problems(&[("CACHE_BACKEND", "sqlite,memory")]).contains("name it first"));
    assert!(problems(&[("CACHE_BACKEND", "sqlite,sqlite")]).contains("twice"));
    assert!(problems(&[("CACHE_BACKEND", "redis")]).contains("CACHE_URL is not set"));
    #[cfg(feature = "tls")]
    assert!(problems(&[("CACHE_CA_FILE", "/nowhere")]).contains("cannot be read: No such"));
    let missing = settings(&[("CACHE_BACKEND", "s3")]).unwrap();
    let error = missing.builder("app", None).unwrap_err().to_string();
    assert!(error.contains("names s3"), "{error}");
}

#[test]
fn an_address_is_never_shown() {
    let url = ("CACHE_URL", "redis://user:s3cret@host:port");
    let problem = problems(&[url]);
    assert!(
        problem.starts_with("CACHE_URL is not the address"),
        "{problem}"
    );
    assert!(!problem.contains("s3cret"));
    let good = settings(&[("CACHE_URL", "redis://user:s3cret@host:1")]).unwrap();
    assert!(!format!("{good:?}").contains("s3cret"));
    let off = settings(&[url, ("CACHE_ENABLED", "false")]);
    assert!(off.is_ok(), "what is off need not be right");
}
