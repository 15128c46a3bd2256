//! A function's process and everything below it.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncWriteExt as _, BufReader},
    process::{Child, Command},
    sync::watch,
};

use super::{CpuShare, lock};

/// Lines that a process wrote.
pub(super) type Log = Arc<Mutex<Vec<String>>>;

/// A running process. Dropping it kills all that is below it.
#[derive(Debug)]
pub(super) struct Process {
    pid: Pid,
    /// How it ended, in Lambda's words; none while it runs.
    ended: watch::Receiver<Option<String>>,
}

/// Shell script that waits for a line and then becomes the program that its arguments name.
const WHEN_TOLD: &str = r#"read -r _; exec "$0" "$@" < /dev/null"#;

/// All that a process is started with.
#[derive(Debug)]
pub(super) struct Start<'a> {
    /// The program and its arguments.
    pub(super) command: &'a [PathBuf],
    /// Its variables; it gets no others.
    pub(super) env: &'a BTreeMap<String, String>,
    /// The user that it runs as; this process's own if unset.
    pub(super) user: Option<u32>,
    /// The group that it is in from its first instruction on.
    pub(super) cpu_share: Option<&'a CpuShare>,
}

impl Start<'_> {
    /// Starts the process, and collects what it writes in `log`.
    pub(super) async fn process(&self, log: &Log) -> anyhow::Result<Process> {
        let mut child = self.spawn()?;
        let pid = child
            .id()
            .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?))
            .context("it ended at once")?;
        if let (Some(share), Some(mut stdin)) = (self.cpu_share, child.stdin.take()) {
            share.add(Pid::as_raw_nonzero(pid).get())?;
            stdin.write_all(b"\n").await?;
        }
        collect(child.stdout.take(), log);
        collect(child.stderr.take(), log);
        let (tell, ended) = watch::channel(None);
        tokio::spawn(async move { tell.send_replace(Some(how_it_ended(child).await)) });
        Ok(Process { pid, ended })
    }

    fn spawn(&self) -> anyhow::Result<Child> {
        let (program, args) = self
            .command
            .split_first()
            .context("a function needs a program")?;
        let mut command = if self.cpu_share.is_some() {
            let mut shell = Command::new("/bin/sh");
            shell
                .args(["-c", WHEN_TOLD])
                .arg(program)
                .stdin(Stdio::piped());
            shell
        } else {
            let mut command = Command::new(program);
            command.stdin(Stdio::null());
            command
        };
        command
            .args(args)
            .env_clear()
            .envs(self.env)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .process_group(0);
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        larder_artifact::end_with_parent(&mut command);
        command
            .spawn()
            .with_context(|| format!("could not start {}", program.display()))
    }
}

impl Process {
    /// Waits for its end and says how it came.
    pub(super) async fn ended(&self) -> String {
        let mut ended = self.ended.clone();
        let how = ended.wait_for(Option::is_some).await.map(|how| how.clone());
        how.ok().flatten().unwrap_or_default()
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.borrow().is_some()
    }

    pub(super) fn freeze(&self) {
        self.each(|pid| send(pid, Signal::STOP));
    }

    pub(super) fn thaw(&self) {
        self.each(|pid| send(pid, Signal::CONT));
    }

    /// Asks it to end, and kills it if it has not within `grace`.
    pub(super) async fn terminate(&self, grace: Duration) {
        self.thaw();
        send(self.pid, Signal::TERM);
        if tokio::time::timeout(grace, self.ended()).await.is_err() {
            self.kill();
            self.ended().await;
        }
    }

    pub(super) fn kill(&self) {
        // Stopped first: what is below a process that is gone already could not be found any more.
        let mut all = Vec::new();
        self.each(|pid| {
            send(pid, Signal::STOP);
            all.push(pid);
        });
        for pid in all {
            send(pid, Signal::KILL);
        }
    }

    /// A field of `/proc/<pid>/status` in KiB, such as `VmHWM`, the most memory that it held at any
    /// time.
    pub(super) fn memory_kib(&self, field: &str) -> Option<u64> {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.pid.as_raw_nonzero())).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
        line.trim().strip_suffix(" kB")?.parse().ok()
    }

    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    fn each(&self, mut act: impl FnMut(Pid)) {
        if !self.has_ended() {
            each_below(self.pid, &mut act);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Sends a signal to a process that may be gone already.
fn send(pid: Pid, signal: Signal) {
    let _ = kill_process(pid, signal);
}

/// Acts on a process and then on everything below it: one that is stopped from the top starts no
/// other in between.
fn each_below(pid: Pid, act: &mut impl FnMut(Pid)) {
    act(pid);
    let threads = std::fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero()));
    for thread in threads.into_iter().flatten().flatten() {
        let children = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        for child in children
            .split_ascii_whitespace()
            .filter_map(|id| Pid::from_raw(id.parse().ok()?))
        {
            each_below(child, act);
        }
    }
}

async fn how_it_ended(mut child: Child) -> String {
    match child.wait().await {
        Ok(status) if status.success() => "without providing a reason".to_owned(),
        // "exit status: 1" and "signal: 9 (SIGKILL)" are what Lambda writes too, but for the colon.
        Ok(status) => format!("with error: {}", status.to_string().replacen(": ", " ", 1)),
        Err(error) => format!("with error: {error}"),
    }
}

fn collect(pipe: Option<impl AsyncRead + Unpin + Send + 'static>, log: &Log) {
    let Some(pipe) = pipe else { return };
    let log = Arc::clone(log);
    tokio::spawn(async move {
        let mut reader = BufReader::new(pipe);
        let mut line = Vec::new();
        while let Ok(1..) = reader.read_until(b'\n', &mut line).await {
            lock(&log).push(String::from_utf8_lossy(&line).trim_end().to_owned());
            line.clear();
        }
    });
}
