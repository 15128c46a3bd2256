//! Servers that others wrote, each in a process that ends with this one.

use std::{
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};

/// The Python of the virtual environment that `make` sets up, or the one that `LARDER_PYTHON`
/// names.
pub fn python() -> anyhow::Result<PathBuf> {
    let venv = || workspace_root().join(".venv/bin/python3");
    let python = std::env::var_os("LARDER_PYTHON").map_or_else(venv, PathBuf::from);
    let missing = || format!("{} is missing: run `make setup` first", python.display());
    ensure!(python.exists(), missing());
    Ok(python)
}

/// Files that only the root of this workspace has all of.
const ROOT_FILES: [&str; 2] = ["Cargo.toml", "template.yaml"];

/// The root of this workspace, found at run time: the nearest one above the working directory, else above this program. A
/// folder that was renamed or copied after a build is its own root. The working directory where there is none.
#[must_use]
pub fn workspace_root() -> PathBuf {
    let working = std::env::current_dir().unwrap_or_default();
    let program = std::env::current_exe().unwrap_or_default();
    let root = root_above(&working).or_else(|| root_above(&program));
    root.unwrap_or(&working).to_owned()
}

/// The nearest folder at or above `path` that holds [`ROOT_FILES`].
fn root_above(path: &Path) -> Option<&Path> {
    let is_root = |folder: &&Path| ROOT_FILES.iter().all(|file| folder.join(file).is_file());
    path.ancestors().find(is_root)
}

/// Every process below `pid`, as the system has them now.
#[must_use]
pub fn descendants(pid: u32) -> Vec<u32> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task"));
    let threads = threads.into_iter().flatten().flatten();
    let lists = threads.filter_map(|it| std::fs::read_to_string(it.path().join("children")).ok());
    let children: Vec<u32> = lists
        .flat_map(|list| {
            let ids = list.split_ascii_whitespace();
            ids.filter_map(|id| id.parse().ok()).collect::<Vec<_>>()
        })
        .collect();
    let below = children.iter().flat_map(|child| descendants(*child));
    children.iter().copied().chain(below).collect()
}

/// A Python script that serves until its standard input ends, which it does with this process.
#[derive(Debug)]
pub struct Helper {
    process: Child,
    /// Closing it ends the server.
    stdin: Option<ChildStdin>,
}

impl Helper {
    /// Starts `script`, and returns the line that it says once it listens. Blocks until then.
    pub fn start(name: &str, script: &str, arguments: &[&str]) -> anyhow::Result<(Self, String)> {
        let mut process = Command::new(python()?)
            .args(["-c", script])
            .args(arguments)
            // Nothing of the user's own AWS set-up may reach it.
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            // Ctrl-C is for this process, which then ends it in good order.
            .process_group(0)
            .spawn()
            .with_context(|| format!("could not start {name}"))?;
        let stdin = process.stdin.take();
        let stdout = process.stdout.take().context("no standard output")?;
        let helper = Self { process, stdin };
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        ensure!(
            !line.is_empty(),
            "{name} did not start: see its message above"
        );
        Ok((helper, line))
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let deadline = Instant::now() + Duration::from_secs(2);
        while Instant::now() < deadline {
            if matches!(self.process.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A program that serves on a port of loopback. It ends with this handle, or with this process.
#[derive(Debug)]
pub(crate) struct Program {
    _helper: Helper,
    port: u16,
    pid: i32,
}

impl Program {
    /// Starts `program`; `{port}` in an argument is a free port. Blocks until it listens.
    pub(crate) fn start(program: &str, arguments: &[&str]) -> anyhow::Result<Self> {
        let all = [&[program], arguments].concat();
        let (helper, line) = Helper::start(program, include_str!("serve.py"), &all)?;
        let said = line.trim().split_once(' ');
        let (port, pid) = said.with_context(|| format!("{program} said {line:?}"))?;
        Ok(Self {
            _helper: helper,
            port: port.parse().context("its port")?,
            pid: pid.parse().context("its process id")?,
        })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_the_nearest_folder_with_all_its_files() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("renamed");
        let nested = root.join("benches/cache/target/release");
        std::fs::create_dir_all(&nested).unwrap();
        assert_eq!(root_above(&nested), None);
        for file in ROOT_FILES {
            std::fs::write(root.join(file), "").unwrap();
        }
        // A workspace of its own below, which has a manifest and no template.
        std::fs::write(root.join("benches/cache/Cargo.toml"), "").unwrap();
        assert_eq!(root_above(&nested), Some(root.as_path()));
        assert_eq!(root_above(&root), Some(root.as_path()));
        assert_eq!(root_above(dir.path()), None);
    }
}
