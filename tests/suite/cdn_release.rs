//! A release on its way: published, stale at the edge, invalidated, fresh, and run.

use std::{sync::Arc, time::Duration};

use local_aws::{lambda::Function, publish::Publisher};
use serde_json::{Value, json};

use crate::{
    cdn_world::{Cdn, DISTRIBUTION, read},
    clients::said,
    world::{World, ask, create, release, run_slack},
};

/// A publisher, the edge in front of its bucket, and both functions.
struct Way {
    publisher: Publisher,
    cdn: Cdn,
    runner: Arc<Function>,
    invalidator: Arc<Function>,
}

impl Way {
    async fn new() -> Self {
        let world = World::new().await;
        let runner = world.lambda.create(world.monitor_runner());
        let cdn = Cdn::of(&world.bucket, world.edge).await;
        cdn.cloudfront.set_delay(Duration::from_secs(2));
        Self {
            publisher: world.publisher,
            invalidator: create(cdn.config()).await,
            cdn,
            runner,
        }
    }

    async fn publish(&self, version: &str, marker: &str) {
        let release = release(version, marker);
        self.publisher.publish(&release).await.unwrap();
    }

    /// The version that the edge tells of, and where it has it from.
    async fn seen(&self) -> (String, String) {
        let url = self.cdn.edge.url();
        let (text, cache) = read(&format!("{url}/binaries/slack-monitor/metadata.json")).await;
        let metadata: Value = serde_json::from_str(&text).unwrap();
        let cache = cache.trim_end_matches(" from cloudfront").to_owned();
        (metadata["version"].as_str().unwrap().to_owned(), cache)
    }

    async fn run(&self) -> (Value, Value) {
        let run = run_slack(&self.runner).await;
        (run["version"].clone(), run["reason"].clone())
    }

    async fn invalidate(&self) -> Value {
        let event = json!({ "monitor": "slack", "version": "2.0" });
        ask(&self.invalidator, event).await
    }
}

fn seen(version: &str, cache: &str) -> (String, String) {
    (version.to_owned(), cache.to_owned())
}

#[tokio::test]
async fn an_invalidated_object_is_fresh_when_read_back_through_the_edge() {
    let way = Way::new().await;
    way.publish("1.0", "--------").await;
    assert_eq!(way.seen().await, seen("1.0", "Miss"));
    assert_eq!(way.seen().await, seen("1.0", "Hit"));
    assert_eq!(way.run().await, (json!("1.0"), json!("first_use")));

    way.publish("2.0", "++++++++").await;
    assert_eq!(way.seen().await, seen("1.0", "Hit"), "not invalidated");
    assert_eq!(way.run().await, (json!("1.0"), Value::Null));

    let answer = way.invalidate().await;
    assert_eq!(answer["status"], "submitted");
    let is_accepted = "what was accepted has cleared nothing yet";
    assert_eq!(way.seen().await.0, "1.0", "{is_accepted}");
    let id = answer["invalidation_id"].as_str().unwrap();
    let status = json!({ "distribution_id": DISTRIBUTION, "invalidation_id": id });
    let status = json!({ "status": status, "wait": true });
    let status = ask(&way.invalidator, status).await;
    assert_eq!(status["status"], "completed");
    assert_eq!(way.seen().await, seen("2.0", "Miss"));
    assert_eq!(way.run().await, (json!("2.0"), json!("version_changed")));

    // By a client that we did not write.
    let url = way.cdn.cloudfront.url();
    let told = said("invalidation.py", &[&url, DISTRIBUTION, id]).await;
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["status"], "Completed");
    assert_eq!(told["paths"], answer["paths"]);
    // Asking again costs nothing.
    assert_eq!(way.invalidate().await["status"], "skipped");
    assert_eq!(way.cdn.cloudfront.billed(), 2);
}
