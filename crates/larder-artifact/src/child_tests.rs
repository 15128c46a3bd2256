use std::{os::unix::fs::PermissionsExt as _, path::PathBuf};

use super::*;

/// A shell script as an image, in a directory of its own.
fn script(body: &str) -> (tempfile::TempDir, Image) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("program");
    std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o500)).unwrap();
    (dir, Image::Path(path))
}

async fn run(body: &str, time: Duration) -> (Ended, String, String) {
    let (dir, image) = script(body);
    let arg0 = PathBuf::from("program");
    let finished = Child::new(&image, &arg0)
        .env("GIVEN", "this")
        .run(&Homes::new(dir.path()), time)
        .await
        .unwrap();
    let left = std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(left, 1, "its directory is removed");
    let text = |tail: Tail| String::from_utf8(tail.finish().0).unwrap();
    (finished.ended, text(finished.stdout), text(finished.stderr))
}

const LONG: Duration = Duration::from_secs(30);

fn is_running(pid: &str) -> bool {
    // A zombie has no command line.
    std::fs::read(format!("/proc/{}/cmdline", pid.trim())).is_ok_and(|line| !line.is_empty())
}

#[tokio::test]
async fn exit_code_and_both_outputs_come_back() {
    let (ended, stdout, stderr) = run("echo out; echo err >&2; exit 3", LONG).await;
    assert_eq!(
        (ended, stdout.as_str(), stderr.as_str()),
        (Ended::Exit(3), "out\n", "err\n")
    );
    assert_eq!(run("kill -9 $$", LONG).await.0, Ended::Signal(9));
}

#[tokio::test]
async fn it_gets_no_environment_but_what_it_was_given() {
    let (_, stdout, _) = run("env | sort | cut -d= -f1 | tr '\\n' ' '; cat", LONG).await;
    assert_eq!(
        stdout, "GIVEN HOME LANG PATH PWD TMPDIR ",
        "and its input is empty"
    );
}

#[tokio::test]
async fn it_starts_in_an_empty_directory_that_nobody_else_may_read() {
    let (_, stdout, _) = run("pwd; ls -A; umask; touch made; stat -c %a . made", LONG).await;
    let lines: Vec<&str> = stdout.lines().collect();
    assert!(lines[0].contains("/.run-"), "{stdout}");
    assert_eq!(lines[1..], ["0077", "700", "600"]);
}

#[tokio::test]
async fn limits_are_set_and_privileges_cannot_be_gained() {
    let (_, stdout, _) = run(
        "ulimit -c; ulimit -n; ulimit -t; grep NoNewPrivs /proc/self/status",
        LONG,
    )
    .await;
    let lines: Vec<&str> = stdout.lines().skip(1).collect();
    assert_eq!(lines, ["1024", "600", "NoNewPrivs:\t1"]);
}

#[tokio::test]
async fn a_program_that_hangs_is_asked_then_ended() {
    let began = Instant::now();
    let (ended, stdout, _) = run(
        "trap 'echo asked; exit 0' TERM; sleep 60 & wait",
        Duration::from_secs(1),
    )
    .await;
    assert_eq!((ended, stdout.as_str()), (Ended::TimedOut, "asked\n"));
    let (ended, ..) = run("trap '' TERM; sleep 60", Duration::from_secs(1)).await;
    assert_eq!(ended, Ended::TimedOut);
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn what_it_leaves_in_its_group_ends_with_it_and_holds_nobody_up() {
    let began = Instant::now();
    let (ended, stdout, _) = run("sleep 60 & echo $!", LONG).await;
    assert_eq!(ended, Ended::Exit(0));
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "the output that it holds open is not waited for"
    );
    assert!(!is_running(&stdout));
}

/// Other tests run children at the same time, and as long as any runs none is ended as left behind.
async fn ends_soon(pid: &str) -> bool {
    for _ in 0..200 {
        if !is_running(pid) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        // With this run's end, which may be the last one.
        run("true", LONG).await;
    }
    false
}

#[tokio::test]
async fn what_leaves_its_group_ends_with_the_last_that_runs() {
    set_child_subreaper(Some(getpid())).unwrap();
    // A daemon: its parent is gone while the program that it is for runs on.
    let daemon = "(setsid sh -c 'echo $$; exec sleep 60' &); sleep 0.5";
    let check = "kill -0 $(cat \"$DAEMON\") && echo alive";
    let dir = tempfile::tempdir().unwrap();
    let pid_file = dir.path().join("daemon");
    let body = format!(
        "({daemon}) > {0}; sleep 0.5; DAEMON={0}; {check}; cat {0}",
        pid_file.display()
    );
    let others = async {
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_millis(80)).await;
            run("true", LONG).await;
        }
    };
    let ((_, stdout, stderr), ()) = tokio::join!(run(&body, LONG), others);
    let (alive, pid) = stdout.split_once('\n').unwrap();
    assert_eq!(alive, "alive", "another's end is not its own: {stderr}");
    assert!(ends_soon(pid).await, "{pid}");
}

#[tokio::test]
async fn of_a_flood_the_end_is_kept() {
    let (_, stdout, _) = run("head -c 3000000 /dev/zero | tr '\\0' x; echo end", LONG).await;
    assert_eq!(stdout.len(), 1 << 20);
    assert!(stdout.ends_with("xend\n"));
}

#[tokio::test]
async fn dropping_the_run_ends_the_program() {
    let (dir, image) = script("echo $$ > \"$PIDFILE\"; sleep 60");
    let (pidfile, homes) = (dir.path().join("pid"), Homes::new(dir.path()));
    let arg0 = PathBuf::from("program");
    let running = Child::new(&image, &arg0)
        .env("PIDFILE", &pidfile)
        .run(&homes, LONG);
    assert!(
        tokio::time::timeout(Duration::from_millis(500), running)
            .await
            .is_err()
    );
    let pid = std::fs::read_to_string(&pidfile).unwrap();
    for _ in 0..100 {
        if !is_running(&pid) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{pid} still runs");
}

#[tokio::test]
async fn a_busy_program_file_is_tried_again() {
    let (dir, image) = script("echo ran");
    let homes = Homes::new(dir.path());
    let Image::Path(path) = &image else {
        panic!("a path")
    };
    // Written by this process, as if a child had been forked during the download.
    let writer = std::fs::OpenOptions::new().write(true).open(path);
    let writer = writer.or_else(|_| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))?;
        std::fs::OpenOptions::new().write(true).open(path)
    });
    let arg0 = PathBuf::from("program");
    let running = Child::new(&image, &arg0).run(&homes, LONG);
    let release = async {
        tokio::time::sleep(Duration::from_millis(30)).await;
        drop(writer.unwrap());
    };
    let (finished, ()) = tokio::join!(running, release);
    assert_eq!(finished.unwrap().stdout.finish().0, b"ran\n");
}

#[tokio::test]
async fn a_script_with_windows_line_endings_names_its_interpreter() {
    for first in ["#!/bin/sh\r\n", "#!/usr/bin/env sh\r\n"] {
        let (dir, image) = script("");
        let path = dir.path().join("program");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        std::fs::write(&path, format!("{first}echo\r\n")).unwrap();
        let homes = Homes::new(dir.path());
        let run = Child::new(&image, &path).run(&homes, LONG).await;
        let told = run.unwrap_err().to_string();
        let named = first.trim_start_matches("#!").trim_end_matches('\n');
        assert!(told.contains(&format!("{named:?}")), "{told}");
        assert!(told.contains("carriage return"), "{told}");
    }
}

#[tokio::test]
async fn a_script_in_memory_is_refused_with_the_remedy() {
    let mut copy = crate::image::Unsealed::create(None).unwrap();
    std::io::Write::write_all(&mut copy, b"#!/bin/sh\necho\n").unwrap();
    let image = copy.seal().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let homes = Homes::new(dir.path());
    let child = Child::new(&image, Path::new("program"));
    let told = child.run(&homes, LONG).await.unwrap_err().to_string();
    assert!(
        told.contains("script") && told.contains("EXEC_MODE"),
        "{told}"
    );
}
