//! A monitor for tests: behaves as the variable `BEHAVIOUR` says, and tells what it sees of the
//! world.

use std::{
    fs,
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::process::{CommandExt as _, parent_id},
    process::{Command, ExitCode, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

/// How many bytes from its own end it tells: releases are told apart by what is appended to this
/// program.
const MARKER: u64 = 8;

#[expect(
    clippy::disallowed_methods,
    reason = "a monitor is told what to do by its environment"
)]
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

fn main() -> ExitCode {
    match variable("BEHAVIOUR").as_str() {
        "hang" => std::thread::sleep(Duration::from_hours(1)),
        "be stubborn" if variable("MONITOR_NAME") == "stubborn" => {
            say_on_stderr("I stay\n");
            let error = Command::new("sh")
                .args(["-c", "trap '' TERM; while :; do sleep 1; done"])
                .exec();
            say_on_stderr(&error.to_string());
        }
        "fail" => {
            say_on_stderr("about to fail with token hunter22\n");
            return ExitCode::from(3);
        }
        "crash" => std::process::abort(),
        "silent" => {}
        "pretty" => say(&format!(
            "starting\n{:#}\n",
            json!({ "ok": true, "nested": { "n": 1 } })
        )),
        "log lines" => {
            say("{\"type\":\"result\",\"ok\":true}\n{\"level\":\"info\",\"message\":\"bye\"}\n");
        }
        "last line" => {
            say("{\"status\":\"starting\"}\nnot JSON\n{\"status\":\"operational\"}\ndone\n");
        }
        "say" => say(&variable("SAY")),
        "flood" => {
            let line = "x".repeat(1023) + "\n";
            (0..250_000).for_each(|_| say(&line));
            say("{\"flooded\":true}\n");
        }
        "leave children" => leave_children(),
        "hang with children" => {
            leave_children();
            std::thread::sleep(Duration::from_hours(1));
        }
        "fork bomb" => fork_bomb(),
        "big file" => big_file(),
        _ => say(&format!("{}\n", tell())),
    }
    ExitCode::SUCCESS
}

fn say(text: &str) {
    // Whoever does not want to hear it has closed the pipe.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn say_on_stderr(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// What it is, what it was given and what it can read.
fn tell() -> Value {
    let parent = |file: &str| {
        let path = format!("/proc/{}/{file}", parent_id());
        let read = fs::File::open(path).and_then(|mut file| file.read(&mut [0; 64]));
        read.map_or_else(
            |error| format!("{:?}", error.kind()),
            |_| "readable".to_owned(),
        )
    };
    let env: Vec<String> = std::env::vars_os()
        .map(|(name, _)| name.to_string_lossy().into_owned())
        .collect();
    let exe = fs::read_link("/proc/self/exe").unwrap_or_default();
    json!({
        "type": "result",
        "marker": marker().unwrap_or_default(),
        "exe": exe.to_string_lossy(),
        "arg0": std::env::args().next(),
        "env": env,
        "parent_environ": parent("environ"),
        "parent_mem": parent("mem"),
        "uid": fs::read_to_string("/proc/self/status").ok().and_then(|status| {
            status.lines().find_map(|line| line.strip_prefix("Uid:\t")?.split('\t').next().map(str::to_owned))
        }),
    })
}

fn marker() -> std::io::Result<String> {
    let mut program = fs::File::open("/proc/self/exe")?;
    program.seek(SeekFrom::End(-i64::try_from(MARKER).unwrap_or_default()))?;
    let mut end = Vec::new();
    program.read_to_end(&mut end)?;
    Ok(String::from_utf8_lossy(&end).into_owned())
}

/// Starts one process in its own group and one that leaves it, and tells their ids.
fn leave_children() {
    let start = |command: &mut Command| {
        let child = command.stdin(Stdio::null()).spawn();
        child.map(|child| child.id()).unwrap_or_default()
    };
    let stays = start(Command::new("sleep").arg("300"));
    let leaves = start(Command::new("setsid").args(["sleep", "300"]));
    let other_group = start(Command::new("sleep").arg("300").process_group(0));
    std::thread::sleep(Duration::from_millis(200));
    say(&format!(
        "{}\n",
        json!({ "pids": [stays, leaves, other_group] })
    ));
}

/// Starts processes until it may not any more, and tells how many it could.
fn fork_bomb() {
    let mut count = 0;
    while count < 5_000 && Command::new("sleep").arg("300").spawn().is_ok() {
        count += 1;
    }
    say(&format!("{}\n", json!({ "started": count })));
}

/// Writes a file until it may not any more.
fn big_file() {
    if let Ok(mut file) = fs::File::create("big") {
        let megabyte = vec![0; 1 << 20];
        while file.write_all(&megabyte).is_ok() {}
    }
}
