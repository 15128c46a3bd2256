//! cdn-invalidator, asked directly: what it sends, what it costs, what it answers.

use std::time::Duration;

use local_aws::cloudfront::Distribution;
use serde_json::{Value, json};

use crate::{
    cdn_world::{Cdn, DISTRIBUTION, DOMAIN, object_event, paths, slack},
    world::{ask, create, invoke, refused},
};

#[tokio::test]
async fn several_paths_are_several_items() {
    let cdn = Cdn::new().await;
    let function = cdn.function().await;
    let (kind, message) = refused(&function, paths(&["/a,/b", "/ok", "*.png"])).await;
    assert_eq!(kind, "BadRequest");
    for said in [
        "\"/a,/b\" looks like several paths in one text",
        "\"*.png\" begins with neither",
    ] {
        assert!(message.contains(said), "{message}");
    }
    assert_eq!(cdn.cloudfront.requests().len(), 0, "nothing was asked");
    let answer = ask(&function, paths(&["/a", "/b", "/c ü", "/b*"])).await;
    assert_eq!(answer["paths"], json!(["/a", "/b*", "/c%20%C3%BC"]));
    assert_eq!(
        (&answer["billable_paths"], &answer["status"]),
        (&json!(3), &json!("completed"))
    );
    assert_eq!(cdn.made(), [["/a", "/b*", "/c%20%C3%BC"]]);
}

#[tokio::test]
async fn what_is_paid_for_is_told_by_the_months_count() {
    let cdn = Cdn::new().await;
    let function = create(cdn.config().env("FREE_PATHS_PER_MONTH", "3")).await;
    let first = ask(&function, paths(&["/a", "/b"])).await;
    assert_eq!(first["estimated_cost_usd"], 0.0);
    let second = ask(&function, paths(&["/c", "/d", "/e*"])).await;
    assert_eq!(
        (
            &second["estimated_cost_usd"],
            &second["month_billable_paths"]
        ),
        (&json!(0.01), &json!(5))
    );
    // Without a version, each request is one of its own.
    assert_eq!(
        ask(&function, paths(&["/c"])).await["month_billable_paths"],
        6
    );
}

#[tokio::test]
async fn tags_are_items_where_the_distribution_has_them() {
    let cdn = Cdn::new().await;
    let function = cdn.function().await;
    let answer = ask(&function, paths(&["#v1"])).await;
    let error = answer["error"].as_str().unwrap();
    assert!(
        answer["status"] == "failed"
            && error.contains("#v1 is a tag, and E2BX1E7RR7IV8R has no cache tags"),
        "{answer}"
    );
    cdn.cloudfront.remove(DISTRIBUTION);
    let tagged = Distribution::new(DISTRIBUTION, &cdn.bucket)
        .alias(DOMAIN)
        .tags("cache-tag");
    cdn.cloudfront.add(tagged.edge(cdn.edge.cache()));
    let put = cdn
        .s3
        .put_object()
        .bucket(&cdn.bucket)
        .key("a")
        .metadata("cache-tag", "V1,other");
    put.cache_control("max-age=3600")
        .body(b"1".to_vec().into())
        .send()
        .await
        .unwrap();
    assert_eq!(cdn.read("/a").await.1, "Miss from cloudfront");
    assert_eq!(
        ask(&function, paths(&["#V1"])).await["paths"],
        json!(["#v1"])
    );
    assert_eq!(cdn.read("/a").await.1, "Miss from cloudfront");
}

#[tokio::test]
async fn an_answer_waits_until_it_is_done_and_a_status_tells_later() {
    let cdn = Cdn::new().await;
    cdn.cloudfront.set_delay(Duration::from_secs(1));
    cdn.put("a", "old").await;
    cdn.read("/a").await;
    cdn.put("a", "new").await;
    let function = cdn.function().await;
    let mut event = paths(&["/a"]);
    event["wait"] = json!(true);
    let answer = ask(&function, event).await;
    assert_eq!(answer["status"], "completed");
    assert_eq!(cdn.read("/a").await.0, "new");
    cdn.cloudfront.set_delay(Duration::from_hours(1));
    let answer = ask(&function, paths(&["/b"])).await;
    assert_eq!(answer["status"], "submitted");
    let of = |id: &Value| json!({ "status": { "distribution_id": DISTRIBUTION, "invalidation_id": id } });
    let status = ask(&function, of(&answer["invalidation_id"])).await;
    assert_eq!(
        (&status["status"], &status["paths"]),
        (&json!("submitted"), &json!(["/b"]))
    );
    let unknown = ask(&function, of(&json!("I0000000000000"))).await;
    assert_eq!(unknown["status"], "failed");
    assert!(
        unknown["error"]
            .as_str()
            .unwrap()
            .contains("NoSuchInvalidation"),
        "{unknown}"
    );
}

#[tokio::test]
async fn too_many_in_progress_is_put_off_not_lost_and_not_slept_on() {
    let cdn = Cdn::new().await;
    cdn.cloudfront.set_delay(Duration::from_hours(1));
    let function = create(cdn.with_queue()).await;
    let wild: Vec<_> = (0..13).map(|n| format!("/{n:02}/*")).collect();
    let wild: Vec<_> = wild.iter().map(String::as_str).collect();
    assert_eq!(ask(&function, paths(&wild)).await["status"], "submitted");
    // Two are left, and they are for people.
    let event = json!({ "domain": DOMAIN, "paths": ["/more/*"], "version": "7" });
    let answer = ask(&function, event).await;
    assert_eq!(
        (&answer["status"], &answer["invalidation_id"]),
        (&json!("submitted"), &Value::Null)
    );
    let error = answer["error"].as_str().unwrap();
    assert!(
        error.contains("put off for a minute: too much is in progress on E2BX1E7RR7IV8R"),
        "{error}"
    );
    let creates = |cdn: &Cdn| {
        cdn.cloudfront
            .requests()
            .iter()
            .filter(|it| it.operation == "CreateInvalidation")
            .count()
    };
    assert_eq!(creates(&cdn), 1, "it was asked about, not tried");
    // A path has room still.
    assert_eq!(
        ask(&function, paths(&["/path"])).await["status"],
        "submitted"
    );
    // What CloudFront itself refuses is put off as well, and no attempt is repeated.
    cdn.cloudfront.fail_next_of(
        "CreateInvalidation",
        400,
        "TooManyInvalidationsInProgress",
        "too many",
    );
    let answer = ask(&function, paths(&["/other"])).await;
    assert!(
        answer["error"]
            .as_str()
            .unwrap()
            .contains("TooManyInvalidationsInProgress"),
        "{answer}"
    );
    assert_eq!(creates(&cdn), 3);
    let counts = cdn.queue.counts().await.unwrap();
    // Delayed by a minute: neither to be had nor had by anybody.
    assert_eq!((counts.visible, counts.in_flight), (0, 0), "{counts:?}");
    // Without a queue the caller is told.
    let alone = cdn.function().await;
    let answer = ask(&alone, paths(&["/x/*"])).await;
    assert_eq!(answer["status"], "failed");
    assert!(
        answer["error"]
            .as_str()
            .unwrap()
            .ends_with("ask again in a minute"),
        "{answer}"
    );
}

#[tokio::test]
async fn more_than_a_distribution_takes_fails_at_once_and_breaks_no_build() {
    let cdn = Cdn::new().await;
    let function = cdn.function().await;
    let many: Vec<_> = (0..3_001).map(|n| format!("/{n}")).collect();
    let wild: Vec<_> = (0..14).map(|n| format!("/{n:02}/*")).collect();
    for (paths, said) in [(many, "3001 paths and 0 wildcards"), (wild, "14 wildcards")] {
        let answer = ask(&function, json!({ "domain": DOMAIN, "paths": paths })).await;
        let error = answer["error"].as_str().unwrap();
        assert!(
            answer["status"] == "failed" && error.contains(said),
            "{answer}"
        );
    }
    assert_eq!(cdn.cloudfront.billed(), 0);
}

#[tokio::test]
async fn a_refusal_is_an_answer_to_a_build_and_an_error_to_an_event() {
    let cdn = Cdn::new().await;
    let function = cdn.function().await;
    cdn.cloudfront
        .fail_next_of("CreateInvalidation", 403, "AccessDenied", "not allowed");
    let outcome = invoke(&function, slack()).await;
    let answer = outcome.json().unwrap();
    assert_eq!(
        (&answer["status"], &answer["billable_paths"]),
        (&json!("failed"), &json!(0))
    );
    // The one trace of it that alarms can see.
    let metrics = &outcome.metrics()[0];
    assert_eq!(
        (&metrics["InvalidationFailures"], &metrics["FailedDenied"]),
        (&json!(1), &json!(1))
    );
    let error = answer["error"].as_str().unwrap();
    assert!(
        error.contains("CreateInvalidation of E2BX1E7RR7IV8R failed: AccessDenied: not allowed"),
        "{error}"
    );
    cdn.cloudfront
        .fail_next_of("CreateInvalidation", 403, "AccessDenied", "not allowed");
    let event = object_event(&cdn.bucket, "a", "2026-11-27T04:00:00Z");
    let (kind, message) = refused(&function, event.clone()).await;
    assert!(
        kind == "Upstream" && message.contains("AccessDenied"),
        "{message}"
    );
    let (kind, message) = refused(
        &function,
        object_event("elsewhere", "a", "2026-11-27T04:00:00Z"),
    )
    .await;
    assert!(
        kind == "NotFound"
            && message.contains("no distribution of this account serves the bucket elsewhere"),
        "{message}"
    );
    let outcome = invoke(&function, event).await;
    assert_eq!(outcome.json().unwrap()["status"], "completed");
    let metrics = &outcome.metrics()[0];
    assert_eq!(
        (&metrics["InvalidationRequests"], &metrics["ExactItems"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(
        (
            &metrics["MonthBillablePaths"],
            &metrics["InvalidationFailures"]
        ),
        (&json!(1), &json!(0))
    );
}

#[tokio::test]
async fn a_service_that_is_overloaded_is_asked_again() {
    let cdn = Cdn::new().await;
    let function = cdn.function().await;
    for (status, code) in [(503, "ServiceUnavailable"), (400, "Throttling")] {
        cdn.cloudfront
            .fail_next_of("CreateInvalidation", status, code, "later");
    }
    assert_eq!(ask(&function, slack()).await["status"], "completed");
}
