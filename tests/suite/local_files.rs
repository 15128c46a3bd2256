//! monitor-runner and its own files: what it keeps, shares, finds changed, and cannot write.

use std::path::PathBuf;

use local_aws::{
    edge::{Fault, Kind},
    lambda::{Function, TMP},
    publish::NewRelease,
};
use serde_json::{Value, json};

use crate::world::{World, begin_slack, error_of, invoke, release, run_slack, wait_for};

const BINARY: &str = "monitor-1.0";

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
    let documents = outcome.metrics();
    let of_monitors = documents.iter().filter(|it| it.get("Monitor").is_some());
    assert_eq!(
        (documents.len(), of_monitors.count()),
        (2, 1),
        "one document an invocation, and one a monitor"
    );
    assert_eq!(documents[0]["ColdStart"], 1);

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

/// Has `function` run 0.9, then asks for 1.0, for which there is no room beside it.
async fn runs_the_old_one_and_says_why(world: &World, function: &Function, newer: NewRelease) {
    assert_eq!(run_slack(function).await["version"], "0.9");
    world.publisher.publish(&newer).await.unwrap();
    world.edge.clear();
    for process in ["the same process", "a new one"] {
        let run = run_slack(function).await;
        let old = (&json!("stale"), &json!("0.9"), &json!("old-----"));
        let ran = (&run["cache"], &run["version"], &run["result"]["marker"]);
        assert_eq!(ran, old, "{process}: {run}");
        let warning = run["warning"].as_str().unwrap();
        assert!(
            warning.contains("no space for") && warning.contains("more ephemeral storage"),
            "{process}: {warning}"
        );
        function.environment().unwrap().kill().await;
    }
}

#[tokio::test]
async fn a_disk_with_room_for_one_binary_runs_the_old_one_and_says_why() {
    let world = World::new().await;
    world.publish("0.9", "old-----").await;
    let size = release("0.9", "old-----").binary.len();
    let disks = (SmallDisk::mount(size * 3 / 2), SmallDisk::mount(size / 2));
    let (Some(small), Some(too_small)) = disks else {
        eprintln!("skipped: nothing may be mounted here; the test with a bound on files covers it");
        return;
    };
    let on = |disk: &SmallDisk| {
        let mut config = world
            .monitor_runner()
            .env("CACHE_DIR", disk.path.to_string_lossy());
        config.freeze = false;
        world.lambda.create(config)
    };
    runs_the_old_one_and_says_why(&world, &on(&small), release("1.0", "new-----")).await;
    assert!(
        std::fs::read(small.path.join("watchy-slack-monitor"))
            .unwrap()
            .ends_with(b"old-----")
    );

    // With nothing to fall back on it is an error.
    let (error_type, message) = error_of(&on(&too_small)).await;
    assert_eq!(error_type, "Internal");
    assert!(message.contains("no space for"), "{message}");
}

#[tokio::test]
async fn a_file_that_may_not_be_as_long_as_its_release_leaves_the_old_one_running() {
    let world = World::new().await;
    world.publish("0.9", "old-----").await;
    let old = release("0.9", "old-----").binary;
    let newer = NewRelease::new(
        "slack",
        "1.0",
        [&old[..old.len() - 8], &vec![0; 4 << 20], b"new-----"].concat(),
    );
    let mut config = world.monitor_runner();
    // In blocks of 512 bytes: room for the old one and its neighbours, and 2 MiB.
    let limited = format!(
        "trap '' XFSZ; ulimit -f {}; exec \"$0\"",
        (old.len() + (2 << 20)) / 512
    );
    config
        .command
        .splice(0..0, ["/bin/sh", "-c", &limited].map(PathBuf::from));
    let function = world.lambda.create(config);
    runs_the_old_one_and_says_why(&world, &function, newer).await;
}

#[tokio::test]
async fn a_lock_file_that_became_a_link_is_replaced() {
    let world = World::new().await;
    world.publish("1.0", "old-----").await;
    let function = world.with_behaviour("tell");
    run_slack(&function).await;
    let tmp = function.environment().unwrap().tmp().to_owned();
    let lock = tmp.join("watchy-slack-monitor.lock");
    let elsewhere = tmp.join("elsewhere");
    std::fs::write(&elsewhere, "untouched").unwrap();
    for (version, marker, target) in [
        ("2.0", "new-----", elsewhere.as_path()),
        ("3.0", "newest--", std::path::Path::new("/nothing")),
    ] {
        std::fs::remove_file(&lock).unwrap();
        std::os::unix::fs::symlink(target, &lock).unwrap();
        world.publish(version, marker).await;
        world.edge.clear();
        let run = run_slack(&function).await;
        assert_eq!(
            (&run["cache"], &run["version"]),
            (&json!("miss"), &json!(version))
        );
        assert!(lock.symlink_metadata().unwrap().is_file());
        assert_eq!(std::fs::read(&elsewhere).unwrap(), b"untouched");
    }
}

#[tokio::test]
async fn a_write_that_fails_half_way_leaves_nothing() {
    let world = World::new().await;
    world.publish("1.0", "--------").await;
    let mut config = world.monitor_runner();
    // A file of 500 kB at most; a write past it is an error, as Lambda has it, and not a signal.
    let limited = "trap '' XFSZ; ulimit -f 1000; exec \"$0\"";
    config
        .command
        .splice(0..0, ["/bin/sh", "-c", limited].map(PathBuf::from));
    let function = world.lambda.create(config);
    let (error_type, message) = error_of(&function).await;
    assert_eq!(error_type, "Internal", "{message}");
    assert!(message.contains("no space for"), "{message}");
    let left = std::fs::read_dir(function.environment().unwrap().tmp()).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert!(
        left.iter()
            .all(|name| name.to_string_lossy().ends_with(".lock")),
        "{left:?}"
    );
}

/// A file system of its own.
pub(crate) struct SmallDisk {
    pub(crate) path: PathBuf,
    _dir: tempfile::TempDir,
}

impl SmallDisk {
    /// One of as many bytes, to a whole page; none where nothing may be mounted.
    pub(crate) fn mount(bytes: usize) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_owned();
        let size = format!("size={bytes}");
        let mut mount = std::process::Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(&path)
            .stderr(std::process::Stdio::null());
        mount
            .status()
            .is_ok_and(|status| status.success())
            .then(|| Self { path, _dir: dir })
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
            .env("EXEC_MODE", "memfd")
            .env("CACHE_DIR", TMP),
    );
    for _ in 0..3 {
        assert_eq!(run_slack(&function).await["reason"], "first_use");
        // An empty directory for the next child may stay.
        let tmp = function.environment().unwrap().tmp().to_owned();
        let left = std::fs::read_dir(tmp).unwrap().filter(|entry| {
            let inside = std::fs::read_dir(entry.as_ref().unwrap().path());
            inside.map_or(1, Iterator::count) != 0
        });
        assert_eq!(left.count(), 0);
        let pid = function.environment().unwrap().pid().await.unwrap();
        let Ok(open) = std::fs::read_dir(format!("/proc/{pid}/fd")) else {
            // The process is closed to all but root.
            continue;
        };
        let in_memory = open.filter(|entry| {
            let target = std::fs::read_link(entry.as_ref().unwrap().path());
            target.is_ok_and(|target| target.to_string_lossy().contains("memfd"))
        });
        assert_eq!(in_memory.count(), 0, "not in memory either");
    }
}

#[tokio::test]
async fn with_the_cache_off_a_process_that_is_killed_leaves_no_binary_for_good() {
    let world = World::new().await;
    world.publish("1.0", "--------").await;
    let function = world.lambda.create(
        world
            .monitor_runner()
            .env("CACHE_ENABLED", "false")
            .env("MONITOR_ENV_BEHAVIOUR", "hang"),
    );
    let running = begin_slack(&function);
    let binaries = || -> Option<Vec<PathBuf>> {
        let tmp = function.environment().ok()?.tmp().to_owned();
        let inside = std::fs::read_dir(tmp).ok()?.flatten();
        let inside = inside.map(|entry| entry.path().join("watchy-slack-monitor"));
        Some(inside.filter(|binary| binary.exists()).collect())
    };
    wait_for("the binary", || {
        binaries().is_some_and(|binaries| !binaries.is_empty())
    })
    .await;
    let left = binaries().unwrap();
    function.environment().unwrap().kill().await;
    running.await.unwrap();
    assert!(left.iter().all(|binary| binary.exists()), "{left:?}");

    world.edge.stop().await;
    error_of(&function).await;
    assert!(!left.iter().any(|binary| binary.exists()), "{left:?}");
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
