//! What cdn-invalidator takes for a repetition, which costs nothing, and what has come back, which is cleared again.

use std::time::Duration;

use local_aws::cloudfront::Duplicates;
use serde_json::json;

use crate::{
    cdn_world::{Cdn, DOMAIN, paths, slack, version},
    world::{ask, create},
};

/// All that CloudFront may answer to a reference that was used before.
const SHAPES: [Duplicates; 3] = [
    Duplicates::First,
    Duplicates::Documented,
    Duplicates::Observed,
];

#[tokio::test]
async fn the_same_content_twice_is_one_invalidation() {
    for duplicates in SHAPES {
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
        cdn.start_over();
    }
}

#[tokio::test]
async fn without_a_table_fresh_environments_find_what_came_between_in_cloudfront_itself() {
    for duplicates in SHAPES {
        let cdn = Cdn::new().await;
        cdn.cloudfront.set_duplicates(duplicates);
        let function = create(cdn.config().env("INVALIDATIONS_TABLE", "")).await;
        let mut statuses = Vec::new();
        for event in [
            version("1"),
            version("1"),
            paths(&["/elsewhere"]),
            version("1"),
            version("2"),
            version("1"),
            version("1"),
        ] {
            // What tells an earlier invalidation from a new one is 5 s of clocks that differ.
            if statuses.len() == 5 {
                tokio::time::sleep(Duration::from_secs(6)).await;
            }
            let answer = ask(&function, event).await;
            statuses.push(answer["status"].as_str().unwrap().to_owned());
            function.fresh().await;
        }
        assert_eq!(statuses[4..6], ["completed", "completed"], "{duplicates:?}");
        // Version 1, what is elsewhere, version 2, and version 1 again: each once.
        let items: Vec<_> = cdn.made().iter().map(Vec::len).collect();
        assert_eq!(items, [2, 1, 2, 2], "{duplicates:?}");
    }
}

#[tokio::test]
async fn a_version_that_failed_in_between_is_not_taken_for_none() {
    let cdn = Cdn::new().await;
    let function = cdn.function().await;
    assert_eq!(ask(&function, version("1")).await["status"], "completed");
    cdn.cloudfront
        .fail_next_of("CreateInvalidation", 403, "AccessDenied", "not allowed");
    assert_eq!(ask(&function, version("2")).await["status"], "failed");
    function.fresh().await;
    // What edges have in the meantime is version 2, perhaps.
    assert_eq!(ask(&function, version("1")).await["status"], "completed");
    assert_eq!(ask(&function, version("1")).await["status"], "skipped");
    assert_eq!(cdn.cloudfront.billed(), 4);
}

#[tokio::test]
async fn a_wildcard_is_repeated_for_nothing_that_lies_elsewhere() {
    let cdn = Cdn::new().await;
    let function = cdn.function().await;
    let wide = json!({ "domain": DOMAIN, "paths": ["/a/*"], "version": "1" });
    assert_eq!(ask(&function, wide.clone()).await["status"], "completed");
    ask(&function, paths(&["/b/1", "/b/2"])).await;
    assert_eq!(ask(&function, wide.clone()).await["status"], "skipped");
    ask(&function, paths(&["/a/1"])).await;
    assert_eq!(ask(&function, wide).await["status"], "completed");
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
async fn what_others_have_cleared_since_is_seen_whatever_the_count_knows() {
    let cdn = Cdn::new().await;
    let alone = || create(cdn.config().env("INVALIDATIONS_TABLE", ""));
    // Two environments that know of nothing but their own, and one with the table.
    for ours in [alone().await, cdn.function().await] {
        let others = alone().await;
        let made = cdn.made().len();
        assert_eq!(ask(&ours, version("1")).await["status"], "completed");
        assert_eq!(ask(&others, paths(&["/x"])).await["status"], "completed");
        assert_eq!(ask(&ours, version("1")).await["status"], "skipped");
        assert_eq!(ask(&others, version("2")).await["status"], "completed");
        assert_eq!(ask(&ours, version("1")).await["status"], "completed");
        assert_eq!(ask(&ours, version("1")).await["status"], "skipped");
        assert_eq!(cdn.made().len() - made, 4);
        // Otherwise the second round would find what the first one has asked for.
        cdn.start_over();
    }
}

#[tokio::test]
async fn a_version_for_which_there_was_no_room_came_in_between() {
    let cdn = Cdn::new().await;
    let config = cdn.config().env("TEMPLATES_DOMAIN", DOMAIN);
    let function = create(config.env("MAX_WILDCARDS", "1")).await;
    let templates = |version: &str| json!({ "templates": true, "version": version });
    assert_eq!(ask(&function, templates("1")).await["status"], "completed");
    cdn.cloudfront.set_delay(Duration::from_secs(2));
    let busy = ask(&function, paths(&["/elsewhere/*"])).await;
    assert_eq!(busy["status"], "submitted");
    assert_eq!(ask(&function, templates("2")).await["status"], "failed");
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    cdn.cloudfront.set_delay(Duration::ZERO);
    assert_eq!(ask(&function, templates("1")).await["status"], "completed");
    assert_eq!(ask(&function, templates("1")).await["status"], "skipped");
}

#[tokio::test]
async fn what_came_while_an_order_was_under_way_is_seen_too() {
    let cdn = Cdn::new().await;
    let ours = cdn.function().await;
    let others = create(cdn.config().env("INVALIDATIONS_TABLE", "")).await;
    for _ in 0..2 {
        cdn.cloudfront
            .fail_next_of("CreateInvalidation", 503, "ServiceUnavailable", "later");
    }
    let other = async {
        let refused = || {
            let requests = cdn.cloudfront.requests();
            requests.iter().filter(|it| it.status == 503).count()
        };
        while refused() < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        ask(&others, version("2")).await
    };
    // Ours is asked for first, and made last: by then version 2 is there.
    let (first, second) = tokio::join!(ask(&ours, version("1")), other);
    assert_eq!(
        (&first["status"], &second["status"]),
        (&json!("completed"), &json!("completed"))
    );
    assert_eq!(ask(&ours, version("1")).await["status"], "completed");
    assert_eq!(ask(&ours, version("1")).await["status"], "skipped");
    assert_eq!(cdn.made().len(), 3);
}

#[tokio::test]
async fn however_much_was_cleared_elsewhere_a_repetition_is_known() {
    let cdn = Cdn::new().await;
    let function = cdn.function().await;
    assert_eq!(ask(&function, version("1")).await["status"], "completed");
    for n in 0..12 {
        ask(&function, paths(&[&format!("/{n}")])).await;
    }
    function.fresh().await;
    assert_eq!(ask(&function, version("1")).await["status"], "skipped");
    assert_eq!(cdn.cloudfront.billed(), 14);
}

#[tokio::test]
async fn a_table_that_cannot_be_read_is_not_taken_for_one_that_is_empty() {
    let cdn = Cdn::new().await;
    let function = create(cdn.config().env("INVALIDATIONS_TABLE", "missing")).await;
    for _ in 0..2 {
        assert_eq!(ask(&function, version("1")).await["status"], "completed");
    }
    assert_eq!(cdn.made().len(), 2);
}
