//! What `make run` and `make dev` start, started as they do.

use std::{
    io::{BufRead as _, BufReader, Read},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal};
use serde_json::{Value, json};

use local_servers::helper::descendants;

use crate::world::{is_running, program};

/// The events of monitor-runner, of both functions that count minutes, of report-generator and of cdn-invalidator.
const EVENTS: [&[&str]; 4] = [
    &["one", "schedule", "several"],
    &[
        "all",
        "schedule",
        "history",
        "read",
        "schedule",
        "state-change",
    ],
    &[
        "english",
        "invalidate",
        "prewarm",
        "report",
        "schedule",
        "url",
    ],
    &[
        "monitor",
        "object-created",
        "paths",
        "queue",
        "status",
        "templates",
    ],
];

#[test]
fn a_run_shows_that_the_second_time_downloads_nothing() {
    let output = Command::new(program("local-aws"))
        .args(["run", "--json"])
        // Nothing of the user's own gets in the way.
        .envs([
            ("HTTP_PROXY", "http://127.0.0.1:9"),
            ("http_proxy", "http://127.0.0.1:9"),
            ("CACHE_ENABLED", "false"),
            ("AWS_PROFILE", "of-the-user"),
        ])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = report["rows"].as_array().unwrap();
    let events: Vec<&str> = rows
        .iter()
        .map(|row| row["event"].as_str().unwrap())
        .collect();
    let [runner, minutes, reports, _] = EVENTS;
    assert_eq!(events, EVENTS.concat());
    assert_eq!(rows[0]["first_use"]["cache"][0], "miss");
    let (runner, rest) = rows.split_at(runner.len());
    let (minutes, rest) = rest.split_at(minutes.len());
    let (reports, invalidations) = rest.split_at(reports.len());
    for row in runner {
        for state in row["warm"]["cache"].as_array().unwrap() {
            assert_eq!(state, "hit", "{row}");
        }
        assert!(row["bytes_not_downloaded"].as_u64().unwrap() > 0, "{row}");
    }
    assert_eq!(minutes[0]["warm"]["cache"][0], "12 servers, 5 look-ups");
    for row in [&minutes[3], &minutes[5]] {
        let said = row["warm"]["cache"][0].as_str().unwrap();
        assert!(said.starts_with("cache: "), "{row}");
    }
    check_reports(reports);
    check_invalidations(invalidations, &report["publishing"]);
    let steps = report["findings"]["steps"].as_array().unwrap();
    let events: Vec<_> = steps.iter().map(|step| &step["events"]).collect();
    assert_eq!(
        json!(events),
        json!([[], ["ok -> active"], [], ["active -> ok"]])
    );
    let kept =
        std::fs::read(local_servers::helper::workspace_root().join("target/run/summary.json"))
            .unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&kept).unwrap(), report);
}

/// Reports are made once, and their pictures are left for people.
fn check_reports(reports: &[Value]) {
    for (row, first, warm) in [
        (0, "generated", "hit (memory)"),
        (1, "forgotten", "forgotten"),
        (2, "2 generated, 0 there", "0 generated, 2 there"),
        (3, "generated", "hit (memory)"),
        (5, "hit (memory)", "hit (memory)"),
    ] {
        let row = &reports[row];
        assert_eq!(row["first_use"]["cache"][0], first, "{row}");
        assert_eq!(row["warm"]["cache"][0], warm, "{row}");
    }
    for (name, begins) in [
        ("DBS19.png", b"\x89PNG".to_vec()),
        ("DBS19.th.pdf", b"%PDF".to_vec()),
        ("DBS19.en.pdf", b"%PDF".to_vec()),
    ] {
        let path = local_servers::helper::workspace_root()
            .join("target/run")
            .join(name);
        assert!(std::fs::read(path).unwrap().starts_with(&begins), "{name}");
    }
}

/// What is asked for twice is billed once, and a release is stale until it is invalidated.
fn check_invalidations(rows: &[Value], publishing: &Value) {
    for (row, first, warm) in [
        (0, "submitted: 2 billed", "skipped: 0 billed"),
        (2, "submitted: 3 billed", "skipped: 0 billed"),
        (4, "completed: 0 billed", "completed: 0 billed"),
        (5, "submitted: 1 billed", "skipped: 0 billed"),
    ] {
        let row = &rows[row];
        assert_eq!(row["first_use"]["cache"][0], first, "{row}");
        assert_eq!(row["warm"]["cache"][0], warm, "{row}");
    }
    let steps = publishing["steps"].as_array().unwrap();
    let versions: Vec<_> = steps.iter().map(|step| &step["version"]).collect();
    let [before, stale, fresh, run] = versions.as_slice() else {
        panic!("{steps:?}")
    };
    assert_eq!(before, stale, "published, and not yet to be had: {steps:?}");
    assert_ne!(stale, fresh, "invalidated");
    assert_eq!(fresh, run);
    assert_eq!(steps[2]["billed_paths"], 2.0);
    let burst = &publishing["burst"];
    assert_eq!(burst["objects"], 60);
    assert!(burst["billed_paths"].as_u64().unwrap() <= 3, "{burst}");
}

#[test]
fn unknown_network_is_refused_by_name() {
    let mut command = Command::new(program("local-aws"));
    let output = command.args(["run", "--network", "moon"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("use one of loopback, region, vpc"), "{said}");
    assert_eq!(output.status.code(), Some(2));
}

/// A running `local-aws dev`, ended with the test however that ends.
struct Dev(Child);

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The lines of `output` so far, read on until it ends: or the pipe would fill up and hold who writes.
fn read_on(output: impl Read + Send + 'static) -> Arc<Mutex<Vec<String>>> {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let read = Arc::clone(&lines);
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            read.lock().unwrap().push(line);
        }
    });
    lines
}

#[test]
fn a_stack_left_running_fires_its_schedule_and_ends_with_all_it_started() {
    fires_and_ends("loopback");
}

/// The binary too comes through the network's proxy, for a download must be on its metadata's origin.
#[test]
fn stack_behind_a_network_fires_its_schedule_and_ends_with_all_it_started() {
    fires_and_ends("region");
}

fn fires_and_ends(network: &str) {
    let dev = Command::new(program("local-aws"))
        .args(["dev", "--tick", "1", "--network", network])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut dev = Dev(dev.unwrap());
    let said = read_on(dev.0.stdout.take().unwrap());
    let told = read_on(dev.0.stderr.take().unwrap());
    let has = |lines: &Mutex<Vec<String>>, text: &str| {
        lines.lock().unwrap().iter().any(|line| line.contains(text))
    };
    let deadline = Instant::now() + Duration::from_mins(2);
    while !has(&said, "larder-artifact: Using cached Slack binary") {
        let lines = said.lock().unwrap().join("\n");
        assert!(
            Instant::now() < deadline,
            "the schedule fired twice: {lines}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    for door in [
        "/",
        "/reports/DBS19",
        "/reports/DBS19/chart.png",
        "/line/webhook",
    ] {
        let url = format!("/lambda-url/report-generator{door}");
        assert!(has(&told, &url), "{url}");
    }
    // Functions may start slowly, even if they are built while others start: no invocation fails for that.
    for trouble in ["could not fire", "non-200 response"] {
        let (said, told) = (said.lock().unwrap(), told.lock().unwrap());
        let mut lines = said.iter().chain(told.iter());
        assert_eq!(lines.find(|line| line.contains(trouble)), None);
    }
    // Log lines are for people here, and metric documents for CloudWatch alone.
    for raw in ["\"_aws\"", "{\"timestamp\""] {
        assert!(!has(&said, raw), "{:?}", said.lock().unwrap());
    }

    let ids = descendants(dev.0.id());
    assert!(ids.len() >= 3, "moto, cargo-lambda and a function: {ids:?}");
    let pid = Pid::from_raw(dev.0.id().try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, Signal::INT).unwrap();
    assert_eq!(dev.0.wait().unwrap().code(), Some(130));
    let deadline = Instant::now() + Duration::from_secs(10);
    while ids.iter().any(|id| is_running(*id)) {
        assert!(Instant::now() < deadline, "something of {ids:?} still runs");
        std::thread::sleep(Duration::from_millis(20));
    }
}
