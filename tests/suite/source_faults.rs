//! monitor-runner against a source that is wrong, slow, hostile or gone.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use local_aws::{
    edge::{Fault, Kind},
    lambda::{Function, Outcome, TMP},
};
use serde_json::{Value, json};

use crate::world::{World, invoke, release, run_slack};

const METADATA: &str = "metadata.json";
const BINARY: &str = "monitor-1.0";

/// Invokes for `slack`, expects an error and returns its type and message.
async fn error_of(function: &Function) -> (String, String) {
    let outcome: Outcome = invoke(function, json!({ "monitor": "slack" })).await;
    let error = outcome
        .error()
        .unwrap_or_else(|| panic!("no error: {:?}", outcome.json()));
    (error.error_type.clone(), error.message.clone())
}

#[tokio::test]
async fn a_second_run_asks_once_and_downloads_nothing() {
    let world = World::new().await;
    world.publish("1.0", "--------").await;
    let function = world.with_behaviour("tell");

    let first = run_slack(&function).await;
    assert_eq!(
        (&first["cache"], &first["reason"]),
        (&json!("miss"), &json!("first_use"))
    );
    assert_eq!(first["downloaded_bytes"], first["binary_size"]);
    let asked = world.edge.take_requests();
    assert_eq!(asked.len(), 2);
    assert!(asked.iter().all(|request| !request.conditional));
    assert_eq!(asked[1].accept_encoding.as_deref(), Some("identity"));

    let outcome = invoke(&function, json!({ "monitor": "slack" })).await;
    let second = &outcome.json().unwrap()["results"][0];
    assert_eq!(
        (&second["cache"], &second["reason"]),
        (&json!("hit"), &Value::Null)
    );
    assert_eq!(second["downloaded_bytes"], 0);
    let asked = world.edge.take_requests();
    assert_eq!(
        asked
            .iter()
            .map(|request| (request.status, request.conditional))
            .collect::<Vec<_>>(),
        [(304, true)]
    );

    let size = first["binary_size"].as_u64().unwrap();
    let line = format!("Using cached Slack binary v1.0 (size: {size} bytes)");
    assert!(
        outcome.messages().contains(&line),
        "{:?}",
        outcome.messages()
    );
    let metrics = &outcome.metrics()[0];
    assert_eq!(
        (&metrics["Hits"], &metrics["BytesNotDownloaded"]),
        (&json!(1), &json!(size))
    );
    assert_eq!(
        (
            &metrics["ColdStart"],
            &metrics["Error"],
            &metrics["FunctionName"]
        ),
        (&json!(0), &json!(0), &json!("monitor-runner"))
    );
}

#[tokio::test]
async fn the_log_tells_of_a_download_in_the_contracts_words_and_the_info_has_its_keys() {
    let world = World::new().await;
    world.publish("1.0", "--------").await;
    let function = world.with_behaviour("tell");
    let outcome = invoke(&function, json!({ "monitor": "slack" })).await;
    let messages = outcome.messages();
    let at = |line: &str| {
        messages
            .iter()
            .position(|message| message == line)
            .unwrap_or_else(|| panic!("{messages:?}"))
    };
    assert!(at("Downloading updated Slack binary v1.0") < at("Cached binary info for future use"));
    assert_eq!(outcome.metrics().len(), 1, "one document an invocation");
    assert_eq!(outcome.metrics()[0]["ColdStart"], 1);

    let info = std::fs::read(
        function
            .environment()
            .unwrap()
            .tmp()
            .join("watchy-slack-cache.json"),
    )
    .unwrap();
    let info: Value = serde_json::from_slice(&info).unwrap();
    assert_eq!(info["version"], "1.0");
    assert_eq!(info["sha256"].as_str().unwrap().len(), 64);
    assert!(info["binarySize"].is_u64() && info["cached_at"].is_f64());
    assert!(
        info["cache_date"].as_str().unwrap().ends_with('Z'),
        "{info}"
    );
}

#[tokio::test]
async fn wrong_bytes_are_an_integrity_error_and_the_old_binary_stays() {
    let world = World::new().await;
    world.publish("0.9", "old-----").await;
    let function = world.with_behaviour("tell");
    run_slack(&function).await;
    let binary = function
        .environment()
        .unwrap()
        .tmp()
        .join("watchy-slack-monitor");
    let old = std::fs::read(&binary).unwrap();
    world.publish("1.0", "new-----").await;
    world.edge.clear();

    for (kind, said) in [
        (Kind::EndAt(1000), "1000 bytes where the metadata says"),
        (Kind::EndAt(0), "0 bytes where the metadata says"),
        (Kind::Append(1), "where the metadata says"),
        (Kind::Append(1 << 20), "where the metadata says"),
        (Kind::Flip(4321), "SHA-256"),
        (
            Kind::Body(b"<html>maintenance</html>".to_vec()),
            "24 bytes where the metadata says",
        ),
    ] {
        world.edge.fail(Fault::always(BINARY, kind.clone()));
        let (error_type, message) = error_of(&function).await;
        assert_eq!(error_type, "Integrity", "{kind:?}: {message}");
        assert!(
            message.contains(said) && message.contains("monitor-1.0"),
            "{kind:?}: {message}"
        );
        assert_eq!(std::fs::read(&binary).unwrap(), old, "{kind:?}");
        world.edge.heal();
    }
    assert_eq!(
        run_slack(&function).await["result"]["marker"],
        "new-----",
        "and then it goes on"
    );
}

#[tokio::test]
async fn metadata_that_is_none_is_an_integrity_error_that_names_it() {
    let world = World::new().await;
    let good = world.publish("1.0", "--------").await;
    let function = world.with_behaviour("tell");
    let with = |field: &str, value: Value| {
        let mut metadata = good.clone();
        metadata[field] = value;
        metadata.to_string().into_bytes()
    };
    let cases = [
        (
            b"<html>maintenance</html>".to_vec(),
            "not the JSON that it should be",
        ),
        (b"{\"version\":".to_vec(), "not the JSON that it should be"),
        (b"[]".to_vec(), "not the JSON that it should be"),
        (vec![b' '; 70_000], "longer than 65536 bytes"),
        (
            with("sha256", json!("ab".repeat(32))),
            "plain field `sha256` differs",
        ),
        (
            with("binarySize", json!(5)),
            "plain field `binarySize` differs",
        ),
        (
            with("binarySize", json!(300_000_000)),
            "`binarySize` is 300000000",
        ),
        (with("version", json!("../../etc")), "`version`"),
        (
            with("downloadUrl", json!("http://169.254.169.254/latest")),
            "`downloadUrl` is not on",
        ),
        (
            with("target_platform", json!("linux-riscv64")),
            "it is for linux-riscv64",
        ),
        (with("sig", json!("nonsense")), "none of the trusted keys"),
        (with("sig", Value::Null), "half there"),
    ];
    for (bytes, said) in cases {
        let what = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        world
            .publisher
            .put_metadata_bytes("slack", bytes)
            .await
            .unwrap();
        world.edge.clear();
        let (error_type, message) = error_of(&function).await;
        assert_eq!(error_type, "Integrity", "{what}: {message}");
        assert!(message.contains(said), "{what}: {message}");
    }
}

#[tokio::test]
async fn unsigned_metadata_is_refused_where_a_signature_is_required_and_taken_where_it_is_not() {
    let world = World::new().await;
    let mut metadata = world.publish("1.0", "--------").await;
    for field in ["signed", "sig"] {
        metadata.as_object_mut().unwrap().remove(field);
    }
    world
        .publisher
        .put_metadata("slack", &metadata)
        .await
        .unwrap();
    let (error_type, message) = error_of(&world.with_behaviour("tell")).await;
    assert_eq!(error_type, "Integrity");
    assert!(message.contains("one is required"), "{message}");

    let trusting = world.monitor_runner().env("REQUIRE_SIGNATURE", "false");
    assert_eq!(
        run_slack(&world.lambda.create(trusting)).await["cache"],
        "miss"
    );
}

#[tokio::test]
async fn older_metadata_and_expired_metadata_leave_the_present_binary_in_use() {
    let world = World::new().await;
    let newer = local_aws::publish::NewRelease {
        epoch: 7,
        ..release("2.0", "epoch--7")
    };
    world.publisher.publish(&newer).await.unwrap();
    let function = world.with_behaviour("tell");
    run_slack(&function).await;

    let older = local_aws::publish::NewRelease {
        epoch: 6,
        ..release("1.0", "epoch--6")
    };
    world.publisher.publish(&older).await.unwrap();
    world.edge.clear();
    for process in [
        "the same process",
        "a new one, which knows the epoch from the disk",
    ] {
        let run = run_slack(&function).await;
        assert_eq!(
            (&run["cache"], &run["result"]["marker"]),
            (&json!("stale"), &json!("epoch--7")),
            "{process}"
        );
        assert!(
            run["warning"]
                .as_str()
                .unwrap()
                .contains("epoch 6 is under 7"),
            "{run}"
        );
        function.environment().unwrap().kill().await;
    }

    let expired = local_aws::publish::NewRelease {
        epoch: 8,
        valid_for: -jiff::SignedDuration::from_secs(1),
        ..release("3.0", "expired-")
    };
    world.publisher.publish(&expired).await.unwrap();
    world.edge.clear();
    let run = run_slack(&function).await;
    assert!(
        run["warning"].as_str().unwrap().contains("ran out at"),
        "{run}"
    );

    // An environment that has nothing to fall back on says why it fails; a floor set by hand holds
    // there too.
    function.fresh().await;
    assert!(error_of(&function).await.1.contains("ran out at"));
    world.publisher.publish(&newer).await.unwrap();
    world.edge.clear();
    let floored = world
        .lambda
        .create(world.monitor_runner().env("MIN_EPOCH", "8"));
    assert!(error_of(&floored).await.1.contains("epoch 7 is under 8"));
}

#[tokio::test]
async fn a_source_that_says_no_is_not_an_outage() {
    let world = World::new().await;
    world.publish("1.0", "--------").await;
    let function = world.with_behaviour("tell");
    run_slack(&function).await;
    for (status, expected) in [(404, "NotFound"), (403, "NotFound"), (400, "Upstream")] {
        world
            .edge
            .fail(Fault::always(METADATA, Kind::Status(status)));
        let (error_type, message) = error_of(&function).await;
        assert_eq!(error_type, expected, "{message}");
        assert!(message.contains(&format!("answered {status}")), "{message}");
        world.edge.heal();
    }
}

#[tokio::test]
async fn a_server_in_trouble_is_asked_three_times_then_stood_in_for() {
    let world = World::new().await;
    world.publish("1.0", "--------").await;
    let function = world.with_behaviour("tell");

    // Nothing to fall back on yet: an error, and every try was made.
    world.edge.fail(Fault::always(METADATA, Kind::Status(503)));
    let (error_type, message) = error_of(&function).await;
    assert_eq!(error_type, "Upstream");
    assert!(message.contains("answered 503"), "{message}");
    assert_eq!(world.edge.take_requests().len(), 3);
    world.edge.heal();

    // Twice is a hiccup, for metadata as for the binary.
    for path in [METADATA, BINARY] {
        world.edge.fail(Fault {
            times: Some(2),
            ..Fault::always(path, Kind::Status(500))
        });
    }
    assert_eq!(run_slack(&function).await["cache"], "miss");

    for status in [500, 502, 503, 429] {
        world
            .edge
            .fail(Fault::always(METADATA, Kind::Status(status)));
        assert_eq!(run_slack(&function).await["cache"], "stale", "{status}");
        world.edge.heal();
    }
    assert_eq!(run_slack(&function).await["cache"], "hit");
}

#[tokio::test]
async fn a_download_that_breaks_off_is_begun_again() {
    let world = World::new().await;
    world.publish("1.0", "complete").await;
    world.edge.fail(Fault {
        times: Some(2),
        ..Fault::always(BINARY, Kind::CutAt(50_000))
    });
    let run = run_slack(&world.with_behaviour("tell")).await;
    assert_eq!(
        (&run["cache"], &run["result"]["marker"]),
        (&json!("miss"), &json!("complete"))
    );
}

#[tokio::test]
async fn a_redirect_is_followed_within_the_origin_only() {
    let world = World::new().await;
    world.publish("1.0", "--------").await;
    let elsewhere = World::new().await;
    let function = world.with_behaviour("tell");

    let same = format!(
        "{}/binaries/slack-monitor/watchy-slack-monitor-latest",
        world.edge.url()
    );
    world.edge.fail(Fault::once(BINARY, Kind::Redirect(same)));
    assert_eq!(run_slack(&function).await["cache"], "miss");
    function.fresh().await;

    for path in [METADATA, BINARY] {
        world.edge.fail(Fault::always(
            path,
            Kind::Redirect(format!("{}/x", elsewhere.edge.url())),
        ));
        let (error_type, message) = error_of(&function).await;
        assert_eq!(error_type, "Integrity", "{message}");
        assert!(message.contains("is not followed"), "{message}");
        world.edge.heal();
    }
    assert_eq!(elsewhere.edge.take_requests(), [], "it was not even asked");
    world.edge.fail(Fault::always(
        METADATA,
        Kind::Redirect("/binaries/slack-monitor/metadata.json".to_owned()),
    ));
    assert!(
        error_of(&function).await.1.contains("is not followed"),
        "a loop ends"
    );
}

#[tokio::test]
async fn a_source_that_never_answers_costs_a_bounded_time() {
    let world = World::new().await;
    world.publish("1.0", "--------").await;
    let function = world.with_behaviour("tell");
    run_slack(&function).await;
    world.edge.fail(Fault::always(METADATA, Kind::Silent));
    let began = Instant::now();
    assert_eq!(run_slack(&function).await["cache"], "stale");
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn a_download_that_is_too_slow_ends_with_its_share_of_the_time() {
    let world = World::new().await;
    world.publish("1.0", "--------").await;
    let mut config = world.monitor_runner();
    config.timeout = Duration::from_secs(4);
    let function = world.lambda.create(config);
    for kind in [Kind::Slow(1000), Kind::StallAt(1000)] {
        world.edge.fail(Fault::always(BINARY, kind.clone()));
        let began = Instant::now();
        let (error_type, message) = error_of(&function).await;
        assert_eq!(error_type, "Timeout", "{kind:?}: {message}");
        assert!(
            began.elapsed() < Duration::from_millis(3500),
            "half of the time is for the monitor"
        );
        world.edge.heal();
    }
}

#[tokio::test]
async fn the_cdn_comes_back() {
    let world = World::new().await;
    world.publish("1.0", "--------").await;
    let function = world.with_behaviour("tell");
    world.edge.stop().await;
    let (error_type, message) = error_of(&function).await;
    assert_eq!(error_type, "Upstream");
    assert!(
        message.contains("could not reach http://127.0.0.1")
            && message.contains("onnection refused"),
        "{message}"
    );
    world.edge.resume().await.unwrap();
    assert_eq!(run_slack(&function).await["cache"], "miss");
    // A connection of the pool that died meanwhile is not noticed.
    world.edge.stop().await;
    world.edge.resume().await.unwrap();
    assert_eq!(run_slack(&function).await["cache"], "hit");
}

#[tokio::test]
async fn a_packed_binary_is_unpacked_and_checked_unpacked() {
    let world = World::new().await;
    let packed = local_aws::publish::NewRelease {
        gzip: true,
        ..release("1.0", "unpacked")
    };
    world.publisher.publish(&packed).await.unwrap();
    let function = world.with_behaviour("tell");
    let run = run_slack(&function).await;
    assert_eq!(run["result"]["marker"], "unpacked");
    assert!(run["downloaded_bytes"].as_u64().unwrap() < run["binary_size"].as_u64().unwrap());

    function.fresh().await;
    for (kind, said) in [
        (Kind::Flip(5_000), ""),
        (Kind::Body(b"no gzip".to_vec()), "is not the gzip file"),
        (Kind::EndAt(5_000), ""),
    ] {
        world.edge.fail(Fault::always(BINARY, kind.clone()));
        let (error_type, message) = error_of(&function).await;
        assert_eq!(error_type, "Integrity", "{kind:?}: {message}");
        assert!(message.contains(said), "{kind:?}: {message}");
        world.edge.heal();
    }
}

#[tokio::test]
async fn a_small_packed_file_that_unpacks_to_a_huge_one_is_stopped() {
    let world = World::new().await;
    world.publish("1.0", "--------").await;
    let packed = local_aws::publish::NewRelease {
        gzip: true,
        ..release("1.0", "--------")
    };
    world.publisher.publish(&packed).await.unwrap();
    world.edge.clear();
    // 1 GiB of zeros in 1 MiB.
    let bomb = {
        use std::io::Write as _;
        let mut packing = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        let zeros = vec![0; 1 << 20];
        (0..256).for_each(|_| packing.write_all(&zeros).unwrap());
        packing.finish().unwrap()
    };
    world.edge.fail(Fault::always(BINARY, Kind::Body(bomb)));
    let (error_type, message) = error_of(&world.with_behaviour("tell")).await;
    assert_eq!(error_type, "Integrity");
    assert!(message.contains("where the metadata says"), "{message}");
}

#[tokio::test]
async fn a_full_disk_is_said_to_be_full_and_the_old_binary_stays() {
    let world = World::new().await;
    world.publish("0.9", "old-----").await;
    let small = SmallDisk::mount(8);
    let Some(small) = small else {
        return limited_file_size(&world).await;
    };
    let mut config = world
        .monitor_runner()
        .env("CACHE_DIR", small.path.to_string_lossy());
    config.freeze = false;
    let function = world.lambda.create(config);
    run_slack(&function).await;

    world.publish("1.0", "new-----").await;
    world.edge.clear();
    let (error_type, message) = error_of(&function).await;
    assert_eq!(error_type, "Internal");
    assert!(
        message.contains("no space for") && message.contains("more ephemeral storage"),
        "{message}"
    );
    assert!(
        std::fs::read(small.path.join("watchy-slack-monitor"))
            .unwrap()
            .ends_with(b"old-----")
    );
}

/// Where nothing may be mounted: a limit of a file's size fails the same write.
async fn limited_file_size(world: &World) {
    let mut config = world.monitor_runner();
    config.command.splice(
        0..0,
        ["/bin/sh", "-c", "ulimit -f 1000; exec \"$0\""].map(PathBuf::from),
    );
    let (error_type, message) = error_of(&world.lambda.create(config)).await;
    assert_eq!(error_type, "Internal");
    assert!(message.contains("no space for"), "{message}");
}

/// A file system of a few megabytes.
struct SmallDisk {
    path: PathBuf,
    _dir: tempfile::TempDir,
}

impl SmallDisk {
    fn mount(megabytes: u32) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_owned();
        let size = format!("size={megabytes}m");
        let mut mount = std::process::Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(&path)
            .stderr(std::process::Stdio::null());
        mount
            .status()
            .is_ok_and(|status| status.success())
            .then_some(Self { path, _dir: dir })
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount")
            .arg("--lazy")
            .arg(&self.path)
            .status();
    }
}

#[tokio::test]
async fn two_processes_at_once_download_once() {
    let world = World::new().await;
    world.publish("1.0", "--------").await;
    let shared = tempfile::tempdir().unwrap();
    let config = world
        .monitor_runner()
        .env("CACHE_DIR", shared.path().to_string_lossy());
    // Slow enough for both to find nothing on the disk.
    let size = release("1.0", "--------").binary.len();
    world.edge.fail(Fault::always(BINARY, Kind::Slow(size)));
    let function = world.lambda.create(config);
    let (one, other) = tokio::join!(run_slack(&function), run_slack(&function));

    let mut states = [
        one["cache"].as_str().unwrap(),
        other["cache"].as_str().unwrap(),
    ];
    states.sort_unstable();
    assert_eq!(states, ["hit", "miss"]);
    let downloads = world
        .edge
        .take_requests()
        .into_iter()
        .filter(|request| request.path.ends_with(BINARY));
    assert_eq!(downloads.count(), 1);
}

#[tokio::test]
async fn with_the_cache_off_every_run_downloads_and_nothing_is_kept() {
    let world = World::new().await;
    world.publish("1.0", "--------").await;
    let function = world.lambda.create(
        world
            .monitor_runner()
            .env("CACHE_ENABLED", "false")
            .env("CACHE_DIR", TMP),
    );
    for _ in 0..2 {
        assert_eq!(run_slack(&function).await["reason"], "first_use");
        let left = std::fs::read_dir(function.environment().unwrap().tmp())
            .unwrap()
            .count();
        assert_eq!(left, 0);
    }
}

#[tokio::test]
async fn unreadable_info_and_a_missing_file_are_told_apart() {
    let world = World::new().await;
    world.publish("1.0", "--------").await;
    let function = world.with_behaviour("tell");
    run_slack(&function).await;
    let tmp = function.environment().unwrap().tmp().to_owned();
    let reason = async |what: &str| {
        function.environment().unwrap().kill().await;
        let run = run_slack(&function).await;
        assert_eq!(run["cache"], "miss", "{what}");
        run["reason"].as_str().unwrap().to_owned()
    };
    std::fs::write(tmp.join("watchy-slack-cache.json"), "{").unwrap();
    assert_eq!(reason("info").await, "info_unreadable");
    std::fs::remove_file(tmp.join("watchy-slack-cache.json")).unwrap();
    assert_eq!(reason("no info").await, "info_unreadable");
    std::fs::remove_file(tmp.join("watchy-slack-monitor")).unwrap();
    assert_eq!(reason("no file").await, "file_missing");

    // The same version with other bytes, as a careless pipeline publishes it.
    world.publish("1.0", "rebuilt-").await;
    world.edge.clear();
    let run = run_slack(&function).await;
    assert_eq!(
        (&run["reason"], &run["result"]["marker"]),
        (&json!("checksum_changed"), &json!("rebuilt-"))
    );
}
