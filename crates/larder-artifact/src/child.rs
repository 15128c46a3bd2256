//! Running a verified program as a child that gets nothing it was not given.
//!
//! A cleared environment, an empty working directory of its own, no input, its own process group,
//! limits, a deadline, and output of which only the end is kept. When it ends, in whatever way, its
//! group ends with it; what left the group ends once no child runs any more. What this cannot do:
//! the Runtime API on loopback stays reachable, since keeping a child from it takes rights that a
//! Lambda function does not have.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    io,
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::{
    fs::Mode,
    io::Errno,
    process::{
        DumpableBehavior, Resource, Rlimit, Signal, getpid, getrlimit, set_child_subreaper,
        set_dumpable_behavior, set_parent_process_death_signal, setrlimit, umask,
    },
    thread::set_no_new_privs,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::Command,
};

use crate::{home::Homes, image::Image, orphans::Group, script, tail::Tail};

/// Between asking a program to end and ending it: a tenth of its time, up to this.
const GRACE: Duration = Duration::from_secs(2);

/// For output that is still in the pipes after the last writer was killed.
const DRAIN: Duration = Duration::from_millis(500);

/// For a program file that is "busy": another child, forked while the file was being written, holds
/// it open until it executes. That takes it a millisecond or two (golang/go#22315).
const BUSY_TRIES: u32 = 20;
const BUSY_WAIT: Duration = Duration::from_millis(5);

/// What programs that start others exit with if they cannot: "found, but not executable", "not found".
const CANNOT_START: [i32; 2] = [126, 127];

/// How much one read of a pipe takes: what a pipe holds.
const READ: usize = 64 * 1024;

/// Closes this process to its children, for good. Call it once, before the first child.
///
/// A child runs as the same user, and could read this process's memory and environment, credentials
/// in them, through `/proc/<ppid>`: "not dumpable" forbids that to all but root. And a process that
/// a child leaves behind becomes a child of this one, so that it can be found and ended.
pub fn harden() -> io::Result<()> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    set_child_subreaper(Some(getpid()))?;
    limit(Resource::Core, 0)
}

/// What a child may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Seconds of processor time, of all its threads together.
    pub cpu_seconds: u64,
    /// Bytes of any one file that it writes.
    pub file_bytes: u64,
    /// Files and sockets it may have open.
    pub open_files: u64,
    /// Processes and threads it may add to those that the machine has when it starts.
    pub processes: u64,
}

impl Default for Limits {
    /// Ten minutes of processor, 256 MiB a file, 1,024 open files, 256 processes.
    fn default() -> Self {
        Self {
            cpu_seconds: 600,
            file_bytes: 256 << 20,
            open_files: 1024,
            processes: 256,
        }
    }
}

/// A program about to run.
#[derive(Debug)]
pub struct Child<'a> {
    image: &'a Image,
    arg0: &'a Path,
    env: BTreeMap<OsString, OsString>,
    limits: Limits,
    keep: usize,
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this code.
    Exit(i32),
    /// By this signal.
    Signal(i32),
    /// By us, when its time was up.
    TimedOut,
}

/// A child that has ended.
#[derive(Debug)]
pub struct Finished {
    /// How it did.
    pub ended: Ended,
    /// The end of its standard output.
    pub stdout: Tail,
    /// The end of its standard error.
    pub stderr: Tail,
    /// From before it was started to after it ended.
    pub took: Duration,
}

impl<'a> Child<'a> {
    /// `image` under the name `arg0`, with an environment of nothing but the usual `PATH` and
    /// `LANG`, the default [`Limits`], and 1 MiB kept of each output.
    #[must_use]
    pub fn new(image: &'a Image, arg0: &'a Path) -> Self {
        let env = [
            ("PATH", "/usr/local/bin:/usr/bin:/bin"),
            ("LANG", "C.UTF-8"),
        ];
        Self {
            image,
            arg0,
            env: env.map(|(name, value)| (name.into(), value.into())).into(),
            limits: Limits::default(),
            keep: 1 << 20,
        }
    }

    /// Adds a variable to its environment.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env
            .insert(name.as_ref().to_owned(), value.as_ref().to_owned());
        self
    }

    /// Sets what it may use.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Runs it to its end, for at most `time`, in an empty directory of `homes` that is its home and
    /// temporary directory too. Dropping the future kills it and everything it started.
    ///
    /// Fails if the program cannot be started at all.
    pub async fn run(self, homes: &Homes, time: Duration) -> io::Result<Finished> {
        let began = Instant::now();
        script::refuse_in_memory(self.image)?;
        let home = homes.take()?;
        let spawned = self.spawn(home.path()).await;
        let (mut child, group) = spawned.map_err(|error| script::explain(self.image, error))?;
        let (mut stdout, mut stderr) = (Tail::new(self.keep), Tail::new(self.keep));
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let ended = {
            let output = async {
                tokio::join!(collect(out, &mut stdout), collect(err, &mut stderr));
            };
            let mut output = std::pin::pin!(output);
            let mut ended = std::pin::pin!(ended_within(time, &mut child, &group));
            let mut open = true;
            let ended = loop {
                tokio::select! {
                    ended = &mut ended => break ended?,
                    () = &mut output, if open => open = false,
                }
            };
            // Whatever still holds the pipes goes, so that they end.
            group.end();
            if open && tokio::time::timeout(DRAIN, output).await.is_err() {
                tracing::warn!(
                    "A process that was left behind kept the output open; the rest of it is lost"
                );
            }
            ended
        };
        homes.put_back(home);
        // By `env`, say, which was started and did not find what the line names.
        if matches!(ended, Ended::Exit(code) if CANNOT_START.contains(&code))
            && let Some(told) = script::carriage_return(self.image)
        {
            return Err(io::Error::new(io::ErrorKind::NotFound, told));
        }
        let took = began.elapsed();
        Ok(Finished {
            ended,
            stdout,
            stderr,
            took,
        })
    }

    async fn spawn(&self, home: &Path) -> io::Result<(tokio::process::Child, Group)> {
        let mut command = Command::new(self.image.exec_path());
        command
            .arg0(self.arg0)
            .env_clear()
            .env("HOME", home)
            .env("TMPDIR", home)
            .envs(&self.env)
            .current_dir(home)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        confine(&mut command, self.limits);
        let mut tries = 0;
        loop {
            match Group::spawn(&mut command) {
                Err(error)
                    if Errno::from_io_error(&error) == Some(Errno::TXTBSY)
                        && tries < BUSY_TRIES =>
                {
                    tries += 1;
                    tokio::time::sleep(BUSY_WAIT).await;
                }
                spawned => return spawned,
            }
        }
    }
}

/// Waits for the child, and ends it once `time` is up: first by asking.
async fn ended_within(
    time: Duration,
    child: &mut tokio::process::Child,
    group: &Group,
) -> io::Result<Ended> {
    let grace = GRACE.min(time / 10);
    if let Ok(status) = tokio::time::timeout(time.saturating_sub(grace), child.wait()).await {
        return Ok(ended(status?));
    }
    group.signal(Signal::TERM);
    if tokio::time::timeout(grace, child.wait()).await.is_err() {
        group.signal(Signal::KILL);
        child.wait().await?;
    }
    Ok(Ended::TimedOut)
}

fn ended(status: ExitStatus) -> Ended {
    match (status.code(), status.signal()) {
        (Some(code), _) => Ended::Exit(code),
        (None, signal) => Ended::Signal(signal.unwrap_or_default()),
    }
}

/// Reads a pipe to its end. An error of a pipe ends it as well: what came before counts.
async fn collect(pipe: Option<impl AsyncRead + Unpin>, tail: &mut Tail) {
    let Some(mut pipe) = pipe else { return };
    // Not zeroed: that would cost a usual run, of one short line, more than reading it.
    let mut buffer = Vec::with_capacity(READ);
    while let Ok(1..) = pipe.read_buf(&mut buffer).await {
        tail.push(&buffer);
        buffer.clear();
    }
}

/// Makes the child limit itself between fork and exec.
fn confine(command: &mut Command, limits: Limits) {
    let processes = limits.processes + running_tasks();
    before_exec(command, move || {
        limit(Resource::Cpu, limits.cpu_seconds)?;
        limit(Resource::Fsize, limits.file_bytes)?;
        limit(Resource::Nofile, limits.open_files)?;
        limit(Resource::Nproc, processes)?;
        set_no_new_privs(true)?;
        // Not for what the child starts in turn; that goes with its group.
        set_parent_process_death_signal(Some(Signal::KILL))?;
        umask(Mode::RWXG | Mode::RWXO);
        Ok(())
    });
}

/// Has the kernel end the child of `command` when the thread that spawns it ends, however that
/// comes about. For programs that need no other confinement.
pub fn end_with_parent(command: &mut Command) {
    before_exec(command, || {
        Ok(set_parent_process_death_signal(Some(Signal::KILL))?)
    });
}

/// Has `steps` run in the child between fork and exec: system calls by rustix and nothing else.
fn before_exec(
    command: &mut Command,
    steps: impl FnMut() -> io::Result<()> + Send + Sync + 'static,
) {
    #[expect(
        unsafe_code,
        reason = "limits must hold before the first instruction; docs/adr/0001"
    )]
    // SAFETY: between fork and exec only async-signal-safe calls are allowed. Both callers above
    // make system calls through rustix alone, without libc, allocation or locks, and their closures
    // own plain numbers only.
    unsafe {
        command.pre_exec(steps)
    };
}

/// Limits this process to `value`, or to what it is limited to already if that is less: only root
/// may raise it.
fn limit(resource: Resource, value: u64) -> io::Result<()> {
    let value = getrlimit(resource)
        .maximum
        .map_or(value, |maximum| maximum.min(value));
    setrlimit(
        resource,
        Rlimit {
            current: Some(value),
            maximum: Some(value),
        },
    )?;
    Ok(())
}

/// Processes and threads on this machine now: the limit counts all of the user's, not the child's
/// alone. Fourth field of /proc/loadavg, proc(5); sysinfo(2) counts to 65,535 only.
fn running_tasks() -> u64 {
    let loadavg = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let tasks = loadavg
        .split(' ')
        .nth(3)
        .and_then(|field| field.split_once('/'));
    tasks
        .and_then(|(_, total)| total.parse().ok())
        .unwrap_or(u64::from(u16::MAX))
}

#[cfg(test)]
#[path = "child_tests.rs"]
mod tests;
