//! A monitor: published once, again, anew, halfway and wrongly.

use local_aws::lambda::Config;
use serde_json::{Value, json};

use super::{DISTRIBUTION, DOMAIN, Desk, Ran, strings, uploaded};
use crate::world::{program, run_slack};

const V1: &str = "binaries/slack-monitor/watchy-slack-monitor-1.0";
const LATEST: &str = "binaries/slack-monitor/watchy-slack-monitor-latest";
pub(super) const METADATA: &str = "binaries/slack-monitor/metadata.json";
const PATHS: [&str; 2] = [
    "/binaries/slack-monitor/metadata.json",
    "/binaries/slack-monitor/watchy-slack-monitor-latest",
];

/// The monitor of these tests, told from others by what is behind its end.
pub(super) fn binary(marker: &str) -> Vec<u8> {
    let mut binary = std::fs::read(program("misbehaving-monitor")).unwrap();
    binary.extend_from_slice(marker.as_bytes());
    binary
}

impl Desk {
    pub(super) async fn with_monitor() -> Self {
        let desk = Self::new().await;
        desk.write("slack", binary("--------"));
        let keys = minisign::KeyPair::generate_unencrypted_keypair().unwrap();
        desk.write("key", keys.sk.to_box(None).unwrap().into_string());
        desk
    }

    pub(super) async fn monitor(&self, version: &str, more: &[&str]) -> Ran {
        self.monitor_with(version, more, &[]).await
    }

    async fn monitor_with(&self, version: &str, more: &[&str], variables: &[(&str, &str)]) -> Ran {
        let url = self.world.edge.url();
        let bucket = self.world.bucket.as_str();
        let all = ["monitor", "--monitor", "slack", "--binary", "slack"];
        let to = ["--version", version, "--bucket", bucket, "--url", &url];
        let arguments = [&all[..], &to, &["--json"], more].concat();
        self.run_with(&arguments, variables).await
    }
}

/// This machine, another one, and how an ELF file names that.
const MACHINES: (&str, &str, u8) = if cfg!(target_arch = "x86_64") {
    ("linux-x86_64", "linux-aarch64", 183)
} else {
    ("linux-aarch64", "linux-x86_64", 62)
};
const BY_FUNCTION: [&str; 4] = ["--function", "cdn-invalidator", "--domain", DOMAIN];

#[tokio::test]
async fn a_release_is_published_once_and_its_signature_is_believed() {
    let desk = Desk::with_monitor().await;
    let signed = [
        &[
            "--sign-key",
            "key",
            "--verify",
            "--strict",
            "--git-commit",
            "da23b42",
        ],
        &BY_FUNCTION[..],
    ]
    .concat();
    let ran = desk.monitor("1.0", &signed).await;
    let report = ran.json();
    assert_eq!(uploaded(&report), [V1, LATEST, METADATA]);
    assert_eq!(report["uploaded"][0]["bytes"], binary("--------").len());
    assert_eq!(report["invalidation"]["status"], "submitted");
    assert_eq!(strings(&report["invalidation"]["paths"]), PATHS);
    assert_eq!(report["verified"], true);
    assert_eq!(report["published"]["version"], "1.0");
    let events = desk.events();
    assert_eq!(events[0]["domain"], DOMAIN);
    assert_eq!(strings(&events[0]["paths"]), PATHS);
    assert_eq!(events[0].get("wait"), None);
    let head = desk.s3.head_object().bucket(&desk.world.bucket).key(V1);
    let head = head.send().await.unwrap();
    assert_eq!(
        head.cache_control(),
        Some("public, max-age=31536000, immutable")
    );
    assert_eq!(head.content_type(), Some("application/octet-stream"));

    // What nobody can read in the output is the key.
    let key = String::from_utf8(std::fs::read(desk.dir.path().join("key")).unwrap()).unwrap();
    let secret = key.lines().nth(1).unwrap();
    assert!(!ran.stdout.contains(secret) && !ran.stderr.contains(secret));
    let trusted = ran
        .stderr
        .split("TRUSTED_KEYS=")
        .nth(1)
        .unwrap()
        .lines()
        .next()
        .unwrap();
    let runner = desk.world.monitor_runner().env("TRUSTED_KEYS", trusted);
    let runner = runner.env("MONITOR_ENV_BEHAVIOUR", "tell");
    let ran = run_slack(&desk.world.lambda.create(runner)).await;
    assert_eq!(
        (&ran["version"], &ran["cache"]),
        (&json!("1.0"), &json!("miss"))
    );

    let before = desk.objects().await;
    let again = desk.monitor("1.0", &signed).await.json();
    assert_eq!(uploaded(&again), [""; 0]);
    assert_eq!(strings(&again["skipped"]), [V1, LATEST, METADATA]);
    assert_eq!(desk.objects().await, before);
    // The same because of the same: it costs nothing where it was made before.
    assert_eq!(desk.events()[0]["version"], events[0]["version"]);
}

#[tokio::test]
async fn a_new_version_clears_what_changed_and_a_run_that_died_is_gone_on_with() {
    let desk = Desk::with_monitor().await;
    let direct = [
        "--distribution",
        DISTRIBUTION,
        "--epoch",
        "7",
        "--sign-key",
        "key",
        "--verify",
    ];
    desk.monitor("1.0", &direct).await.json();
    desk.write("slack", binary("newer---"));
    let newer = desk.monitor("1.1", &direct).await.json();
    let v1_1 = V1.replace("1.0", "1.1");
    assert_eq!(uploaded(&newer), [&v1_1, LATEST, METADATA]);
    assert_eq!(newer["invalidation"]["status"], "completed");
    assert_eq!(
        newer["verified"], true,
        "the edge had the older one for a minute"
    );
    assert_eq!(desk.cloudfront.billed(), 4);

    // Whatever the run did not come to, is done by the next one.
    for (gone, written) in [
        (
            &[v1_1.as_str(), LATEST, METADATA][..],
            &[v1_1.as_str(), LATEST, METADATA][..],
        ),
        (&[LATEST, METADATA], &[LATEST, METADATA]),
        (&[METADATA], &[METADATA]),
        (&[LATEST], &[LATEST]),
        (&[], &[]),
    ] {
        for key in gone {
            desk.delete(key).await;
        }
        // S3 tells of a second in which an object was written.
        tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
        let before = desk.cloudfront.billed();
        let again = desk.monitor("1.1", &direct).await.json();
        assert_eq!(uploaded(&again), written);
        let billed = if written.is_empty() { 0 } else { 2 };
        assert_eq!(desk.cloudfront.billed() - before, billed, "{written:?}");
    }
    let billed = desk.cloudfront.billed();
    desk.monitor("1.1", &direct).await.json();
    assert_eq!(desk.cloudfront.billed(), billed);
}

#[tokio::test]
async fn what_would_harm_readers_is_refused() {
    let desk = Desk::with_monitor().await;
    let signed = ["--no-invalidate", "--sign-key", "key", "--epoch"];
    let of = |epoch| [&signed[..], &[epoch]].concat();
    desk.monitor("1.0", &of("7")).await.json();
    let before = desk.objects().await;

    let back = desk.monitor("1.1", &of("6")).await;
    back.is_refused("--epoch 6 is under 7");
    let told: Value = serde_json::from_str(&back.stdout).unwrap();
    assert!(told["error"].as_str().unwrap().contains("under 7"));
    let unsigned = desk.monitor("1.1", &["--no-invalidate"]).await;
    unsigned.is_refused("give --sign-key");
    let (_, elsewhere, _) = MACHINES;
    let file = format!("{elsewhere}=slack");
    let wrong = [&of("8")[..], &["--binary", &file]].concat();
    let wrong = desk.monitor("1.1", &wrong).await;
    wrong.is_refused(&format!("and {elsewhere} was asked for: build it with"));
    desk.write("slack", binary("changed-"));
    let changed = desk.monitor("1.0", &of("8")).await;
    changed.is_refused("there already with other bytes");
    desk.write("slack", "#!/bin/sh\n");
    desk.monitor("1.1", &of("8"))
        .await
        .is_refused("is a script");
    assert_eq!(desk.objects().await, before, "nothing was written");

    desk.write("slack", binary("--------"));
    desk.put(METADATA, b"<html>").await;
    let unreadable = desk.monitor("1.0", &signed[..3]).await;
    unreadable.is_refused("give --epoch to replace it");
}

#[tokio::test]
async fn a_build_survives_that_caches_are_not_told_unless_it_is_strict() {
    let desk = Desk::with_monitor().await;
    let refused = json!({ "Message": "Function not found", "Type": "User" });
    desk.has_function_answer(
        404,
        &[("x-amzn-errortype", "ResourceNotFoundException")],
        refused,
    );
    let report = desk.monitor("1.0", &BY_FUNCTION).await;
    assert!(report.stderr.contains("warning: caches were not told"));
    let report = report.json();
    assert_eq!(report["invalidation"]["status"], "failed");
    let error = report["invalidation"]["error"].as_str().unwrap();
    assert!(
        error.contains("ResourceNotFoundException: Function not found"),
        "{error}"
    );
    for (headers, body, said) in [
        (
            &[("x-amz-function-error", "Unhandled")][..],
            json!({ "errorType": "BadRequest", "errorMessage": "field `paths`" }),
            "BadRequest: field `paths`",
        ),
        (
            &[],
            json!({ "status": "failed", "error": "Throttling" }),
            "Throttling",
        ),
        (&[], json!("what?"), "none of an invalidator"),
    ] {
        desk.has_function_answer(200, headers, body);
        let strict = [&["--strict"], &BY_FUNCTION[..]].concat();
        let ran = desk.monitor("1.0", &strict).await;
        assert_eq!(ran.code, 1);
        let report: Value = serde_json::from_str(&ran.stdout).unwrap();
        let error = report["invalidation"]["error"].as_str().unwrap();
        assert!(error.contains(said), "{error}");
    }
    desk.function_is_well();
    let strict = [&["--strict", "--wait", "5"], &BY_FUNCTION[..]].concat();
    desk.monitor("1.0", &strict).await.json();
    assert_eq!(desk.events().last().unwrap()["wait"], true);
    assert_eq!(desk.cloudfront.billed(), 0);
}

#[tokio::test]
async fn a_dry_run_writes_nothing_and_tells_what_it_would() {
    let desk = Desk::with_monitor().await;
    let dry = [&["--dry-run", "--verify"], &BY_FUNCTION[..]].concat();
    let report = desk.monitor("1.0", &dry).await.json();
    assert_eq!(uploaded(&report), [V1, LATEST, METADATA]);
    assert_eq!(report["dry_run"], true);
    assert_eq!(strings(&report["invalidation"]["paths"]), PATHS);
    assert_eq!(report["invalidation"]["estimated_cost_usd"], 0.01);
    assert_eq!(report["verified"], Value::Null);
    assert!(desk.objects().await.is_empty() && desk.events().is_empty());
}

#[tokio::test]
async fn builds_for_both_machines_are_packed_and_found_by_the_stack() {
    let desk = Desk::with_monitor().await;
    let (this, that, machine) = MACHINES;
    let mut other = binary("--------");
    other[18] = machine;
    desk.write("other", other);
    let (url, that_file) = (desk.world.edge.url(), format!("{that}=other"));
    let all = ["monitor", "--monitor", "slack", "--version", "1.0"];
    let programs = ["--binary", &that_file, "--binary", "slack"];
    let to = ["--stack", "larder", "--url", &url, "--gzip"];
    let how = ["--json", "--no-invalidate", "--verify"];
    let publish = [&all[..], &programs, &to, &how].concat();
    let report = desk.run(&publish).await.json();
    let that_key = format!("{V1}-{that}");
    assert_eq!(uploaded(&report), [V1, &that_key, LATEST, METADATA]);
    assert_eq!(report["invalidation"]["status"], "skipped");
    let metadata: Value = serde_json::from_slice(&desk.get(METADATA).await).unwrap();
    assert_eq!(metadata["target_platform"], this);
    let download = &metadata["platforms"][that]["downloadUrl"];
    assert_eq!(*download, format!("{url}/{that_key}"));
    let runner = desk
        .world
        .monitor_runner()
        .env("REQUIRE_SIGNATURE", "false");
    let runner = runner.env("MONITOR_ENV_BEHAVIOUR", "tell");
    let ran = run_slack(&desk.world.lambda.create(runner)).await;
    assert_eq!(ran["cache"], "miss");
    assert_eq!(uploaded(&desk.run(&publish).await.json()), [""; 0]);

    let missing = [&publish[..], &["--output", "Bucket"]].concat();
    let missing = desk.run(&missing).await;
    missing.is_refused("has no output Bucket: there are ReleasesBucketName");
    let packed = desk.monitor("1.0", &["--no-invalidate"]).await;
    packed.is_refused("there already and packed");
}

#[tokio::test]
async fn the_function_itself_clears_it_and_asked_again_nothing_more() {
    let desk = Desk::with_monitor().await;
    let function = Config::new("cdn-invalidator", program("cdn-invalidator"));
    desk.world.lambda.create(
        function
            .env("AWS_ENDPOINT_URL_CLOUDFRONT", desk.cloudfront.url())
            .env("CACHE_BACKEND", "memory"),
    );
    desk.monitor("1.0", &["--no-invalidate"]).await.json();
    desk.write("slack", binary("newer---"));
    let lambda = desk.world.lambda.url();
    let publish = async || {
        let more = [&["--verify", "--strict"], &BY_FUNCTION[..]].concat();
        let lambda = [("AWS_ENDPOINT_URL_LAMBDA", lambda.as_str())];
        desk.monitor_with("1.1", &more, &lambda).await.json()
    };
    let report = publish().await;
    assert_eq!(report["invalidation"]["status"], "completed");
    assert_eq!(report["invalidation"]["month_billable_paths"], 2);
    assert_eq!(strings(&report["invalidation"]["paths"]), PATHS);
    let again = publish().await;
    assert_eq!(again["invalidation"]["status"], "skipped");
    assert_eq!(desk.cloudfront.billed(), 2);

    // By hand, each time anew.
    let by_hand = [&["invalidate", "--json"], &BY_FUNCTION[..], &["/a", "/b*"]].concat();
    for billed in [4, 6] {
        let lambda = [("AWS_ENDPOINT_URL_LAMBDA", lambda.as_str())];
        let cleared = desk.run_with(&by_hand, &lambda).await.json();
        assert_eq!(strings(&cleared["paths"]), ["/a", "/b*"]);
        assert_eq!(desk.cloudfront.billed(), billed);
    }
}

#[tokio::test]
async fn an_earlier_release_comes_back_on_purpose_and_later_ones_follow() {
    let desk = Desk::with_monitor().await;
    let signed = ["--no-invalidate", "--sign-key", "key"];
    let with = |more: &[&'static str]| [&signed[..], more].concat();
    desk.monitor("1.0", &with(&["--epoch", "6"])).await.json();
    desk.write("slack", binary("newer---"));
    desk.monitor("1.1", &with(&["--epoch", "7"])).await.json();
    desk.write("slack", binary("--------"));
    let late = desk.monitor("1.0", &with(&["--epoch", "6"])).await;
    late.is_refused("--epoch 6 is under 7");
    let back = desk.monitor("1.0", &with(&["--rollback"])).await.json();
    assert_eq!(
        (&back["published"]["version"], &back["published"]["epoch"]),
        (&json!("1.0"), &json!(8))
    );
    // Once more it is there already, and what was taken back is refused.
    let again = desk.monitor("1.0", &with(&["--rollback"])).await.json();
    assert_eq!(
        (uploaded(&again), &again["published"]["epoch"]),
        (vec![], &json!(8))
    );
    desk.write("slack", binary("newer---"));
    let taken_back = desk.monitor("1.1", &with(&["--epoch", "7"])).await;
    taken_back.is_refused("--epoch 7 is under 8");
    desk.write("slack", binary("newest--"));
    let next = desk.monitor("1.2", &with(&["--epoch", "9"])).await.json();
    assert_eq!(next["published"]["epoch"], 9);
}
