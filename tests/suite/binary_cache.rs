//! One test for every bug of binary caches that others shipped, named as the sentence that forbids
//! it.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use local_aws::edge::{Fault, Kind};
use serde_json::json;

use crate::world::{World, begin_slack, invoke, run_slack, wait_for};

fn binary_of(tmp: &Path) -> std::path::PathBuf {
    tmp.join("watchy-slack-monitor")
}

#[tokio::test]
async fn a_hit_notices_that_the_cached_file_was_truncated_or_replaced() {
    let world = World::new().await;
    world.publish("1.0", "the-good").await;
    let function = world.with_behaviour("tell");
    assert_eq!(run_slack(&function).await["cache"], "miss");
    let binary = binary_of(function.environment().unwrap().tmp());
    let good = fs::read(&binary).unwrap();

    let truncated = good[..good.len() / 2].to_vec();
    let replaced = [&good[..good.len() - 8], b"the-evil"].concat();
    for (what, bytes) in [("truncated", truncated), ("replaced", replaced)] {
        assert_eq!(
            run_slack(&function).await["cache"],
            "hit",
            "before it is {what}"
        );
        fs::set_permissions(&binary, fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(&binary, bytes).unwrap();

        let run = run_slack(&function).await;
        assert_eq!(
            (&run["cache"], &run["reason"]),
            (&json!("miss"), &json!("file_changed")),
            "{what}"
        );
        assert_eq!(run["result"]["marker"], "the-good", "{what}");
        assert_eq!(fs::read(&binary).unwrap(), good, "{what}");
    }

    // The same for a process that has not seen the file before.
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(&binary, [&good[..good.len() - 8], b"the-evil"].concat()).unwrap();
    function.environment().unwrap().kill().await;
    let run = run_slack(&function).await;
    assert_eq!(
        (&run["cache"], &run["reason"]),
        (&json!("miss"), &json!("file_changed"))
    );
    assert_eq!(run["result"]["marker"], "the-good");
}

/// Whether a half-written file lies in `tmp`.
fn has_leftovers(tmp: &Path) -> bool {
    let mut entries = fs::read_dir(tmp).unwrap();
    entries.any(|entry| {
        entry
            .unwrap()
            .file_name()
            .to_string_lossy()
            .ends_with(".part")
    })
}

#[tokio::test]
async fn an_interrupted_download_leaves_the_old_binary_runnable() {
    let world = World::new().await;
    world.publish("1.0", "old-----").await;
    let function = world.with_behaviour("tell");
    run_slack(&function).await;

    world.publish("2.0", "new-----").await;
    world.edge.clear();
    world
        .edge
        .fail(Fault::always("monitor-2.0", Kind::CutAt(100_000)));
    let run = run_slack(&function).await;
    assert_eq!(
        (&run["cache"], &run["version"]),
        (&json!("stale"), &json!("1.0"))
    );
    assert_eq!(run["result"]["marker"], "old-----");
    assert!(
        run["warning"].as_str().unwrap().contains("could not reach"),
        "{run}"
    );
}

#[tokio::test]
async fn a_process_killed_during_a_download_leaves_the_old_binary_runnable() {
    let world = World::new().await;
    world.publish("1.0", "old-----").await;
    let function = world.with_behaviour("tell");
    run_slack(&function).await;
    world.publish("2.0", "new-----").await;
    world.edge.clear();
    world
        .edge
        .fail(Fault::always("monitor-2.0", Kind::StallAt(100_000)));
    let environment = function.environment().unwrap();
    let running = begin_slack(&function);
    wait_for("the download", || has_leftovers(environment.tmp())).await;
    environment.kill().await;
    assert_eq!(
        running.await.unwrap().error().unwrap().error_type,
        "Runtime.ExitError"
    );

    world.edge.stop().await;
    let run = run_slack(&function).await;
    assert_eq!(
        (&run["cache"], &run["version"]),
        (&json!("stale"), &json!("1.0"))
    );
    assert_eq!(run["result"]["marker"], "old-----");

    world.edge.resume().unwrap();
    world.edge.heal();
    let run = run_slack(&function).await;
    assert_eq!(
        (&run["cache"], &run["reason"]),
        (&json!("miss"), &json!("version_changed"))
    );
    assert_eq!(run["result"]["marker"], "new-----");
    assert!(
        !has_leftovers(environment.tmp()),
        "what the killed process left is gone"
    );
}

#[tokio::test]
async fn the_versioned_url_is_fetched_never_latest() {
    let world = World::new().await;
    world.publish("1.0", "old-----").await;
    let function = world.with_behaviour("tell");
    run_slack(&function).await;
    // The mutable object runs ahead of the metadata, as it does on a CDN for minutes.
    world
        .publisher
        .upload(&crate::world::release("2.0", "new-----"))
        .await
        .unwrap();
    world.edge.clear();
    function.fresh().await;

    let run = run_slack(&function).await;
    assert_eq!(
        (&run["version"], &run["result"]["marker"]),
        (&json!("1.0"), &json!("old-----"))
    );
    let paths: Vec<String> = world
        .edge
        .take_requests()
        .into_iter()
        .map(|request| request.path)
        .collect();
    assert_eq!(
        paths,
        [
            "/binaries/slack-monitor/metadata.json",
            "/binaries/slack-monitor/watchy-slack-monitor-1.0",
            "/binaries/slack-monitor/metadata.json",
            "/binaries/slack-monitor/watchy-slack-monitor-1.0",
        ]
    );
}

#[tokio::test]
async fn an_unreachable_cdn_runs_the_last_verified_binary_and_says_stale() {
    let world = World::new().await;
    world.publish("1.0", "verified").await;
    let function = world.with_behaviour("tell");
    run_slack(&function).await;

    world.edge.stop().await;
    let outcome = invoke(&function, json!({ "monitor": "slack" })).await;
    let run = &outcome.json().unwrap()["results"][0];
    assert_eq!(
        (&run["cache"], &run["result"]["marker"]),
        (&json!("stale"), &json!("verified"))
    );
    assert!(
        outcome
            .messages()
            .iter()
            .any(|line| line.contains("which may not be the newest"))
    );
    assert_eq!(outcome.metrics()[0]["Stale"], 1);

    // A new process knows it from the disk, signature and all.
    function.environment().unwrap().kill().await;
    let run = run_slack(&function).await;
    assert_eq!(
        (&run["cache"], &run["result"]["marker"]),
        (&json!("stale"), &json!("verified"))
    );

    // But it does not go on for ever.
    let environment = function.environment().unwrap();
    let info_path = environment.tmp().join("watchy-slack-cache.json");
    let mut info: serde_json::Value =
        serde_json::from_slice(&fs::read(&info_path).unwrap()).unwrap();
    for time in ["cached_at", "confirmed_at"] {
        info[time] = json!(info[time].as_f64().unwrap() - 86_401.0);
    }
    fs::write(&info_path, info.to_string()).unwrap();
    environment.kill().await;
    let error = invoke(&function, json!({ "monitor": "slack" }))
        .await
        .error()
        .unwrap()
        .clone();
    assert_eq!(error.error_type, "Upstream");
}

#[tokio::test]
async fn a_newer_release_that_cannot_be_had_confirms_nothing() {
    let world = World::new().await;
    world.publish("1.0", "--------").await;
    let function = world
        .lambda
        .create(world.monitor_runner().env("STALE_BINARY_SECONDS", "1"));
    run_slack(&function).await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;

    // Its metadata can be had again and again; that must not keep the old one standing in.
    world.publish("2.0", "++++++++").await;
    let newer = "/binaries/slack-monitor/watchy-slack-monitor-2.0";
    world.edge.clear();
    world.edge.fail(Fault::always(newer, Kind::Status(503)));
    for _ in 0..2 {
        let outcome = invoke(&function, json!({ "monitor": "slack" })).await;
        assert_eq!(
            outcome.error().unwrap().error_type,
            "Upstream",
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn the_monitors_child_cannot_read_the_functions_credentials() {
    let world = World::new().await;
    world.publish("1.0", "--------").await;
    let mut config = world
        .monitor_runner()
        .env("MONITOR_ENV_API_TOKEN", "for-the-monitor")
        .env("DATABASE_PASSWORD", "not-for-the-monitor");
    if rustix::process::getuid().is_root() {
        // Root may read everything; a function is not root.
        config.user = Some(65534);
    }
    let function = world.lambda.create(config);
    let told = run_slack(&function).await["result"].clone();

    assert_eq!(told["parent_environ"], "PermissionDenied", "{told}");
    assert_eq!(told["parent_mem"], "PermissionDenied", "{told}");
    let mut env: Vec<&str> = told["env"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap())
        .collect();
    env.sort_unstable();
    assert_eq!(
        env,
        [
            "API_TOKEN",
            "HOME",
            "LANG",
            "MONITOR_NAME",
            "PATH",
            "TMPDIR",
            "WATCHY_AWS_REQUEST_ID",
            "WATCHY_TIMESTAMP"
        ]
    );
}

#[tokio::test]
async fn pretty_printed_and_last_line_json_results_are_both_read() {
    let world = World::new().await;
    world.publish("1.0", "--------").await;
    let result = |behaviour: &'static str| {
        let function = world.with_behaviour(behaviour);
        async move { run_slack(&function).await["result"].clone() }
    };
    assert_eq!(
        result("pretty").await,
        json!({ "ok": true, "nested": { "n": 1 } })
    );
    assert_eq!(
        result("last line").await,
        json!({ "status": "operational" })
    );
    assert_eq!(result("tell").await["type"], "result");
    assert_eq!(
        result("log lines").await,
        json!({ "type": "result", "ok": true })
    );
    assert_eq!(result("silent").await, json!(null));
}

#[tokio::test]
async fn a_failed_monitor_run_is_a_lambda_error() {
    let world = World::new().await;
    world.publish("1.0", "--------").await;
    let function = world.lambda.create(
        world
            .monitor_runner()
            .env("MONITOR_ENV_BEHAVIOUR", "fail")
            .env("MONITOR_ENV_TOKEN", "hunter22"),
    );
    let outcome = invoke(&function, json!({ "monitor": "slack" })).await;
    let error = outcome
        .error()
        .expect("an error, not an answer that tells of one");
    assert_eq!(error.error_type, "Upstream");
    assert!(error.message.contains("exited with code 3"), "{error:?}");
    assert!(error.message.contains("about to fail"), "{error:?}");
    assert_eq!(outcome.metrics()[0]["Error"], 1);
    assert!(
        !outcome.logs.concat().contains("hunter22") && !error.message.contains("hunter22"),
        "a secret got out"
    );

    let outcome = invoke(
        &world.with_behaviour("crash"),
        json!({ "monitor": "slack" }),
    )
    .await;
    assert!(
        outcome
            .error()
            .unwrap()
            .message
            .contains("ended by signal 6"),
        "{outcome:?}"
    );
}
