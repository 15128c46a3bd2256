//! Minutes in a Redis that runtime-calculator writes through to and runtime-events asks first.

use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue::{N, S};
use jiff::{SignedDuration, Timestamp};
use local_aws::lambda::{Function, Lambda};
use local_servers::redis::Redis;
use serde_json::{Value, json};

use crate::{
    minutes_world::{Minutes, hours, one},
    world::invoke,
};

const A: &str = "i-0000000a";

/// Both functions, deployed with one Redis.
struct Shared {
    world: Minutes,
    calculator: Arc<Function>,
    reader: Arc<Function>,
    _lambda: Lambda,
}

impl Shared {
    async fn with_redis_at(url: &str) -> Self {
        let (world, lambda) = (Minutes::new().await, Lambda::start().await.unwrap());
        world.cloud.set(one(A, Timestamp::now() - hours(2)));
        let calculator = world.function("runtime-calculator").env("CACHE_URL", url);
        let reader = world.function("runtime-events").env("CACHE_URL", url);
        Self {
            calculator: lambda.create(calculator),
            reader: lambda.create(reader.env("CACHE_BACKEND", "redis")),
            world,
            _lambda: lambda,
        }
    }

    /// The counts of an hourly run.
    async fn run(&self) -> Value {
        let answer = invoke(&self.calculator, json!({})).await.json().unwrap();
        serde_json::from_str(answer["body"].as_str().unwrap()).unwrap()
    }

    async fn read(&self) -> Value {
        let outcome = invoke(&self.reader, json!({ "instance_id": A })).await;
        outcome.json().unwrap()
    }

    /// Has the servers' table say 7 minutes, computed at `at`.
    async fn set_table(&self, at: Timestamp) {
        let at = S(format!("{at:.0}"));
        let fields = [
            ("runningMinutesCache", N("7".to_owned())),
            ("runningMinutesCacheTimestamp", at),
        ];
        self.world.put(A, &fields).await;
    }
}

#[tokio::test]
async fn read_hits_the_minutes_that_the_hourly_run_wrote_through() {
    let redis = Redis::start().unwrap();
    let shared = Shared::with_redis_at(&redis.url()).await;
    for _ in 0..2 {
        let counts = shared.run().await;
        assert_eq!(
            (&counts["processed"], &counts["errors"]),
            (&json!(1), &json!(0))
        );
        let written = shared.world.item(A).await;
        // The table would answer otherwise from now on.
        shared.set_table(Timestamp::now()).await;
        let read = shared.read().await;
        assert_eq!(read["minutes"], written["runningMinutesCache"]);
        assert_eq!(read["timestamp"], written["runningMinutesCacheTimestamp"]);
        assert_eq!(read["source"], "cache");
    }
}

#[tokio::test]
async fn run_leaves_newer_minutes_in_the_table_and_in_the_cache() {
    let redis = Redis::start().unwrap();
    let shared = Shared::with_redis_at(&redis.url()).await;
    shared
        .set_table(Timestamp::now() + SignedDuration::from_mins(1))
        .await;
    assert_eq!(shared.read().await["minutes"], 7.0);
    assert_eq!(shared.run().await["processed"], 1);
    assert_eq!(shared.world.item(A).await["runningMinutesCache"], 7.0);
    assert_eq!(shared.read().await["minutes"], 7.0);
}

#[tokio::test]
async fn run_without_its_cache_server_writes_the_table_all_the_same() {
    let url = Redis::start().unwrap().url();
    let shared = Shared::with_redis_at(&url).await;
    let counts = shared.run().await;
    assert_eq!(
        (&counts["processed"], &counts["errors"]),
        (&json!(1), &json!(0))
    );
    let written = shared.world.item(A).await;
    assert!(
        written["runningMinutesCache"].as_f64().unwrap() > 0.0,
        "{written}"
    );
    assert_eq!(
        shared.read().await["minutes"],
        written["runningMinutesCache"]
    );
}
