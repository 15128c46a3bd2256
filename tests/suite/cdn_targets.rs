//! Which distributions cdn-invalidator clears, and under which paths: by alias, by origin, by settings.

use std::time::Duration;

use local_aws::cloudfront::Distribution;
use serde_json::{Value, json};

use crate::{
    cdn_world::{Cdn, DISTRIBUTION, DOMAIN, batch, object_event, paths, slack},
    world::{ask, create, refused},
};

const OTHER: &str = "E1AAAAAAAAAAAA";
const AT: &str = "2026-11-27T04:00:00Z";

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
    // S3 takes a plus for a blank, and each spelling is cached by itself.
    let paths = json!(["/prod/%C3%A4%20b.html", "/prod/%C3%A4+b.html"]);
    assert_eq!(of(&answer), (json!(DISTRIBUTION), paths));
    let paths = json!(["/%C3%A4%20b.html", "/%C3%A4+b.html"]);
    assert_eq!(of(&answer["others"][0]), (json!("E1AAAAAAAAAAAA"), paths));
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

#[tokio::test]
async fn a_bucket_that_the_settings_name_is_cleared_everywhere_under_its_origins_path() {
    let cdn = Cdn::new().await;
    cdn.cloudfront.add(
        Distribution::new(OTHER, &cdn.bucket)
            .alias("other.example.com")
            .origin_path("/prod"),
    );
    let function = create(cdn.config().env("RELEASES_BUCKET", &cdn.bucket)).await;
    let release = "prod/binaries/slack-monitor/watchy-slack-monitor-1.0";
    let answer = ask(&function, object_event(&cdn.bucket, release, AT)).await;
    // Under the whole bucket's path it is nobody's release.
    assert_eq!(
        (&answer["paths"], &answer["others"]),
        (&json!([format!("/{release}")]), &Value::Null)
    );
    let answer = ask(&function, object_event(&cdn.bucket, "prod/a", AT)).await;
    assert_eq!(answer["paths"], json!(["/prod/a"]));
    assert_eq!(
        (
            &answer["others"][0]["distribution_id"],
            &answer["others"][0]["paths"]
        ),
        (&json!(OTHER), &json!(["/a"]))
    );
    // One that the settings name is the only one, under the same path.
    let config = cdn.config().env("RELEASES_BUCKET", &cdn.bucket);
    let alone = create(config.env("DISTRIBUTION_ID", OTHER)).await;
    let answer = ask(&alone, object_event(&cdn.bucket, "prod/b", AT)).await;
    assert_eq!(
        (
            &answer["distribution_id"],
            &answer["paths"],
            &answer["others"]
        ),
        (&json!(OTHER), &json!(["/b"]), &Value::Null)
    );
}

#[tokio::test]
async fn a_bucket_behind_something_else_is_the_settings_domains() {
    let cdn = Cdn::new().await;
    let proxied = Distribution::new(DISTRIBUTION, &cdn.bucket).alias(DOMAIN);
    cdn.cloudfront.add(proxied.origin("proxy.example.com"));
    let named = create(cdn.config().env("RELEASES_BUCKET", &cdn.bucket)).await;
    let answer = ask(&named, object_event(&cdn.bucket, "a", AT)).await;
    assert_eq!(
        (&answer["distribution_id"], &answer["paths"]),
        (&json!(DISTRIBUTION), &json!(["/a"]))
    );
    // Another one that has the bucket does not stand for that one.
    let preview = Distribution::new(OTHER, &cdn.bucket);
    cdn.cloudfront
        .add(preview.alias("preview.example.com").staging());
    named.fresh().await;
    let answer = ask(&named, object_event(&cdn.bucket, "b", AT)).await;
    assert_eq!(
        (
            &answer["distribution_id"],
            &answer["others"][0]["distribution_id"]
        ),
        (&json!(OTHER), &json!(DISTRIBUTION))
    );
    cdn.cloudfront.remove(OTHER);
    let unnamed = cdn.function().await;
    let (kind, _) = refused(&unnamed, object_event(&cdn.bucket, "a", AT)).await;
    assert_eq!(kind, "NotFound");
}

#[tokio::test]
async fn what_a_rule_of_the_bucket_prunes_clears_nothing() {
    let cdn = Cdn::new().await;
    let function = cdn.function().await;
    let mut event = object_event(&cdn.bucket, "a", AT);
    event["detail-type"] = json!("Object Deleted");
    event["detail"]["reason"] = json!("Lifecycle Expiration");
    event["detail"]["deletion-type"] = json!("Permanently Deleted");
    event["detail"]["object"]["version-id"] = json!("v1");
    let answer = ask(&function, batch(&[("1", event.to_string())])).await;
    assert_eq!(
        (&answer["batchItemFailures"], &answer["invalidations"]),
        (&json!([]), &json!([]))
    );
    event["detail"]["deletion-type"] = json!("Delete Marker Created");
    assert_eq!(ask(&function, event).await["paths"], json!(["/a"]));
}

#[tokio::test]
async fn a_service_that_never_answers_ends_as_an_answer_and_not_as_a_timeout() {
    let cdn = Cdn::new().await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let mut config = cdn.with_queue().env("AWS_ENDPOINT_URL_CLOUDFRONT", &url);
    config.timeout = Duration::from_secs(6);
    let function = create(config.clone()).await;
    let answer = ask(&function, slack()).await;
    let error = answer["error"].as_str().unwrap();
    assert!(
        answer["status"] == "submitted" && error.contains("put off for a minute: not done within"),
        "{answer}"
    );
    let status = json!({ "status": { "distribution_id": DISTRIBUTION, "invalidation_id": "I1" } });
    assert_eq!(ask(&function, status).await["status"], "failed");
    // The same where nothing has to be looked up.
    let known = create(config.env("DISTRIBUTION_ID", DISTRIBUTION)).await;
    let answer = ask(&known, slack()).await;
    assert!(
        answer["status"] == "submitted"
            && answer["error"]
                .as_str()
                .unwrap()
                .contains("not done within"),
        "{answer}"
    );
    let event = object_event(&cdn.bucket, "a", AT).to_string();
    let direct = paths(&["/a"]).to_string();
    let answer = ask(&function, batch(&[("1", event), ("2", direct)])).await;
    let failures = json!([{ "itemIdentifier": "1" }, { "itemIdentifier": "2" }]);
    assert_eq!(answer["batchItemFailures"], failures);
}

#[tokio::test]
async fn a_distribution_that_refuses_keeps_no_other_from_being_cleared() {
    let cdn = Cdn::new().await;
    cdn.cloudfront.add(Distribution::new(OTHER, &cdn.bucket));
    let function = cdn.function().await;
    cdn.cloudfront
        .fail_next_of("CreateInvalidation", 403, "AccessDenied", "not allowed");
    let event = object_event(&cdn.bucket, "a", AT);
    let (kind, _) = refused(&function, event.clone()).await;
    assert_eq!((kind.as_str(), cdn.made().len()), ("Upstream", 1));
    let answer = ask(&function, event).await;
    let mut statuses = [&answer["status"], &answer["others"][0]["status"]];
    statuses.sort_by_key(|status| status.as_str());
    assert_eq!(statuses, [&json!("completed"), &json!("skipped")]);
    assert_eq!(cdn.made().len(), 2);
}
