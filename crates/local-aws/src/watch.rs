//! `cargo lambda watch` and `cargo lambda invoke`: what people use, driven as they would.

mod console;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::File,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use local_servers::helper::{descendants, python, workspace_root};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;
use tokio::{
    net::TcpStream,
    process::{Child, Command},
};

/// For the emulator to listen; it compiles nothing before it does.
const START: Duration = Duration::from_secs(30);

/// Variables of the user's own, or what they begin with, that cargo needs to find what was built.
/// Functions inherit them, so nothing else gets through: no other AWS set-up, no proxy, no setting
/// of a function.
const KEPT: [&str; 10] = [
    "CARGO",
    "CC",
    "CFLAGS",
    "COLORTERM",
    "HOME",
    "LANG",
    "LC_",
    "RUST",
    "TERM",
    "TMPDIR",
];

/// A running `cargo lambda watch`. Dropping it ends it and the functions that it runs.
#[derive(Debug)]
pub struct Watch {
    process: Child,
    port: u16,
    log: Option<PathBuf>,
}

impl Watch {
    /// Starts it with `variables` for all functions. What it and they write goes to `log`, or, made readable, to this
    /// process's own output.
    pub async fn start(
        variables: &BTreeMap<String, String>,
        log: Option<&Path>,
    ) -> anyhow::Result<Self> {
        // The port is free now, and the kernel gives it to nobody else so soon.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port();
        let mut command = cargo_lambda()?;
        command
            .args(["watch", "--invoke-address", "127.0.0.1", "--invoke-port"])
            .arg(port.to_string())
            .envs(variables)
            .stdin(Stdio::null())
            .process_group(0)
            .kill_on_drop(true);
        if let Some(log) = log {
            // Nobody edits code in a run that nobody watches.
            command.arg("--ignore-changes");
            let file =
                File::create(log).with_context(|| format!("could not create {}", log.display()))?;
            command.stderr(file.try_clone()?).stdout(file);
        } else {
            command.stderr(Stdio::piped()).stdout(Stdio::piped());
        }
        larder_artifact::end_with_parent(&mut command);
        let mut process = command
            .spawn()
            .context("could not start cargo lambda watch")?;
        // Each ends with the last process that writes to it.
        if let (Some(stdout), Some(stderr)) = (process.stdout.take(), process.stderr.take()) {
            tokio::spawn(console::print(stdout));
            tokio::spawn(console::print(stderr));
        }
        let mut watch = Self {
            process,
            port,
            log: log.map(Path::to_owned),
        };
        watch.wait_until_it_listens().await?;
        Ok(watch)
    }

    /// The endpoint of its Invoke API.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The address of `path` at the function URL of `function`.
    #[must_use]
    pub fn function_url(&self, function: &str, path: &str) -> String {
        format!("{}/lambda-url/{function}{path}", self.url())
    }

    /// The command that invokes `function` with the event in `file`, to be typed in the workspace's root.
    #[must_use]
    pub fn invoke_line(&self, function: &str, file: &str) -> String {
        format!(
            ".venv/bin/cargo-lambda lambda invoke -A 127.0.0.1 -P {} {function} --data-file {file}",
            self.port
        )
    }

    /// Invokes `function` with the event in `file` and returns the answer.
    pub async fn invoke(&self, function: &str, file: &Path) -> anyhow::Result<Value> {
        let mut command = cargo_lambda()?;
        command
            .args([
                "invoke",
                "--invoke-address",
                "127.0.0.1",
                "--invoke-port",
                &self.port.to_string(),
            ])
            .args(["--output-format", "json", "--data-file"])
            .arg(file)
            .arg(function)
            .kill_on_drop(true);
        let output = command
            .output()
            .await
            .context("could not run cargo lambda invoke")?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("{function} failed:\n{}\n{}", said.trim(), self.log_hint());
        }
        let answer = String::from_utf8_lossy(&output.stdout);
        serde_json::from_str(&answer)
            .with_context(|| format!("{function} answered no JSON: {answer}"))
    }

    /// Ends it and waits for its end.
    pub async fn stop(mut self) {
        let functions = self.functions();
        self.signal(Signal::TERM);
        let _ = tokio::time::timeout(Duration::from_secs(3), self.process.wait()).await;
        end(&functions);
    }

    async fn wait_until_it_listens(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + START;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))
            .await
            .is_err()
        {
            if let Some(status) = self.process.try_wait()? {
                bail!("cargo lambda watch ended with {status}{}", self.log_hint());
            }
            if Instant::now() > deadline {
                bail!(
                    "cargo lambda watch does not listen after {} s{}",
                    START.as_secs(),
                    self.log_hint()
                );
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    fn log_hint(&self) -> String {
        self.log
            .as_ref()
            .map(|log| format!("; its log is {}", log.display()))
            .unwrap_or_default()
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.process.id().and_then(pid) {
            let _ = kill_process_group(pid, signal);
        }
    }

    /// The functions that run now. Each has a process group of its own, and one that is at work does not notice that its
    /// emulator is gone before it is done.
    fn functions(&self) -> Vec<Pid> {
        let below = self.process.id().map(descendants);
        below.into_iter().flatten().filter_map(pid).collect()
    }
}

fn pid(id: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(id).ok()?)
}

fn end(functions: &[Pid]) {
    for function in functions {
        let _ = kill_process(*function, Signal::KILL);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let functions = self.functions();
        self.signal(Signal::KILL);
        end(&functions);
    }
}

/// `cargo-lambda` of the virtual environment, in the workspace's root.
fn cargo_lambda() -> anyhow::Result<Command> {
    let bin = python()?.parent().map(Path::to_owned).unwrap_or_default();
    let kept = std::env::vars_os().filter(|(name, _)| {
        let name = name.to_string_lossy();
        KEPT.iter().any(|kept| name.starts_with(kept))
    });
    let mut command = Command::new(bin.join("cargo-lambda"));
    command
        .arg("lambda")
        .current_dir(workspace_root())
        .env_clear()
        .envs(kept)
        .env("PATH", path_with(&bin)?);
    Ok(command)
}

/// The search path with `bin` first: `cargo lambda` looks for zig there.
fn path_with(bin: &Path) -> anyhow::Result<OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(bin.to_owned()).chain(std::env::split_paths(&path));
    std::env::join_paths(all).context("the search path cannot be extended")
}
