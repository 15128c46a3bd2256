//! cdn-invalidator under the very policy of the template, and under none: by a moto that checks policies, and by what it asks of
//! CloudFront.

use std::{collections::BTreeSet, time::Duration};

use local_aws::{
    cloudfront::{CloudFront, Distribution},
    lambda::{Config, TMP},
    moto::Moto,
};
use serde_json::{Value, json};

use crate::{
    cdn_world::{DISTRIBUTION, DOMAIN, batch, object_event},
    clients::said,
    policies::{Meanings, policy},
    world::{ask, create, program, refused},
};

const BUCKET: &str = "guarded";
const TABLE: &str = "invalidations";

/// A moto that checks policies, and the function with a user's keys: one may what the template says, the other one nothing.
struct Guarded {
    _moto: Moto,
    cloudfront: CloudFront,
    allowed: Config,
    nobody: Config,
    /// What the policy allows of CloudFront.
    of_cloudfront: BTreeSet<String>,
}

async fn guarded() -> Guarded {
    let moto = Moto::start().unwrap();
    let cloudfront = CloudFront::start().await.unwrap();
    cloudfront.set_delay(Duration::from_hours(1));
    cloudfront.add(
        Distribution::new(DISTRIBUTION, BUCKET)
            .alias(DOMAIN)
            .tags("cache-tag"),
    );
    let (policy, of_cloudfront) = allowed();
    let arguments = [moto.url(), &policy.to_string(), BUCKET, TABLE, "queue"];
    let told = said("guard_cdn.py", &arguments).await;
    let mut lines = told.lines();
    let queue = lines.next().unwrap();
    let mut user = || {
        let (key, secret) = lines.next().unwrap().split_once(' ').unwrap();
        Config::new("cdn-invalidator", program("cdn-invalidator"))
            .env("AWS_ENDPOINT_URL", moto.url())
            .env("AWS_ENDPOINT_URL_CLOUDFRONT", cloudfront.url())
            .env("AWS_ACCESS_KEY_ID", key)
            .env("AWS_SECRET_ACCESS_KEY", secret)
            .env("AWS_SESSION_TOKEN", "")
            .env("CACHE_DIR", TMP)
            .env("INVALIDATIONS_TABLE", TABLE)
            .env("RETRY_QUEUE_URL", queue)
    };
    let (allowed, nobody) = (user(), user());
    Guarded {
        _moto: moto,
        cloudfront,
        allowed,
        nobody,
        of_cloudfront,
    }
}

/// The policy, as moto understands it; and what it allows of CloudFront.
fn allowed() -> (Value, BTreeSet<String>) {
    let meanings = Meanings::from([
        ("HasDistribution", String::new()),
        ("DistributionId", DISTRIBUTION.to_owned()),
        ("ReleasesBucket", BUCKET.to_owned()),
        (
            "Invalidations.Arn",
            format!("arn:aws:dynamodb:us-east-1:123456789012:table/{TABLE}"),
        ),
        (
            "InvalidationQueue.Arn",
            "arn:aws:sqs:us-east-1:123456789012:queue".to_owned(),
        ),
    ]);
    let mut policy = policy("CdnInvalidatorRole", &meanings);
    let mut of_cloudfront = BTreeSet::new();
    for statement in policy["Statement"].as_array_mut().unwrap() {
        let of = statement["Resource"].to_string();
        let actions = statement["Action"].as_array().unwrap().iter();
        let actions: Vec<_> = actions.map(|action| action.as_str().unwrap()).collect();
        assert!(
            actions == ["cloudfront:ListDistributions"] || !of.contains('*'),
            "{of}"
        );
        of_cloudfront.extend(
            actions
                .iter()
                .filter_map(|action| Some(action.strip_prefix("cloudfront:")?.to_owned())),
        );
        if actions.contains(&"dynamodb:PutItem") && actions.contains(&"dynamodb:UpdateItem") {
            // AWS asks whether the parts of a transaction are allowed ("IAM and transactions"), moto whether it itself is.
            let transaction = json!("dynamodb:TransactWriteItems");
            statement["Action"]
                .as_array_mut()
                .unwrap()
                .push(transaction);
        }
        if !of.contains(":s3:") {
            // moto knows resources of S3 alone.
            statement["Resource"] = json!("*");
        }
    }
    (policy, of_cloudfront)
}

#[tokio::test]
async fn the_templates_policy_is_enough_for_all_that_the_function_does_and_no_more() {
    let guarded = guarded().await;
    let function = create(guarded.allowed).await;
    let answer = ask(&function, json!({ "monitor": "slack", "version": "1" })).await;
    assert_eq!(
        (&answer["status"], &answer["month_billable_paths"]),
        (&json!("submitted"), &json!(2)),
        "{answer}"
    );
    let status =
        json!({ "distribution_id": DISTRIBUTION, "invalidation_id": answer["invalidation_id"] });
    assert_eq!(
        ask(&function, json!({ "status": status })).await["status"],
        "submitted"
    );
    // So many that their folder is listed, and what is in progress is looked at.
    let event = |n: usize| object_event(BUCKET, &format!("a/{n}"), "2026-11-27T04:00:00Z");
    let bodies: Vec<_> = (0..30).map(|n| ("id", event(n).to_string())).collect();
    let answer = ask(&function, batch(&bodies)).await;
    let invalidation = &answer["invalidations"][0];
    assert_eq!(invalidation["paths"], json!(["/a/*"]), "{answer}");
    assert_eq!(invalidation["month_billable_paths"], 3);
    let tags = json!({ "domain": DOMAIN, "paths": ["#a"] });
    assert_eq!(ask(&function, tags).await["billable_paths"], 1);
    let asked = guarded
        .cloudfront
        .requests()
        .into_iter()
        .map(|request| request.operation.to_owned());
    assert_eq!(asked.collect::<BTreeSet<_>>(), guarded.of_cloudfront);
    // The queue takes what is put off.
    let wild: Vec<_> = (0..13).map(|n| format!("/{n:02}/*")).collect();
    let answer = ask(&function, json!({ "domain": DOMAIN, "paths": wild })).await;
    assert!(
        answer["error"]
            .as_str()
            .unwrap()
            .starts_with("put off for a minute"),
        "{answer}"
    );
}

#[tokio::test]
async fn without_table_bucket_and_queue_what_changed_is_cleared_all_the_same() {
    let guarded = guarded().await;
    let function = create(guarded.nobody).await;
    let answer = ask(&function, json!({ "monitor": "slack", "version": "1" })).await;
    assert_eq!(
        (&answer["status"], &answer["billable_paths"]),
        (&json!("submitted"), &json!(2)),
        "{answer}"
    );
    let event = |n: usize| object_event(BUCKET, &format!("a/{n}"), "2026-11-27T04:00:00Z");
    let bodies: Vec<_> = (0..30).map(|n| ("id", event(n).to_string())).collect();
    let answer = ask(&function, batch(&bodies)).await;
    let paths = answer["invalidations"][0]["paths"].as_array().unwrap();
    assert_eq!(
        paths.len(),
        30,
        "each is an item of its own where nobody knows what else is there"
    );
    // What cannot be put off is told.
    guarded.cloudfront.fail_next_of(
        "CreateInvalidation",
        400,
        "TooManyInvalidationsInProgress",
        "too many",
    );
    let answer = ask(&function, json!({ "monitor": "zoom" })).await;
    assert!(
        answer["error"]
            .as_str()
            .unwrap()
            .ends_with("ask again in a minute"),
        "{answer}"
    );
    let (kind, _) = refused(&function, json!({ "monitor": "../x" })).await;
    assert_eq!(kind, "BadRequest");
}
