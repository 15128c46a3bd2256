//! A folder of templates: what changed is uploaded and cleared, and nothing else.

use serde_json::{Value, json};

use super::{DISTRIBUTION, DOMAIN, Desk, Ran, strings, uploaded};
use crate::cdn_world::read;

const JOURNAL: &str = "customer-templates/.larder-pending.json";

fn key(name: &str) -> String {
    format!("customer-templates/{name}")
}

impl Desk {
    async fn with_templates() -> Self {
        let desk = Self::new().await;
        for n in 0..4 {
            desk.write(&format!("folder/slack/{n}.yaml"), format!("Resources: {n}"));
        }
        desk.write("folder/readme.html", "<p>");
        desk.write("folder/.hidden", "secret");
        desk
    }

    async fn templates(&self, more: &[&str]) -> Ran {
        let bucket = self.world.bucket.as_str();
        let all = ["templates", "--dir", "folder", "--bucket", bucket, "--json"];
        self.run(&[&all[..], more].concat()).await
    }

    /// Reads through the edge, which keeps it.
    async fn visit(&self, name: &str) {
        let url = format!("{}/{}", self.world.edge.url(), key(name));
        assert_eq!(read(&url).await.1, "Hit from cloudfront", "{name}");
    }
}

#[tokio::test]
async fn only_what_changed_is_uploaded_and_cleared() {
    let desk = Desk::with_templates().await;
    let url = desk.world.edge.url();
    let direct = [
        "--distribution",
        DISTRIBUTION,
        "--url",
        &url,
        "--verify",
        "--strict",
    ];
    let first = desk.templates(&direct).await.json();
    assert_eq!(first["uploaded"].as_array().unwrap().len(), 5);
    assert_eq!(
        first["invalidation"]["status"], "skipped",
        "nobody has what is new"
    );
    assert_eq!(first["published"]["new"], 5);
    assert_eq!(first["verified"], true);
    let head = desk.s3.head_object().bucket(&desk.world.bucket);
    let head = head.key(key("slack/1.yaml")).send().await.unwrap();
    assert_eq!(head.content_type(), Some("application/yaml"));
    assert_eq!(head.cache_control(), Some("public, max-age=300"));
    assert!(!desk.objects().await.contains_key(&key(".hidden")));

    assert_eq!(uploaded(&desk.templates(&direct).await.json()), [""; 0]);
    for name in ["slack/1.yaml", "slack/2.yaml"] {
        desk.visit(name).await;
    }
    desk.write("folder/slack/1.yaml", "Resources: x");
    let changed = desk.templates(&direct).await.json();
    assert_eq!(uploaded(&changed), [key("slack/1.yaml")]);
    assert_eq!(
        strings(&changed["invalidation"]["paths"]),
        ["/customer-templates/slack/1.yaml"]
    );
    assert_eq!(
        changed["verified"], true,
        "the edge had the older one for five minutes"
    );
    assert_eq!(desk.cloudfront.billed(), 1);

    for n in 0..4 {
        desk.write(&format!("folder/slack/{n}.yaml"), "Resources: all of them");
    }
    desk.write("folder/slack/new.yaml", "Resources: new");
    let all = desk.templates(&direct).await.json();
    assert_eq!(all["uploaded"].as_array().unwrap().len(), 5);
    assert_eq!(
        strings(&all["invalidation"]["paths"]),
        ["/customer-templates/slack/*"]
    );
    assert!(!desk.objects().await.contains_key(JOURNAL));
}

#[tokio::test]
async fn what_a_run_that_died_has_left_is_cleared_by_the_next() {
    let desk = Desk::with_templates().await;
    let function = ["--function", "cdn-invalidator", "--domain", DOMAIN];
    desk.templates(&function).await.json();
    assert!(desk.events().is_empty());
    desk.has_function_answer(500, &[], json!({}));
    desk.write("folder/slack/1.yaml", "Resources: x");
    desk.write("folder/slack/9.yaml", "Resources: new");
    let failed = desk.templates(&function).await;
    assert_eq!(failed.json()["invalidation"]["status"], "failed");
    let first = desk.events()[0].clone();
    let journal: Value = serde_json::from_slice(&desk.get(JOURNAL).await).unwrap();
    assert_eq!(journal["changed"].as_object().unwrap().len(), 1);
    assert_eq!(strings(&journal["new"]), [key("slack/9.yaml")]);

    // It goes on where that one has ended: the same request.
    desk.function_is_well();
    let resumed = desk.templates(&function).await.json();
    assert_eq!(uploaded(&resumed), [""; 0]);
    assert_eq!(desk.events(), std::slice::from_ref(&first));
    assert!(!desk.objects().await.contains_key(JOURNAL));

    // One that died before its last upload: what it had to do, and what is new since.
    desk.put(JOURNAL, journal.to_string().as_bytes()).await;
    desk.write("folder/readme.html", "<p>newer");
    desk.templates(&function).await.json();
    let events = desk.events();
    assert_eq!(
        strings(&events[0]["paths"]),
        [
            "/customer-templates/readme.html",
            "/customer-templates/slack/1.yaml"
        ]
    );
    assert_ne!(events[0]["version"], first["version"]);
    desk.put(JOURNAL, b"<html>").await;
    assert!(
        desk.templates(&function)
            .await
            .error()
            .contains("is not what an earlier run has left")
    );
}

#[tokio::test]
async fn what_is_changed_back_after_a_run_that_died_is_cleared_again() {
    let desk = Desk::with_templates().await;
    let function = ["--function", "cdn-invalidator", "--domain", DOMAIN];
    desk.templates(&function).await.json();
    // Whether caches were told is not known each time.
    desk.has_function_answer(500, &[], json!({}));
    for text in ["one", "two", "one"] {
        desk.write("folder/slack/1.yaml", text);
        desk.templates(&function).await.json();
    }
    let mut versions: Vec<_> = desk
        .events()
        .iter()
        .map(|event| event["version"].clone())
        .collect();
    // Each run asks several times.
    versions.dedup();
    let [first, second, third] = versions.as_slice() else {
        panic!("{versions:?}");
    };
    assert!(first != second && second != third && first != third);
}

#[tokio::test]
async fn a_note_that_another_run_has_written_since_is_left_to_it() {
    let desk = Desk::with_templates().await;
    let function = ["--function", "cdn-invalidator", "--domain", DOMAIN];
    desk.templates(&function).await.json();
    desk.write("folder/slack/1.yaml", "changed");
    let others = json!({ "began": "2026-11-27T04:00:00Z", "changed": { key("slack/2.yaml"): null }, "new": [] });
    // It takes the run two seconds to ask the function, which is when the other one comes.
    let function = &function;
    let ran = async { desk.templates(function).await.json() };
    let other = async {
        while !desk.objects().await.contains_key(JOURNAL) {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        desk.put(JOURNAL, others.to_string().as_bytes()).await;
    };
    let (ran, ()) = tokio::join!(ran, other);
    assert_eq!(ran["invalidation"]["status"], "submitted");
    let left: Value = serde_json::from_slice(&desk.get(JOURNAL).await).unwrap();
    assert_eq!(left, others);
}

#[tokio::test]
async fn no_more_wildcards_are_asked_for_than_the_function_may_have() {
    let desk = Desk::with_templates().await;
    for folder in ["a", "b", "c"] {
        for n in 0..3 {
            desk.write(&format!("folder/{folder}/{n}.yaml"), "old");
        }
    }
    let with = async |more: &[&str]| {
        let function = ["--function", "cdn-invalidator", "--domain", DOMAIN];
        desk.templates(&[&function[..], more].concat()).await.json()
    };
    with(&[]).await;
    for folder in ["a", "b", "c"] {
        for n in 0..3 {
            desk.write(&format!("folder/{folder}/{n}.yaml"), "new");
        }
    }
    let few = with(&["--wildcards", "1", "--dry-run"]).await;
    let count = |report: &Value| {
        let paths = strings(&report["invalidation"]["paths"]);
        let wide = paths.iter().filter(|path| path.ends_with('*')).count();
        (paths.len(), wide)
    };
    assert_eq!((count(&few), count(&with(&[]).await)), ((7, 1), (3, 3)));
}

#[tokio::test]
async fn what_is_gone_is_removed_where_that_is_wanted() {
    let desk = Desk::with_templates().await;
    let direct = ["--distribution", DISTRIBUTION];
    desk.templates(&direct).await.json();
    std::fs::remove_file(desk.dir.path().join("folder/slack/2.yaml")).unwrap();
    assert_eq!(
        strings(&desk.templates(&direct).await.json()["deleted"]),
        [""; 0]
    );

    let before = desk.objects().await;
    let dry = desk
        .templates(&["--delete", "--dry-run", "--distribution", DISTRIBUTION])
        .await
        .json();
    assert_eq!(strings(&dry["deleted"]), [key("slack/2.yaml")]);
    assert_eq!(
        strings(&dry["invalidation"]["paths"]),
        ["/customer-templates/slack/2.yaml"]
    );
    assert_eq!(desk.objects().await, before);

    let removed = desk
        .templates(&["--delete", "--distribution", DISTRIBUTION])
        .await
        .json();
    assert_eq!(strings(&removed["deleted"]), [key("slack/2.yaml")]);
    assert_eq!(
        strings(&removed["invalidation"]["paths"]),
        ["/customer-templates/slack/2.yaml"]
    );
    assert_eq!(desk.objects().await.len(), before.len() - 1);
    std::fs::remove_dir_all(desk.dir.path().join("folder")).unwrap();
    std::fs::create_dir(desk.dir.path().join("folder")).unwrap();
    let empty = desk
        .templates(&["--delete", "--distribution", DISTRIBUTION])
        .await;
    assert!(empty.error().contains("has no files"));
}

#[tokio::test]
async fn what_nobody_could_clear_is_refused_before_anything_is_uploaded() {
    let desk = Desk::with_templates().await;
    desk.write("folder/a*.yaml", "");
    std::os::unix::fs::symlink("/etc/hostname", desk.dir.path().join("folder/host")).unwrap();
    let refused = desk.templates(&["--no-invalidate"]).await;
    for said in [
        "a*.yaml has a literal `*`",
        "host is a link out of the folder",
    ] {
        assert!(refused.error().contains(said), "{}", refused.error());
    }
    assert!(desk.objects().await.is_empty());
    let nobody = desk.templates(&[]).await;
    assert!(
        nobody
            .error()
            .contains("give --domain, --distribution or --no-invalidate")
    );
}

#[tokio::test]
async fn an_object_that_was_uploaded_in_parts_is_known_by_its_own_word() {
    let desk = Desk::with_templates().await;
    desk.templates(&["--no-invalidate"]).await.json();
    // As many bytes, whose ETag is no MD5 of them.
    let name = key("slack/1.yaml");
    let upload = |sha256: Option<String>| {
        let create = desk
            .s3
            .create_multipart_upload()
            .bucket(&desk.world.bucket)
            .key(&name);
        create.set_metadata(sha256.map(|sha256| [("sha256".to_owned(), sha256)].into()))
    };
    let bytes = b"Resources: 1";
    let sha256 = local_aws::publish::sha256(bytes);
    for (sha256, count) in [(Some(sha256), 0), (None, 1)] {
        let id = upload(sha256).send().await.unwrap().upload_id.unwrap();
        let part = desk.s3.upload_part().bucket(&desk.world.bucket).key(&name);
        let part = part
            .upload_id(&id)
            .part_number(1)
            .body(bytes.to_vec().into());
        let etag = part.send().await.unwrap().e_tag;
        let part = aws_sdk_s3::types::CompletedPart::builder()
            .set_e_tag(etag)
            .part_number(1);
        let parts = aws_sdk_s3::types::CompletedMultipartUpload::builder().parts(part.build());
        let complete = desk
            .s3
            .complete_multipart_upload()
            .bucket(&desk.world.bucket)
            .key(&name);
        complete
            .upload_id(&id)
            .multipart_upload(parts.build())
            .send()
            .await
            .unwrap();
        assert!(desk.objects().await[&name].contains("-1"));
        let report = desk.templates(&["--no-invalidate"]).await.json();
        assert_eq!(uploaded(&report).len(), count);
    }
}

#[tokio::test]
async fn names_with_blanks_and_plus_signs_are_cleared_and_read_back_as_readers_ask() {
    let desk = Desk::new().await;
    let url = desk.world.edge.url();
    let names = ["a+b.yaml", "c d.yaml", "e+/f g.yaml"];
    let direct = [
        "--distribution",
        DISTRIBUTION,
        "--url",
        &url,
        "--verify",
        "--strict",
    ];
    let paths = [
        "a%2Bb.yaml",
        "c%20d.yaml",
        "c+d.yaml",
        "e%2B/f%20g.yaml",
        "e%2B/f+g.yaml",
    ];
    // What does not change keeps wildcards away.
    for name in ["a.yaml", "c.yaml", "e+/f.yaml"] {
        desk.write(&format!("folder/{name}"), "kept");
    }
    for (version, count) in [("1", 6), ("2", 3)] {
        for name in names {
            desk.write(&format!("folder/{name}"), version);
        }
        let report = desk.templates(&direct).await.json();
        assert_eq!(report["verified"], true, "{report}");
        assert_eq!(uploaded(&report).len(), count);
        for path in paths {
            let url = format!("{url}/{}", key(path));
            assert_eq!(read(&url).await.0, version, "{path}");
        }
    }
}
