//! What `make run` and `make dev` start, started as they do.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::world::program;

#[test]
fn a_run_shows_that_the_second_time_downloads_nothing() {
    let output = Command::new(program("local-aws"))
        .args(["run", "--json"])
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
    assert_eq!(events, ["one", "schedule", "several"]);
    assert_eq!(rows[0]["first_use"]["cache"][0], "miss");
    for row in rows {
        for state in row["warm"]["cache"].as_array().unwrap() {
            assert_eq!(state, "hit", "{row}");
        }
        assert!(row["bytes_not_downloaded"].as_u64().unwrap() > 0, "{row}");
    }
    let kept =
        std::fs::read(local_aws::moto::workspace_root().join("target/run/summary.json")).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&kept).unwrap(), report);
}

#[test]
fn a_stack_left_running_fires_its_schedule_and_ends_with_all_it_started() {
    let mut dev = Command::new(program("local-aws"))
        .args(["dev", "--tick", "1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(dev.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let fired = lines.find(|line| line.contains("Using cached Slack binary"));
    assert!(fired.is_some(), "the schedule fired twice");

    let ids = descendants(dev.id());
    assert!(ids.len() >= 3, "moto, cargo-lambda and a function: {ids:?}");
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(i32::try_from(dev.id()).unwrap()).unwrap(),
        rustix::process::Signal::INT,
    )
    .unwrap();
    assert_eq!(dev.wait().unwrap().code(), Some(130));
    let deadline = Instant::now() + Duration::from_secs(10);
    while ids.iter().any(|id| is_running(*id)) {
        assert!(Instant::now() < deadline, "something of {ids:?} still runs");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn is_running(pid: u32) -> bool {
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}

fn descendants(pid: u32) -> Vec<u32> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task"))
        .unwrap()
        .flatten();
    let lists =
        threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    let children: Vec<u32> = lists
        .flat_map(|list| {
            list.split_ascii_whitespace()
                .map(|id| id.parse().unwrap())
                .collect::<Vec<u32>>()
        })
        .collect();
    children
        .iter()
        .copied()
        .chain(children.iter().flat_map(|child| descendants(*child)))
        .collect()
}
