//! cdn-invalidator, asked directly: what it sends, what it costs, what it answers.

use std::time::Duration;

use local_aws::cloudfront::{Distribution, Duplicates};
use serde_json::{Value, json};

use crate::{
    cdn_world::{Cdn, DISTRIBUTION, DOMAIN, object_event},
    world::{ask, create, invoke, refused},
};

fn paths(paths: &[&str]) -> Value {
    json!({ "domain": DOMAIN, "paths": paths })
}

fn slack() -> Value {
    json!({ "monitor": "slack", "version": "2025.08.31.200811-da23b42" })
}

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
async fn the_same_content_twice_is_one_invalidation() {
    for duplicates in [
        Duplicates::First,
        Duplicates::Documented,
        Duplicates::Observed,
    ] {
        let cdn = Cdn::new().await;
        cdn.cloudfront.set_duplicates(duplicates);
        let function = cdn.function().await;
        let first = ask(&function, slack()).await;
        let expected = [
            "/binaries/slack-monitor/metadata.json",
            "/binaries/slack-monitor/watchy-slack-monitor-latest",
        ];
        assert_eq!(first["paths"], json!(expected));
        assert_eq!(
            (&first["billable_paths"], &first["month_billable_paths"]),
            (&json!(2), &json!(2))
        );
        for _ in 0..2 {
            let again = ask(&function, slack()).await;
            assert_eq!(
                (&again["status"], &again["billable_paths"]),
                (&json!("skipped"), &json!(0)),
                "{again}"
            );
            assert_eq!(again["invalidation_id"], first["invalidation_id"]);
            assert_eq!(again["month_billable_paths"], 2);
            // The second time in an environment that knows of nothing.
            function.fresh().await;
        }
        assert_eq!(cdn.cloudfront.billed(), 2);
        let other = json!({ "monitor": "slack", "version": "2025.09.01" });
        assert_eq!(ask(&function, other).await["month_billable_paths"], 4);
    }
}

#[tokio::test]
async fn a_version_that_comes_back_is_cleared_again() {
    let cdn = Cdn::new().await;
    let version = |version: &str| json!({ "monitor": "slack", "version": version });
    for function in [
        cdn.function().await,
        // Without a table, as long as the environment lives.
        create(cdn.config().env("INVALIDATIONS_TABLE", "")).await,
    ] {
        let before = cdn.cloudfront.billed();
        let mut statuses = Vec::new();
        for name in ["1", "1", "2", "1", "1", "2"] {
            let answer = ask(&function, version(name)).await;
            statuses.push(answer["status"].as_str().unwrap().to_owned());
        }
        let (new, again) = ("completed", "skipped");
        assert_eq!(statuses, [new, again, new, new, again, new]);
        assert_eq!(cdn.cloudfront.billed() - before, 8);
        // Otherwise the second function would find what the first one has asked for.
        ask(&function, paths(&["/*"])).await;
        cdn.cloudfront.remove(DISTRIBUTION);
        let distribution = Distribution::new(DISTRIBUTION, &cdn.bucket).alias(DOMAIN);
        cdn.cloudfront.add(distribution.edge(cdn.edge.cache()));
    }
}

#[tokio::test]
async fn an_answer_that_was_lost_is_asked_for_again_and_not_billed_again() {
    let cdn = Cdn::new().await;
    let function = cdn.function().await;
    cdn.cloudfront
        .fail_after_next_of("CreateInvalidation", 503, "ServiceUnavailable", "gone");
    let answer = ask(&function, slack()).await;
    assert_eq!(answer["status"], "completed", "{answer}");
    assert_eq!(
        (cdn.cloudfront.billed(), &answer["billable_paths"]),
        (2, &json!(2))
    );
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
async fn a_distribution_is_found_on_the_second_page_by_exact_alias_before_wildcard() {
    let cdn = Cdn::new().await;
    let add = |id: &str, alias: &str| {
        let distribution = Distribution::new(id, "other").alias(alias);
        cdn.cloudfront.add(distribution);
    };
    cdn.cloudfront.remove(DISTRIBUTION);
    add("E1AAAAAAAAAAAA", "*.watchy.cloud");
    cdn.cloudfront
        .add(Distribution::new("E2AAAAAAAAAAAA", "other"));
    cdn.cloudfront.add(
        Distribution::new("E3AAAAAAAAAAAA", "other")
            .alias(DOMAIN)
            .staging(),
    );
    add("E4AAAAAAAAAAAA", "Releases.Watchy.Cloud");
    cdn.cloudfront.set_page(1);
    let function = cdn.function().await;
    assert_eq!(
        ask(&function, slack()).await["distribution_id"],
        "E4AAAAAAAAAAAA"
    );
    let other = json!({ "domain": "www.watchy.cloud", "paths": ["/"] });
    assert_eq!(
        ask(&function, other).await["distribution_id"],
        "E1AAAAAAAAAAAA"
    );
    let pages = |cdn: &Cdn| {
        cdn.cloudfront
            .requests()
            .iter()
            .filter(|it| it.operation == "ListDistributions")
            .count()
    };
    assert_eq!(pages(&cdn), 4, "all pages once, for both");
    let unknown = json!({ "domain": "nobody.example.com", "paths": ["/"] });
    let answer = ask(&function, unknown).await;
    assert_eq!(answer["status"], "failed");
    let error = answer["error"].as_str().unwrap();
    assert!(
        error.contains("serves nobody.example.com")
            && error.contains("E1AAAAAAAAAAAA (*.watchy.cloud)"),
        "{error}"
    );
    assert_eq!(pages(&cdn), 8, "one that is not there may be new");
}

#[tokio::test]
async fn a_distribution_that_was_replaced_is_looked_up_anew() {
    let cdn = Cdn::new().await;
    let function = cdn.function().await;
    ask(&function, slack()).await;
    cdn.cloudfront.remove(DISTRIBUTION);
    cdn.cloudfront
        .add(Distribution::new("E9AAAAAAAAAAAA", "other").alias(DOMAIN));
    let answer = ask(&function, paths(&["/a"])).await;
    assert_eq!(
        (&answer["distribution_id"], &answer["status"]),
        (&json!("E9AAAAAAAAAAAA"), &json!("completed"))
    );
}

#[tokio::test]
async fn the_settings_distribution_stands_for_their_domains_and_for_no_other() {
    let cdn = Cdn::new().await;
    cdn.cloudfront
        .add(Distribution::new("E1AAAAAAAAAAAA", "other").alias("other.example.com"));
    let config = cdn
        .config()
        .env("DISTRIBUTION_ID", DISTRIBUTION)
        .env("RELEASES_DOMAIN", "not.an.alias");
    let function = create(config).await;
    assert_eq!(
        ask(&function, slack()).await["distribution_id"],
        DISTRIBUTION
    );
    assert!(
        cdn.cloudfront
            .requests()
            .iter()
            .all(|it| it.operation != "ListDistributions")
    );
    let other = json!({ "domain": "other.example.com", "paths": ["/"] });
    assert_eq!(
        ask(&function, other).await["distribution_id"],
        "E1AAAAAAAAAAAA"
    );
}

#[tokio::test]
async fn templates_are_where_the_settings_say() {
    let cdn = Cdn::new().await;
    let templates = json!({ "templates": true, "version": "1" });
    let nowhere = cdn.function().await;
    let (kind, message) = refused(&nowhere, templates.clone()).await;
    assert!(
        kind == "BadRequest" && message.contains("TEMPLATES_DOMAIN"),
        "{message}"
    );
    let function = create(cdn.config().env("TEMPLATES_DOMAIN", DOMAIN)).await;
    let answer = ask(&function, templates).await;
    assert_eq!(
        (&answer["paths"], &answer["billable_paths"]),
        (&json!(["/customer-templates/*"]), &json!(1))
    );
}

#[tokio::test]
async fn tags_are_items_where_the_distribution_has_them() {
    let cdn = Cdn::new().await;
    let function = cdn.function().await;
    let (kind, message) = refused(&function, paths(&["#v1"])).await;
    assert!(
        kind == "BadRequest"
            && message.contains("#v1 is a tag, and E2BX1E7RR7IV8R has no cache tags"),
        "{message}"
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
async fn more_than_a_distribution_takes_is_refused_at_once() {
    let cdn = Cdn::new().await;
    let function = cdn.function().await;
    let many: Vec<_> = (0..3_001).map(|n| format!("/{n}")).collect();
    let (kind, message) = refused(&function, json!({ "domain": DOMAIN, "paths": many })).await;
    assert!(
        kind == "BadRequest" && message.contains("3001 paths and 0 wildcards"),
        "{message}"
    );
    let wild: Vec<_> = (0..14).map(|n| format!("/{n:02}/*")).collect();
    let (kind, message) = refused(&function, json!({ "domain": DOMAIN, "paths": wild })).await;
    assert!(
        kind == "BadRequest" && message.contains("14 wildcards"),
        "{message}"
    );
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

#[tokio::test]
async fn an_object_is_cleared_from_all_that_serve_its_bucket_under_the_path_that_each_has() {
    let cdn = Cdn::new().await;
    cdn.cloudfront
        .add(Distribution::new("E1AAAAAAAAAAAA", &cdn.bucket).origin_path("/prod"));
    let function = cdn.function().await;
    let answer = ask(
        &function,
        object_event(&cdn.bucket, "prod/ä b.html", "2026-11-27T04:00:00Z"),
    )
    .await;
    let of = |answer: &Value| (answer["distribution_id"].clone(), answer["paths"].clone());
    assert_eq!(
        of(&answer),
        (json!(DISTRIBUTION), json!(["/prod/%C3%A4%20b.html"]))
    );
    assert_eq!(
        of(&answer["others"][0]),
        (json!("E1AAAAAAAAAAAA"), json!(["/%C3%A4%20b.html"]))
    );
    let elsewhere = ask(
        &function,
        object_event(&cdn.bucket, "test/a", "2026-11-27T04:00:00Z"),
    )
    .await;
    assert_eq!(
        (of(&elsewhere).0, &elsewhere["others"]),
        (json!(DISTRIBUTION), &Value::Null)
    );
}

#[tokio::test]
async fn a_version_that_is_written_for_the_first_time_needs_nothing() {
    let cdn = Cdn::new().await;
    let function = cdn.function().await;
    let key = "binaries/slack-monitor/watchy-slack-monitor-2025.08.31.200811-da23b42";
    let mut event = object_event(&cdn.bucket, key, "2026-11-27T04:00:00Z");
    let answer = ask(&function, event.clone()).await;
    assert_eq!(
        (&answer["status"], &answer["paths"]),
        (&json!("skipped"), &json!([]))
    );
    event["detail-type"] = json!("Object Deleted");
    assert_eq!(
        ask(&function, event).await["paths"],
        json!([format!("/{key}")])
    );
    assert_eq!(cdn.cloudfront.billed(), 1);
}
