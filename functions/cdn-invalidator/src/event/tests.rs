use serde_json::json;

use super::*;

fn parse(event: Value) -> Result<Event, String> {
    serde_json::from_value(event).map_err(|error| error.to_string())
}

fn object(kind: &str, detail: &Value) -> Value {
    json!({ "version": "0", "id": "17793124-05d4-b198-2fde-7ededc63b103", "detail-type": kind, "source": "aws.s3",
        "account": "111122223333", "time": "2026-11-12T00:00:00Z", "region": "us-east-1",
        "resources": ["arn:aws:s3:::releases"], "detail": detail })
}

fn created(key: &str, sequencer: &str) -> Value {
    object(
        "Object Created",
        &json!({ "version": "0", "bucket": { "name": "releases" }, "reason": "PutObject",
            "object": { "key": key, "size": 5, "etag": "b57f9512698f4b09e608f4f2a65852e5", "sequencer": sequencer } }),
    )
}

#[test]
fn a_monitor_all_templates_and_paths_are_told_apart() {
    let monitor = parse(json!({ "monitor": "slack", "version": "2025.08.31.200811-da23b42" }));
    let expected = Direct {
        what: What::Monitor("slack".to_owned()),
        version: Some("2025.08.31.200811-da23b42".to_owned()),
        wait: false,
    };
    assert_eq!(monitor, Ok(Event::Direct(expected)));
    let templates = parse(json!({ "templates": true, "wait": true }));
    assert!(matches!(
        templates,
        Ok(Event::Direct(Direct {
            what: What::Templates,
            wait: true,
            ..
        }))
    ));
    let paths = parse(json!({ "domain": "releases.watchy.cloud", "paths": ["/a", "/b/*", "#v1"] }));
    let Ok(Event::Direct(Direct {
        what: What::Paths { items, .. },
        ..
    })) = paths
    else {
        panic!("{paths:?}");
    };
    assert_eq!(items.len(), 3);
    let status =
        json!({ "distribution_id": "E2BX1E7RR7IV8R", "invalidation_id": "I2J0I21PCUYOIK" });
    assert!(matches!(
        parse(json!({ "status": status })),
        Ok(Event::Status(_))
    ));
}

#[test]
fn an_objects_change_has_an_identity_that_outlives_being_told_twice() {
    let Ok(Event::Object(first)) = parse(created("a b/ü", "0062E99A88DC407460")) else {
        panic!("no object");
    };
    assert_eq!(
        (first.bucket.as_str(), first.key.as_str(), first.change),
        ("releases", "a b/ü", Change::Created)
    );
    let mut again = created("a b/ü", "0062E99A88DC407460");
    again["id"] = json!("another");
    assert_eq!(parse(again), Ok(Event::Object(first.clone())));
    let Ok(Event::Object(later)) = parse(created("a b/ü", "0062E99A88DC407461")) else {
        panic!("no object");
    };
    assert_ne!(later.identity, first.identity);
    let deleted = object(
        "Object Deleted",
        &json!({ "bucket": { "name": "b" }, "object": { "key": "k" } }),
    );
    assert!(matches!(
        parse(deleted),
        Ok(Event::Object(Object {
            change: Change::Deleted,
            ..
        }))
    ));
}

#[test]
fn one_wrong_message_is_no_matter_of_the_others() {
    let record = |id: &str, body: String| json!({ "messageId": id, "body": body, "eventSource": "aws:sqs", "attributes": {} });
    let direct = json!({ "monitor": "slack" }).to_string();
    let batch = parse(json!({ "Records": [
        record("1", created("a", "1").to_string()), record("2", "nonsense".to_owned()), record("3", direct),
        record("4", json!({ "status": { "distribution_id": "E", "invalidation_id": "I" } }).to_string()),
    ] }));
    let Ok(Event::Batch(messages)) = batch else {
        panic!("{batch:?}");
    };
    let good: Vec<_> = messages
        .iter()
        .map(|message| message.body.is_ok())
        .collect();
    assert_eq!(good, [true, false, true, false]);
    assert!(
        parse(json!({ "Records": [{ "eventSource": "aws:s3" }] }))
            .unwrap_err()
            .contains("by EventBridge")
    );
}

#[test]
fn what_is_wrong_is_named_with_its_value() {
    let paths = |paths: Value| json!({ "domain": "a.example", "paths": paths });
    let many = vec!["/a"; 3_016];
    for (event, said) in [
        (json!({}), "`monitor`, `templates` or `paths` is missing"),
        (
            json!({ "monitor": "../x" }),
            "\"../x\" is not a monitor's name",
        ),
        (
            json!({ "monitor": "slack", "version": "a/b" }),
            "`version`: \"a/b\"",
        ),
        (
            json!({ "monitor": "slack", "path": "/a" }),
            "unknown field `path`",
        ),
        (
            json!({ "monitor": "slack", "templates": true }),
            "exclude each other",
        ),
        (
            json!({ "monitor": "slack", "domain": "a.example" }),
            "`domain` goes with `paths`",
        ),
        (json!({ "templates": false }), "`templates` is false"),
        (
            json!({ "templates": true, "wait": "yes" }),
            "`wait` is \"yes\"",
        ),
        (json!({ "paths": ["/a"] }), "`domain` is missing"),
        (
            json!({ "domain": "https://a", "paths": ["/a"] }),
            "\"https://a\" is not a domain's name",
        ),
        (paths(json!("/a")), "`paths` is \"/a\", not a list"),
        (paths(json!([])), "has 0 paths"),
        (paths(json!(many)), "has 3016 paths"),
        (
            paths(json!(["/a,/b"])),
            "\"/a,/b\" looks like several paths",
        ),
        (
            paths(json!(["/ok", "b", "/*.png"])),
            "\"b\" begins with neither",
        ),
        (
            paths(json!(["/ok", "b", "/*.png"])),
            "\"/*.png\" has `*` before its end",
        ),
        (
            json!({ "status": { "distribution_id": "E/1", "invalidation_id": "I" } }),
            "\"E/1\" is no id",
        ),
        (
            json!({ "status": { "distribution_id": "E1" } }),
            "`status.invalidation_id` is missing",
        ),
        (
            json!({ "status": { "distribution_id": "E1", "invalidation_id": "I", "x": 1 } }),
            "unknown field `x`",
        ),
        (object("Object Restored", &json!({})), "Object Restored"),
        (
            object("Object Created", &json!({ "bucket": { "name": "b" } })),
            "`detail.object.key` is missing",
        ),
        (
            json!({ "detail-type": "Scheduled Event", "source": "aws.events" }),
            "\"Scheduled Event\"",
        ),
    ] {
        let error = parse(event.clone()).unwrap_err();
        assert!(error.contains(said), "{event}: {error}");
    }
}

#[test]
fn what_a_rule_prunes_is_told_from_what_is_deleted() {
    let change = |reason: &str, deletion: &str, version: Option<&str>| {
        let detail = json!({ "bucket": { "name": "releases" }, "reason": reason, "deletion-type": deletion,
            "object": { "key": "a", "version-id": version, "sequencer": "1" } });
        let Ok(Event::Object(object)) = parse(object("Object Deleted", &detail)) else {
            panic!("{detail}");
        };
        object.change
    };
    let (rule, gone, marked) = (
        "Lifecycle Expiration",
        "Permanently Deleted",
        "Delete Marker Created",
    );
    assert_eq!(change(rule, gone, Some("v1")), Change::Pruned);
    assert_eq!(change(rule, gone, None), Change::Deleted, "no versions");
    assert_eq!(change(rule, marked, Some("v1")), Change::Deleted);
    assert_eq!(change("DeleteObject", gone, Some("v1")), Change::Deleted);
}
