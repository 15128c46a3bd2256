//! The local Lambda, and the run loop of every function on it.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use local_aws::lambda::{Config, CpuShare};
use local_servers::helper::python;
use serde_json::{Value, json};

use crate::world::{create, invoke, obedient, program, wait_for};

#[tokio::test]
async fn the_deadline_is_lambdas_and_known() {
    let mut config = obedient();
    config.timeout = Duration::from_secs(7);
    let left = invoke(&*create(config).await, json!({ "time_left": null }))
        .await
        .json()
        .unwrap();
    assert_eq!(left["known"], true);
    assert!(
        (6_000..=7_000).contains(&left["ms"].as_u64().unwrap()),
        "{left}"
    );
}

#[tokio::test]
async fn cpu_share_holds_the_process_and_what_it_starts() {
    let mut config = obedient();
    config.memory_mib = 256;
    config.cpu_share = true;
    let function = create(config).await;
    let answer = invoke(&function, json!({ "time_left": null })).await;
    assert!(answer.result.is_ok(), "{answer:?}");
    let environment = function.environment().unwrap();
    let pid = environment.pid().await.unwrap();
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    // Where this user may not limit CPU time, the share is left out.
    let allowed = CpuShare::create(256).is_ok();
    assert_eq!(environment.cpu_share().is_some(), allowed);
    assert_eq!(groups.contains("/larder-"), allowed, "{groups}");
    let descriptor = std::fs::read_link(format!("/proc/{pid}/fd/0")).unwrap();
    assert_eq!(descriptor.to_string_lossy(), "/dev/null");
}

#[tokio::test]
async fn a_handler_that_overruns_ends_as_a_timeout_of_its_own_and_the_process_lives() {
    let mut config = obedient();
    config.timeout = Duration::from_secs(1);
    let function = create(config).await;
    let outcome = invoke(&function, json!({ "sleep_ms": 60_000 })).await;
    let error = outcome.error().unwrap();
    assert_eq!(error.error_type, "Timeout");
    assert!(error.message.contains("not done within"), "{error:?}");
    let after = invoke(&function, json!({ "sleep_ms": 0 }))
        .await
        .json()
        .unwrap();
    assert_eq!(after["cold_start"], false);
}

#[tokio::test]
async fn a_process_that_does_not_answer_is_killed_and_its_tmp_stays() {
    let mut config = Config::new("stuck", python().unwrap());
    config.timeout = Duration::from_secs(1);
    // Asks for an event, then sleeps for ever; what it left in /tmp tells the next process.
    let script = "
import os, time, urllib.request
open(os.environ['CACHE_DIR'] + '/starts', 'a').write('x')
api = 'http://' + os.environ['AWS_LAMBDA_RUNTIME_API'] + '/2018-06-01/runtime/invocation/next'
urllib.request.urlopen(api).read()
time.sleep(3600)
";
    config.command.extend(["-c", script].map(PathBuf::from));
    let config = config.env("CACHE_DIR", "{tmp}");
    let function = create(config).await;
    for starts in 1..=2 {
        let began = Instant::now();
        let outcome = invoke(&function, json!({})).await;
        let error = outcome.error().unwrap();
        assert_eq!(error.error_type, "Sandbox.Timedout", "{outcome:?}");
        assert!(
            error.message.contains("Task timed out after 1.00 seconds"),
            "{error:?}"
        );
        assert!(outcome.init.is_some() && began.elapsed() < Duration::from_secs(5));
        let environment = function.environment().unwrap();
        assert_eq!(environment.pid().await, None, "it is gone");
        assert_eq!(
            std::fs::read(environment.tmp().join("starts"))
                .unwrap()
                .len(),
            starts
        );
    }
}

#[tokio::test]
async fn errors_come_with_the_whole_chain_and_panics_are_survived() {
    let function = create(obedient()).await;
    let outcome = invoke(&function, json!({ "fail": "the cause" })).await;
    assert_eq!(
        outcome.error().unwrap().payload(),
        json!({ "errorType": "Upstream", "errorMessage": "the cause" })
    );

    let outcome = invoke(&function, json!({ "panic": "a bug" })).await;
    assert_eq!(outcome.error().unwrap().error_type, "Internal");
    let lines = outcome.messages();
    assert!(
        lines.contains(&"The function panicked: a bug".to_owned()),
        "{lines:?}"
    );
    assert_eq!(
        outcome.metrics()[0]["Error"],
        1,
        "a panic's metrics are written as well"
    );
    let pid = function.environment().unwrap().pid().await;
    assert_eq!(
        invoke(&function, json!({ "echo": [0, false, ""] }))
            .await
            .json()
            .unwrap(),
        json!([0, false, ""])
    );
    assert_eq!(function.environment().unwrap().pid().await, pid);

    let outcome = invoke(&function, json!({ "exit": 9 })).await;
    let error = outcome.error().unwrap();
    assert_eq!(error.error_type, "Runtime.ExitError");
    assert!(
        error
            .message
            .ends_with("Runtime exited with error: exit status 9"),
        "{error:?}"
    );
    assert_eq!(
        invoke(&function, json!({ "sleep_ms": 0 }))
            .await
            .json()
            .unwrap()["cold_start"],
        true
    );
}

#[tokio::test]
async fn an_event_that_does_not_parse_is_a_bad_request_in_the_parsers_words() {
    let function = create(obedient()).await;
    let outcome = invoke(&function, json!({ "dance": 1 })).await;
    let error = outcome.error().unwrap();
    assert_eq!(error.error_type, "BadRequest");
    assert!(
        error
            .message
            .contains("invalid event: unknown variant `dance`"),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_init_that_fails_is_reported_and_one_that_dies_is_noticed() {
    let outcome = invoke(
        &*create(obedient().env("INIT", "fails")).await,
        json!({ "sleep_ms": 0 }),
    )
    .await;
    assert_eq!(
        outcome.error().unwrap().payload(),
        json!({ "errorType": "Internal", "errorMessage": "the function could not start: could not read the settings: no such key" })
    );
    assert!(
        outcome
            .logs
            .iter()
            .any(|line| line.contains("could not read the settings: no such key"))
    );

    let outcome = invoke(
        &*create(obedient().env("INIT", "exits")).await,
        json!({ "sleep_ms": 0 }),
    )
    .await;
    assert!(
        outcome
            .error()
            .unwrap()
            .message
            .ends_with("with error: exit status 7"),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn logs_are_json_with_the_request_and_metrics_are_one_document() {
    let function = create(
        obedient()
            .env("AWS_LAMBDA_LOG_LEVEL", "INFO")
            .env("METRICS_NAMESPACE", "Mine"),
    )
    .await;
    let first = invoke(&function, json!({ "echo": 1 })).await;
    assert!(
        first
            .logs
            .iter()
            .all(|line| serde_json::from_str::<Value>(line).is_ok()),
        "{:?}",
        first.logs
    );
    let line = first
        .log_records()
        .into_iter()
        .find(|record| record["message"] == "Obeying")
        .unwrap();
    assert_eq!(line["span"]["requestId"], json!(first.request_id));
    assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));

    let metrics = first.metrics();
    assert_eq!(metrics.len(), 1);
    let directive = &metrics[0]["_aws"]["CloudWatchMetrics"][0];
    assert_eq!(directive["Namespace"], "Mine");
    assert_eq!(directive["Dimensions"], json!([["FunctionName"]]));
    assert_eq!(
        (
            &metrics[0]["FunctionName"],
            &metrics[0]["ColdStart"],
            &metrics[0]["Orders"]
        ),
        (&json!("obedient"), &json!(1), &json!(1))
    );
    assert_eq!(
        invoke(&function, json!({ "echo": 1 })).await.metrics()[0]["ColdStart"],
        0
    );
}

#[tokio::test]
async fn between_invocations_the_process_is_frozen() {
    let function = create(obedient()).await;
    invoke(&function, json!({ "sleep_ms": 0 })).await;
    let environment = function.environment().unwrap();
    let pid = environment.pid().await.unwrap();
    let state = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit(") ").next().unwrap().chars().next().unwrap()
    };
    wait_for("the freeze", || state() == 'T').await;
    assert_eq!(
        invoke(&function, json!({ "sleep_ms": 0 }))
            .await
            .json()
            .unwrap()["cold_start"],
        false
    );
}

#[tokio::test]
async fn a_second_request_at_the_same_time_gets_an_environment_of_its_own() {
    let function = create(obedient()).await;
    let slow = json!({ "sleep_ms": 300 });
    let (one, other) = tokio::join!(invoke(&function, slow.clone()), invoke(&function, slow));
    for outcome in [one, other] {
        assert!(outcome.init.is_some());
        assert_eq!(outcome.json().unwrap()["cold_start"], true);
    }
    assert!(function.environment().is_err(), "two");
}

#[tokio::test]
async fn with_concurrency_one_process_serves_several_at_once() {
    let mut config = obedient();
    config.concurrency = 3;
    let function = create(config).await;
    invoke(&function, json!({ "sleep_ms": 0 })).await;
    // Each waits until all three are there.
    let dir = tempfile::tempdir().unwrap();
    let meet = || invoke(&function, json!({ "meet": [dir.path(), 3] }));
    let outcomes = tokio::join!(meet(), meet(), meet());
    for outcome in [outcomes.0, outcomes.1, outcomes.2] {
        assert_eq!(outcome.json().unwrap()["cold_start"], false);
    }
}

#[tokio::test]
async fn a_fresh_environment_has_a_new_process_and_an_empty_tmp() {
    let function = create(obedient()).await;
    invoke(&function, json!({ "sleep_ms": 0 })).await;
    let first = function.environment().unwrap();
    let pid = first.pid().await.unwrap();
    std::fs::write(first.tmp().join("kept"), "").unwrap();
    function.fresh().await;
    assert!(
        !PathBuf::from(format!("/proc/{pid}/exe")).exists(),
        "the old one has ended"
    );
    assert_eq!(
        invoke(&function, json!({ "sleep_ms": 0 }))
            .await
            .json()
            .unwrap()["cold_start"],
        true
    );
    assert!(!function.environment().unwrap().tmp().join("kept").exists());
}

#[tokio::test]
async fn an_asynchronous_event_is_tried_three_times_then_handed_over() {
    let mut config = obedient();
    config.retry_delays = [Duration::from_millis(20), Duration::from_millis(40)];
    let function = create(config).await;
    function
        .invoke_event(json!({ "echo": 1 }).to_string())
        .await
        .unwrap();
    assert_eq!(function.failed_events(), Vec::<Value>::new());

    function
        .invoke_event(json!({ "fail": "always" }).to_string())
        .await
        .unwrap();
    let failed = function.failed_events();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0]["requestContext"]["approximateInvokeCount"], 3);
    assert_eq!(failed[0]["requestContext"]["condition"], "RetriesExhausted");
    assert_eq!(failed[0]["requestPayload"], json!({ "fail": "always" }));
    assert_eq!(failed[0]["responsePayload"]["errorMessage"], "always");
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_an_error() {
    let function = create(obedient()).await;
    let outcome = invoke(&function, json!({ "answer": 7_000_000 })).await;
    assert_eq!(
        outcome.error().unwrap().error_type,
        "Function.ResponseSizeTooLarge"
    );
    assert_eq!(
        invoke(&function, json!({ "answer": 6_000_000 }))
            .await
            .json()
            .unwrap()
            .as_str()
            .unwrap()
            .len(),
        6_000_000
    );
}

#[tokio::test]
async fn a_function_that_is_started_by_hand_says_how_to_start_it() {
    let output = tokio::process::Command::new(program("obedient-function"))
        .env_remove("AWS_LAMBDA_RUNTIME_API")
        .output()
        .await
        .unwrap();
    assert!(!output.status.success());
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("make dev"),
        "{output:?}"
    );
}

#[tokio::test]
async fn a_function_sees_lambdas_variables_and_not_the_hosts() {
    let function = create(obedient()).await;
    let variable = async |name: &str| {
        invoke(&function, json!({ "environment": name }))
            .await
            .json()
            .unwrap()
    };
    assert_eq!(variable("AWS_LAMBDA_FUNCTION_NAME").await, "obedient");
    assert_eq!(variable("AWS_LAMBDA_FUNCTION_MEMORY_SIZE").await, "512");
    assert_eq!(variable("AWS_REGION").await, "us-east-1");
    assert_eq!(variable("CARGO_MANIFEST_DIR").await, Value::Null);
}
