//! monitor-runner and the processes that it starts.

use std::time::{Duration, Instant};

use local_servers::helper::descendants;
use serde_json::{Value, json};

use crate::world::{World, begin_slack, invoke, is_running, release, run_slack, wait_for};

#[tokio::test]
async fn a_monitor_that_hangs_is_ended_and_told_of_as_a_timeout() {
    let world = World::new().await;
    world.publish("1.0", "--------").await;
    let config = world
        .monitor_runner()
        .env("MONITOR_ENV_BEHAVIOUR", "hang")
        .env("MONITOR_TIMEOUT_SECONDS", "1");
    let function = world.lambda.create(config);
    let began = Instant::now();
    let outcome = invoke(&function, json!({ "monitor": "slack" })).await;
    let error = outcome.error().unwrap();
    assert_eq!(error.error_type, "Timeout", "{error:?}");
    assert!(
        error.message.contains("did not end within its time"),
        "{error:?}"
    );
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_monitor_never_outlives_the_invocations_own_deadline() {
    let world = World::new().await;
    world.publish("1.0", "--------").await;
    let mut config = world.monitor_runner().env("MONITOR_ENV_BEHAVIOUR", "hang");
    config.timeout = Duration::from_secs(2);
    let outcome = invoke(&world.lambda.create(config), json!({ "monitor": "slack" })).await;
    // Its own error, not Lambda's "Task timed out".
    assert_eq!(
        outcome.error().unwrap().error_type,
        "Timeout",
        "{outcome:?}"
    );
    assert_eq!(
        outcome.metrics()[0]["Error"],
        1,
        "and there was time for its metrics"
    );
}

#[tokio::test]
async fn a_monitor_that_will_not_end_costs_no_other_its_result() {
    let world = World::new().await;
    world.publish("1.0", "--------").await;
    let mut stubborn = release("1.0", "--------");
    "stubborn".clone_into(&mut stubborn.monitor);
    world.publisher.publish(&stubborn).await.unwrap();
    let mut config = world
        .monitor_runner()
        .env("MONITOR_ENV_BEHAVIOUR", "be stubborn");
    config.timeout = Duration::from_secs(4);
    let event = json!({ "monitors": ["stubborn", "slack"] });
    let outcome = invoke(&world.lambda.create(config), event).await;

    let answer = outcome.json().unwrap();
    assert_eq!(
        (&answer["processed"], &answer["errors"]),
        (&json!(1), &json!(1))
    );
    let error = &answer["results"][0]["error"];
    assert_eq!(error["type"], "Timeout", "{outcome:?}");
    let message = error["message"].as_str().unwrap();
    assert!(
        message.contains("I stay"),
        "it is told what it said: {message}"
    );
    assert_eq!(answer["results"][1]["monitor"], "slack");
    let metrics = &outcome.metrics()[0];
    let counted = ["Hits", "Misses", "MonitorErrors"].map(|name| metrics[name].clone());
    assert_eq!(counted, [json!(0), json!(2), json!(1)]);
}

#[tokio::test]
async fn whatever_a_monitor_leaves_running_ends_with_it() {
    let world = World::new().await;
    world.publish("1.0", "--------").await;
    let began = Instant::now();
    let run = run_slack(&world.with_behaviour("leave children")).await;
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "their open output is not waited for"
    );
    let pids = run["result"]["pids"].as_array().unwrap();
    assert_eq!(pids.len(), 3);
    for pid in pids {
        let pid = u32::try_from(pid.as_u64().unwrap()).unwrap();
        assert_ne!(pid, 0);
        assert!(!is_running(pid), "{pid} of {pids:?}");
    }
}

#[tokio::test]
async fn a_fork_bomb_is_bounded() {
    let world = World::new().await;
    world.publish("1.0", "--------").await;
    let mut config = world
        .monitor_runner()
        .env("MONITOR_ENV_BEHAVIOUR", "fork bomb");
    if rustix::process::getuid().is_root() {
        // The limit does not hold for root, as which no function runs.
        config.user = Some(65533);
    }
    let run = run_slack(&world.lambda.create(config)).await;
    let started = run["result"]["started"].as_u64().unwrap();
    assert!((1..2_000).contains(&started), "{started}");
}

#[tokio::test]
async fn a_function_that_is_killed_takes_what_its_monitor_started_with_it() {
    let world = World::new().await;
    world.publish("1.0", "--------").await;
    let function = world.with_behaviour("hang with children");
    // Starts the process and no monitor.
    invoke(&function, json!({})).await;
    let environment = function.environment().unwrap();
    let pid = environment.pid().await.unwrap().try_into().unwrap();
    let running = begin_slack(&function);
    // The monitor and the three that it starts, one of which has left its group.
    let mut below = Vec::new();
    wait_for("the monitor's children", || {
        below = descendants(pid);
        below.len() == 4
    })
    .await;
    environment.kill().await;
    running.await.unwrap();
    wait_for("their end", || !below.iter().any(|pid| is_running(*pid))).await;
}

#[tokio::test]
async fn a_flood_is_read_to_its_end_and_costs_no_more_memory_than_its_tail() {
    let world = World::new().await;
    world.publish("1.0", "--------").await;
    let function = world.with_behaviour("flood");
    assert_eq!(
        run_slack(&function).await["result"],
        json!({ "flooded": true })
    );
    let peak = function
        .environment()
        .unwrap()
        .memory_kib("VmHWM")
        .await
        .unwrap();
    assert!(peak < 100 * 1024, "{peak} KiB for 250 MB of output");
}

#[tokio::test]
async fn a_file_that_grows_without_end_is_stopped_and_removed() {
    let world = World::new().await;
    world.publish("1.0", "--------").await;
    let function = world.with_behaviour("big file");
    let outcome = invoke(&function, json!({ "monitor": "slack" })).await;
    // SIGXFSZ, signal 25.
    assert!(
        outcome.error().unwrap().message.contains("signal 25"),
        "{outcome:?}"
    );
    let left: Vec<_> = std::fs::read_dir(function.environment().unwrap().tmp())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with(".run-"))
        .collect();
    assert_eq!(left, Vec::<String>::new());
}

#[tokio::test]
async fn several_monitors_run_and_one_failure_stops_no_other() {
    let world = World::new().await;
    world.publish("1.0", "--------").await;
    let function = world.with_behaviour("tell");
    let outcome = invoke(&function, json!({ "monitors": ["slack", "missing"] })).await;
    let answer = outcome.json().unwrap();
    assert_eq!(
        (&answer["processed"], &answer["errors"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(answer["results"][0]["exit_code"], 0);
    let failed = &answer["results"][1];
    assert_eq!(
        (&failed["monitor"], &failed["error"]["type"]),
        (&json!("missing"), &json!("NotFound"))
    );
    assert!(
        failed["error"]["message"]
            .as_str()
            .unwrap()
            .contains("missing-monitor/metadata.json answered 404")
    );

    let outcome = invoke(&function, json!({ "monitors": ["missing", "lost"] })).await;
    let error = outcome.error().unwrap();
    assert_eq!(error.error_type, "NotFound");
    assert!(
        error.message.contains("missing: ") && error.message.contains("; lost: "),
        "{error:?}"
    );
}

#[tokio::test]
async fn each_exec_mode_runs_from_where_it_says() {
    let world = World::new().await;
    world.publish("1.0", "--------").await;
    let exe = async |mode: &str| {
        let function = world
            .lambda
            .create(world.monitor_runner().env("EXEC_MODE", mode));
        let mut seen = Vec::new();
        for _ in 0..2 {
            let told: Value = run_slack(&function).await["result"].clone();
            assert!(
                told["arg0"]
                    .as_str()
                    .unwrap()
                    .ends_with("/watchy-slack-monitor"),
                "{told}"
            );
            seen.push(told["exe"].as_str().unwrap().to_owned());
        }
        // A process that finds the file on disk makes the same of it.
        function.environment().unwrap().kill().await;
        seen.push(
            run_slack(&function).await["result"]["exe"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
        seen
    };
    for path in exe("memfd").await {
        assert!(path.starts_with("/memfd:"), "{path}");
    }
    for path in exe("path").await {
        assert!(path.ends_with("/watchy-slack-monitor"), "{path}");
    }
    // The marker behind this program looks like the payload of one that unpacks itself.
    for path in exe("auto").await {
        assert!(path.ends_with("/watchy-slack-monitor"), "{path}");
    }
}

#[tokio::test]
async fn a_frozen_function_goes_on_where_it_was() {
    let world = World::new().await;
    world.publish("1.0", "--------").await;
    let function = world.with_behaviour("tell");
    run_slack(&function).await;
    let environment = function.environment().unwrap();
    let pid = environment.pid().await.unwrap();
    let stopped = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit(") ").next().unwrap().starts_with('T')
    };
    wait_for("the freeze", stopped).await;
    // The connection that the pool keeps dies meanwhile.
    world.edge.stop().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    world.edge.resume().unwrap();
    assert_eq!(run_slack(&function).await["cache"], "hit");
    assert_eq!(environment.pid().await, Some(pid), "the same process");
}

#[tokio::test]
async fn concurrent_requests_in_one_process_share_one_download() {
    let world = World::new().await;
    world.publish("1.0", "--------").await;
    let mut config = world.monitor_runner();
    config.concurrency = 4;
    let function = world.lambda.create(config);
    let runs = tokio::join!(
        run_slack(&function),
        run_slack(&function),
        run_slack(&function),
        run_slack(&function)
    );
    let runs = [runs.0, runs.1, runs.2, runs.3];
    let misses = runs.iter().filter(|run| run["cache"] == "miss").count();
    assert_eq!(misses, 1, "{runs:?}");
    assert!(runs.iter().all(|run| run["result"]["marker"] == "--------"));
    function.environment().unwrap();
}

#[tokio::test]
async fn the_schedule_runs_what_the_settings_list() {
    let world = World::new().await;
    world.publish("1.0", "--------").await;
    let function = world
        .lambda
        .create(world.monitor_runner().env("MONITORS", "slack,missing"));
    let event = json!({
        "version": "0", "id": "89d1a02d-5ec7-412e-82f5-13505f849b41", "detail-type": "Scheduled Event",
        "source": "aws.events", "account": "123456789012", "time": "2026-11-21T00:00:00Z", "region": "us-east-1",
        "resources": ["arn:aws:events:us-east-1:123456789012:rule/monitors"], "detail": {},
    });
    let answer = invoke(&function, event).await.json().unwrap();
    assert_eq!(
        (&answer["processed"], &answer["errors"]),
        (&json!(1), &json!(1))
    );
}

#[tokio::test]
async fn a_bad_event_is_refused_before_anything_is_asked() {
    let world = World::new().await;
    let function = world.with_behaviour("tell");
    for (event, said) in [
        (json!({ "monitor": "../../etc/passwd" }), "../../etc/passwd"),
        (
            json!({ "monitor": "slack", "force": true }),
            "unknown field `force`",
        ),
        (json!({}), "`monitor`"),
        (json!([]), "invalid event"),
    ] {
        let outcome = invoke(&function, event.clone()).await;
        let error = outcome.error().unwrap();
        assert_eq!(error.error_type, "BadRequest", "{event}: {error:?}");
        assert!(error.message.contains(said), "{event}: {error:?}");
    }
    assert_eq!(world.edge.take_requests(), []);
}

#[tokio::test]
async fn wrong_settings_stop_the_function_at_its_start_with_all_of_them_named() {
    let world = World::new().await;
    let config = world
        .monitor_runner()
        .env("EXEC_MODE", "memory")
        .env("MONITORS", "A b")
        .env("TRUSTED_KEYS", "");
    let outcome = invoke(&world.lambda.create(config), json!({ "monitor": "slack" })).await;
    let error = outcome.error().unwrap();
    assert_eq!(error.error_type, "Internal");
    for name in [
        "EXEC_MODE",
        "MONITORS",
        "TRUSTED_KEYS",
        "3 settings are invalid",
    ] {
        assert!(error.message.contains(name), "{name}: {error:?}");
    }
}
