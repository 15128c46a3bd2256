//! A release on its way: published, stale at the edge, invalidated, fresh, and run.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    cdn_world::{Cdn, DISTRIBUTION, ask, read},
    clients::said,
    world::{World, create, run_slack},
};

#[tokio::test]
async fn an_invalidated_object_is_fresh_when_read_back_through_the_edge() {
    let World {
        edge,
        publisher,
        lambda,
        bucket,
    } = World::new().await;
    let metadata = format!("{}/binaries/slack-monitor/metadata.json", edge.url());
    let url = edge.url();
    let cdn = Cdn::of(&bucket, edge).await;
    cdn.cloudfront.set_delay(Duration::from_secs(2));
    let version = async || {
        let (text, cache) = read(&metadata).await;
        let metadata: Value = serde_json::from_str(&text).unwrap();
        (metadata["version"].as_str().unwrap().to_owned(), cache)
    };
    let seen =
        |version: &str, cache: &str| (version.to_owned(), format!("{cache} from cloudfront"));
    let runner = lambda.create(
        local_aws::lambda::Config::new("monitor-runner", crate::world::program("monitor-runner"))
            .env("RELEASES_URL", url)
            .env("CACHE_DIR", local_aws::lambda::TMP)
            .env("REQUIRE_SIGNATURE", "true")
            .env("TRUSTED_KEYS", publisher.public_key()),
    );
    let invalidator = create(cdn.config()).await;

    publisher
        .publish(&crate::world::release("1.0", "--------"))
        .await
        .unwrap();
    assert_eq!(version().await, seen("1.0", "Miss"));
    assert_eq!(version().await, seen("1.0", "Hit"));
    assert_eq!(run_slack(&runner).await["version"], "1.0");

    publisher
        .publish(&crate::world::release("2.0", "++++++++"))
        .await
        .unwrap();
    assert_eq!(
        version().await,
        seen("1.0", "Hit"),
        "without an invalidation"
    );
    assert_eq!(run_slack(&runner).await["version"], "1.0");

    let answer = ask(
        &invalidator,
        json!({ "monitor": "slack", "version": "2.0" }),
    )
    .await;
    assert_eq!(answer["status"], "submitted");
    assert_eq!(
        version().await.0,
        "1.0",
        "a request that was accepted has cleared nothing yet"
    );
    let status = json!({ "status": { "distribution_id": DISTRIBUTION, "invalidation_id": answer["invalidation_id"] }, "wait": true });
    assert_eq!(ask(&invalidator, status).await["status"], "completed");
    assert_eq!(version().await, seen("2.0", "Miss"));
    let run = run_slack(&runner).await;
    assert_eq!(
        (&run["version"], &run["reason"]),
        (&json!("2.0"), &json!("version_changed"))
    );

    // By a client that we did not write.
    let id = answer["invalidation_id"].as_str().unwrap();
    let told = said(
        "invalidation.py",
        &[&cdn.cloudfront.url(), DISTRIBUTION, id],
    )
    .await;
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (&told["status"], &told["paths"]),
        (&json!("Completed"), &answer["paths"])
    );
    // Reading back what another asked for costs nothing, nor does asking again.
    assert_eq!(
        ask(
            &invalidator,
            json!({ "monitor": "slack", "version": "2.0" })
        )
        .await["status"],
        "skipped"
    );
    assert_eq!(cdn.cloudfront.billed(), 2);
}
