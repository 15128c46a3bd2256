//! cdn-invalidator behind its queue: what comes together is one invalidation, what failed comes again, what was done is not done again.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream};
use local_aws::event_source::Batching;
use serde_json::{Value, json};

use crate::{
    cdn_world::{Cdn, DISTRIBUTION, DOMAIN, batch, batch_of, object_event, version},
    world::{ask, create},
};

const QUICK: Batching = Batching {
    size: 1_000,
    window: Duration::from_secs(1),
};

/// A few at a time: moto answers one after the other, and whoever waits for too long gives up.
async fn put_many(cdn: &Cdn, keys: impl Iterator<Item = String>) {
    let puts = keys.map(async |key| cdn.put(&key, "1").await);
    stream::iter(puts).buffer_unordered(4).collect::<()>().await;
}

fn failures(answer: &Value) -> Vec<&str> {
    let failures = answer["batchItemFailures"].as_array().unwrap();
    failures
        .iter()
        .map(|failure| failure["itemIdentifier"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_burst_of_events_is_one_invalidation_or_few() {
    let cdn = Cdn::patient().await;
    // What does not change: no wildcard may clear it while paths are free.
    put_many(
        &cdn,
        ["site/kept.html", "other/kept.html"]
            .map(str::to_owned)
            .into_iter(),
    )
    .await;
    cdn.route().await;
    let function = create(cdn.with_queue()).await;
    put_many(&cdn, (0..499).map(|n| format!("site/pages/{n}.html"))).await;
    put_many(&cdn, ["site/index.html".to_owned()].into_iter()).await;
    let all = Batching {
        size: 500,
        window: Duration::from_mins(1),
    };
    let source = cdn.deliver(&function, all);
    source.settled(500).await.unwrap();
    let made = cdn.made();
    assert!(
        (1..=3).contains(&made.len()),
        "{} invalidations",
        made.len()
    );
    let items: std::collections::BTreeSet<_> = made.iter().flatten().map(String::as_str).collect();
    assert_eq!(
        items.into_iter().collect::<Vec<_>>(),
        ["/site/index.html", "/site/pages/*"]
    );
    assert!(cdn.cloudfront.billed() <= 4, "{}", cdn.cloudfront.billed());
}

#[tokio::test]
async fn a_repeated_event_bills_nothing_twice_in_whatever_batch_it_comes() {
    let cdn = Cdn::new().await;
    let function = cdn.function().await;
    let event = |key: &str| object_event(&cdn.bucket, key, "2026-11-27T04:00:00Z").to_string();
    let first = ask(
        &function,
        batch(&[("1", event("a")), ("2", event("b")), ("3", event("a"))]),
    )
    .await;
    assert_eq!(failures(&first), [""; 0]);
    assert_eq!(first["invalidations"][0]["paths"], json!(["/a", "/b"]));
    function.fresh().await;
    for bodies in [
        vec![("4", event("b"))],
        vec![("1", event("a")), ("2", event("b"))],
        vec![("5", event("b")), ("6", event("c"))],
    ] {
        let again = ask(&function, batch(&bodies)).await;
        assert_eq!(failures(&again), [""; 0]);
    }
    assert_eq!(
        cdn.made(),
        [
            vec!["/a".to_owned(), "/b".to_owned()],
            vec!["/c".to_owned()]
        ]
    );
    // A later change of the same object is another.
    let later = object_event(&cdn.bucket, "b", &jiff::Timestamp::now().to_string());
    let answer = ask(&function, batch(&[("7", later.to_string())])).await;
    assert_eq!(answer["invalidations"][0]["paths"], json!(["/b"]));
    assert_eq!(cdn.cloudfront.billed(), 4);
}

#[tokio::test]
async fn what_a_pipeline_has_cleared_is_not_cleared_again_when_s3_tells_of_it() {
    let cdn = Cdn::new().await;
    let function = cdn.function().await;
    let templates = json!({ "domain": DOMAIN, "paths": ["/customer-templates/*", "/a"] });
    assert_eq!(ask(&function, templates).await["billable_paths"], 2);
    let event = |key: &str| object_event(&cdn.bucket, key, "2026-11-27T04:00:00Z").to_string();
    let answer = ask(
        &function,
        batch(&[
            ("1", event("customer-templates/x/y.yaml")),
            ("2", event("a")),
        ]),
    )
    .await;
    assert_eq!(
        (
            &answer["invalidations"][0]["status"],
            failures(&answer).len()
        ),
        (&json!("skipped"), 0)
    );
    assert_eq!(cdn.cloudfront.billed(), 2);
}

#[tokio::test]
async fn the_failed_messages_and_only_those_come_back() {
    let cdn = Cdn::new().await;
    let function = cdn.function().await;
    let event =
        |bucket: &str, key: &str| object_event(bucket, key, "2026-11-27T04:00:00Z").to_string();
    let bodies = [
        ("good", event(&cdn.bucket, "a")),
        ("nonsense", "{".to_owned()),
        ("nobody's", event("elsewhere", "a")),
        ("a star", event(&cdn.bucket, "t/a*b.yaml")),
        ("a plus", event(&cdn.bucket, "t/c+d.yaml")),
        ("a blank", event(&cdn.bucket, "t/e f.yaml")),
        (
            "immutable",
            event(&cdn.bucket, "binaries/x-monitor/watchy-x-monitor-1.0"),
        ),
        (
            "direct",
            json!({ "monitor": "zoom", "version": "1" }).to_string(),
        ),
        (
            "status",
            json!({ "status": { "distribution_id": "E1", "invalidation_id": "I1" } }).to_string(),
        ),
    ];
    let answer = ask(&function, batch(&bodies)).await;
    assert_eq!(failures(&answer), ["nonsense", "nobody's", "status"]);
    let expected = [
        "/a",
        "/binaries/zoom-monitor/metadata.json",
        "/binaries/zoom-monitor/watchy-zoom-monitor-latest",
        "/t/a*",
        "/t/c%2Bd.yaml",
        "/t/c+d.yaml",
        "/t/e%20f.yaml",
        "/t/e+f.yaml",
    ];
    assert_eq!(answer["invalidations"][0]["paths"], json!(expected));
    // A refusal fails all of a distribution's messages, and no others.
    cdn.cloudfront
        .fail_next_of("CreateInvalidation", 403, "AccessDenied", "no");
    let bodies = [
        ("1", event(&cdn.bucket, "x")),
        ("2", event(&cdn.bucket, "y")),
        ("3", event(&cdn.bucket, "a")),
    ];
    let answer = ask(&function, batch(&bodies)).await;
    assert_eq!(
        failures(&answer),
        ["1", "2"],
        "the third was cleared before"
    );
}

#[tokio::test]
async fn a_message_that_cannot_succeed_ends_where_somebody_looks_at_it() {
    let cdn = Cdn::new().await;
    let function = cdn.function().await;
    cdn.queue.send("not one of ours").await.unwrap();
    cdn.queue
        .send(&json!({ "domain": DOMAIN, "paths": ["/a"] }).to_string())
        .await
        .unwrap();
    let source = cdn.deliver(&function, QUICK);
    let until = std::time::Instant::now() + Duration::from_mins(1);
    while cdn.dead.counts().await.unwrap().visible == 0 {
        assert!(
            std::time::Instant::now() < until,
            "after {} messages",
            source.messages()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(cdn.made(), [["/a"]]);
}

#[tokio::test]
async fn what_was_put_off_is_done_once_there_is_room() {
    let cdn = Cdn::new().await;
    let function: Arc<_> = create(cdn.with_queue()).await;
    cdn.cloudfront.fail_next_of(
        "CreateInvalidation",
        400,
        "TooManyInvalidationsInProgress",
        "too many",
    );
    cdn.queue
        .send(&json!({ "domain": DOMAIN, "paths": ["/a"], "version": "7" }).to_string())
        .await
        .unwrap();
    let source = cdn.deliver(&function, QUICK);
    source.settled(2).await.unwrap();
    assert_eq!(
        (source.failed(), cdn.made()),
        (1, vec![vec!["/a".to_owned()]])
    );
    let invalidations = cdn.cloudfront.invalidations(DISTRIBUTION);
    assert_eq!(invalidations.len(), 1);
}

#[tokio::test]
async fn one_message_that_cannot_be_had_costs_the_others_nothing() {
    let cdn = Cdn::new().await;
    let function = cdn.function().await;
    let event = |key: String| object_event(&cdn.bucket, &key, "2026-11-27T04:00:00Z").to_string();
    let tag = json!({ "domain": DOMAIN, "paths": ["#t"] }).to_string();
    let wild: Vec<_> = (0..14).map(|n| format!("/{n:02}/*")).collect();
    let wild = json!({ "domain": DOMAIN, "paths": wild }).to_string();
    let bodies = [
        ("1", event("a".to_owned())),
        ("a tag, where there are none", tag),
        ("3", event("b".to_owned())),
        ("4", event("c".to_owned())),
        ("more wildcards than there may be", wild),
    ];
    let answer = ask(&function, batch(&bodies)).await;
    assert_eq!(
        failures(&answer),
        [
            "a tag, where there are none",
            "more wildcards than there may be"
        ]
    );
    let items: Vec<_> = cdn.made().into_iter().flatten().collect();
    assert_eq!(items, ["/a", "/b", "/c"]);
}

#[tokio::test]
async fn what_was_put_off_is_no_repetition_of_what_comes_back() {
    let cdn = Cdn::new().await;
    let function = cdn.function().await;
    assert_eq!(ask(&function, version("2")).await["status"], "completed");
    // Version 1 was ordered before, and is done only now, of objects that are version 2's.
    let late = ask(&function, batch(&[("m", version("1").to_string())])).await;
    assert_eq!(late["invalidations"][0]["status"], "completed");
    let again = ask(&function, batch(&[("m", version("1").to_string())])).await;
    assert_eq!(again["invalidations"][0]["status"], "skipped", "told twice");
    // Told twice among others, or after the bucket's own events: whatever was cleared since it was sent has cleared it.
    let earlier = jiff::Timestamp::now() - Duration::from_secs(5);
    let event = object_event(&cdn.bucket, "other", &earlier.to_string()).to_string();
    let bodies = [("m", version("1").to_string()), ("e", event)];
    let again = ask(&function, batch_of(earlier, &bodies)).await;
    assert_eq!(again["invalidations"][0]["paths"], json!(["/other"]));
    assert_eq!(ask(&function, version("1")).await["status"], "completed");
}

#[tokio::test]
async fn once_paths_are_paid_few_of_a_folder_are_weighed_against_what_else_is_there() {
    let cdn = Cdn::new().await;
    let domain = cdn.config().env("TEMPLATES_DOMAIN", DOMAIN);
    let function = create(domain.env("FREE_PATHS_PER_MONTH", "0")).await;
    let keys = |folder: &'static str, from: usize, to: usize| {
        (from..to).map(move |n| format!("customer-templates/{folder}/{n:04}.yaml"))
    };
    put_many(&cdn, keys("small", 0, 5).chain(keys("large", 0, 300))).await;
    let changed = async |keys: Vec<String>| {
        let event = |key: &String| object_event(&cdn.bucket, key, "2026-11-27T04:00:00Z");
        let bodies: Vec<_> = keys
            .iter()
            .map(|key| ("1", event(key).to_string()))
            .collect();
        ask(&function, batch(&bodies)).await["invalidations"][0]["paths"].clone()
    };
    let small = changed(keys("small", 0, 3).collect()).await;
    assert_eq!(small, json!(["/customer-templates/small/000*"]));
    // Two items cost less than what all others of the folder are worth.
    let [first, last] = [0, 299].map(|n| format!("customer-templates/large/{n:04}.yaml"));
    let paths = json!([format!("/{first}"), format!("/{last}")]);
    assert_eq!(changed(vec![first, last]).await, paths);
}

#[tokio::test]
async fn a_wildcard_without_room_keeps_no_path_waiting() {
    let cdn = Cdn::new().await;
    let function = create(cdn.config().env("MAX_WILDCARDS", "1")).await;
    cdn.cloudfront.set_delay(Duration::from_hours(1));
    let wide = |folder: &str| json!({ "domain": DOMAIN, "paths": [format!("/{folder}/*")] });
    assert_eq!(ask(&function, wide("busy")).await["status"], "submitted");
    let event = |key: &str| object_event(&cdn.bucket, key, "2026-11-27T04:00:00Z").to_string();
    let bodies = [
        ("1", event("a")),
        ("2", event("b")),
        ("wide", wide("more").to_string()),
        ("4", event("c")),
    ];
    assert_eq!(failures(&ask(&function, batch(&bodies)).await), ["wide"]);
    let items: Vec<_> = cdn.made().into_iter().skip(1).flatten().collect();
    assert_eq!(items, ["/a", "/b", "/c"]);
}

#[tokio::test]
async fn more_paths_than_there_is_room_for_keep_no_others_waiting() {
    let cdn = Cdn::new().await;
    let function = cdn.function().await;
    cdn.cloudfront.set_delay(Duration::from_hours(1));
    let many = |folder: &str, count: usize| {
        let paths: Vec<_> = (0..count).map(|n| format!("/{folder}/{n}")).collect();
        json!({ "domain": DOMAIN, "paths": paths })
    };
    assert_eq!(
        ask(&function, many("busy", 1_000)).await["status"],
        "submitted"
    );
    let event = |key: &str| object_event(&cdn.bucket, key, "2026-11-27T04:00:00Z").to_string();
    let bodies = [
        ("1", event("a")),
        ("many", many("more", 2_500).to_string()),
        ("3", event("b")),
    ];
    assert_eq!(failures(&ask(&function, batch(&bodies)).await), ["many"]);
    let items: Vec<_> = cdn.made().into_iter().skip(1).flatten().collect();
    assert_eq!(items, ["/a", "/b"]);
}

#[tokio::test]
async fn an_object_is_stale_in_no_spelling_that_readers_use() {
    let cdn = Cdn::new().await;
    let function = cdn.function().await;
    let objects = [
        ("t/a+b.yaml", &["/t/a%2Bb.yaml"][..]),
        ("t/c d.yaml", &["/t/c%20d.yaml", "/t/c+d.yaml"]),
        ("t/e+f g.yaml", &["/t/e%2Bf%20g.yaml", "/t/e%2Bf+g.yaml"]),
        ("t/h*i.yaml", &["/t/h*i.yaml", "/t/h%2Ai.yaml"]),
    ];
    for (key, paths) in objects {
        for version in ["1", "2"] {
            cdn.put(key, version).await;
            let now = jiff::Timestamp::now().to_string();
            let mut event = object_event(&cdn.bucket, key, &now);
            event["detail"]["object"]["sequencer"] = version.into();
            let answer = ask(&function, batch(&[(version, event.to_string())])).await;
            assert_eq!(failures(&answer), [""; 0], "{key}");
            for path in paths {
                let (body, cache) = cdn.read(path).await;
                assert_eq!(
                    (body.as_str(), cache.as_str()),
                    (version, "Miss from cloudfront"),
                    "{path}"
                );
            }
        }
    }
}
