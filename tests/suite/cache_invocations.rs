//! The cache in a function's life: frozen between invocations, with deadlines and metrics.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use local_aws::lambda::{Config, Function, Outcome, TMP};
use serde_json::{Value, json};

use crate::world::{create, invoke, program};

fn caching() -> Config {
    Config::new("caching", program("caching-function")).env("CACHE_DIR", TMP)
}

async fn ask(function: &Arc<Function>, origin: u64, takes_ms: u64) -> Outcome {
    let question = json!({ "key": "key", "origin": origin, "takes_ms": takes_ms });
    invoke(function, question).await
}

async fn answer(function: &Arc<Function>, origin: u64, takes_ms: u64) -> Value {
    ask(function, origin, takes_ms).await.json().unwrap()
}

/// What an invocation counted of a tier.
fn of(outcome: &Outcome, tier: &str) -> Value {
    let metrics = outcome.metrics();
    let document = metrics.iter().find(|document| document["Tier"] == tier);
    let missing = || panic!("{tier}: {metrics:?}");
    document.cloned().unwrap_or_else(missing)
}

#[tokio::test]
async fn a_refresh_goes_on_after_the_response_and_is_done_before_the_freeze() {
    let function = create(caching()).await;
    let first = answer(&function, 1, 0).await;
    assert_eq!(
        first,
        json!({ "value": 1, "stale": false, "from_origin": true })
    );
    tokio::time::sleep(Duration::from_millis(600)).await;
    let begun = Instant::now();
    let second = answer(&function, 2, 2_000).await;
    let took = begun.elapsed();
    assert_eq!(
        second,
        json!({ "value": 1, "stale": true, "from_origin": false })
    );
    assert!(
        took < Duration::from_millis(1_500),
        "it waited for the refresh: {took:?}"
    );
    // Which waits for the work after the response, and finds it done.
    let third = answer(&function, 3, 0).await;
    assert_eq!(third["value"], 2, "{third}");
}

#[tokio::test]
async fn a_refresh_that_would_outlast_its_invocation_is_given_up_and_counted() {
    let mut config = caching();
    config.timeout = Duration::from_secs(2);
    let function = create(config).await;
    answer(&function, 1, 0).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(answer(&function, 2, 60_000).await["value"], 1);
    let next = ask(&function, 3, 0).await;
    assert_eq!(next.json().unwrap()["value"], 1, "stale still");
    assert_eq!(next.metrics()[0]["ColdStart"], 0, "it lived on");
    assert_eq!(of(&next, "origin")["CacheErrors"], 1);
}

#[tokio::test]
async fn what_the_cache_counts_is_in_the_metrics() {
    let function = create(caching()).await;
    let first = ask(&function, 1, 30).await;
    let second = ask(&function, 2, 0).await;
    let loads = of(&first, "origin");
    assert_eq!(
        (&loads["CacheLoads"], &loads["Keyspace"]),
        (&json!(1), &json!("told"))
    );
    assert_eq!(of(&first, "memory")["CacheMisses"], 1);
    let hit = of(&second, "memory");
    assert_eq!(
        (&hit["CacheHits"], &hit["CacheMisses"]),
        (&json!(1), &json!(0))
    );
    assert!(
        hit["CacheSavedMilliseconds"].as_u64().unwrap() >= 30,
        "{hit}"
    );
    let directive = &hit["_aws"]["CloudWatchMetrics"][0];
    assert_eq!(
        directive["Dimensions"],
        json!([["FunctionName", "Tier", "Keyspace"]])
    );
    assert_eq!(
        second.metrics().len(),
        2,
        "nothing of tiers that were not used"
    );
}

#[tokio::test]
async fn what_is_off_asks_its_origin_each_time() {
    let function = create(caching().env("CACHE_ENABLED", "false")).await;
    for origin in 1..=3 {
        assert_eq!(answer(&function, origin, 0).await["value"], origin);
    }
}

#[tokio::test]
async fn what_is_on_disk_outlives_the_process() {
    let disk = tempfile::tempdir().unwrap();
    let mut config = caching().env("CACHE_DIR", disk.path().to_string_lossy());
    config.freeze = false;
    let function = create(config).await;
    assert_eq!(answer(&function, 1, 0).await["from_origin"], true);
    function.fresh().await;
    let again = answer(&function, 2, 0).await;
    assert_eq!(
        (&again["value"], &again["from_origin"]),
        (&json!(1), &json!(false))
    );
}

#[tokio::test]
async fn settings_that_are_wrong_are_all_told_when_it_starts() {
    let config = caching()
        .env("CACHE_BACKEND", "memroy")
        .env("CACHE_TIMEOUT_MS", "soon");
    let function = create(config).await;
    let outcome = ask(&function, 1, 0).await;
    let error = outcome.error().unwrap();
    for named in [r#"CACHE_BACKEND="memroy""#, r#"CACHE_TIMEOUT_MS="soon""#] {
        assert!(error.message.contains(named), "{}", error.message);
    }
}
