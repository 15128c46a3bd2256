//! What benches of whole functions have in common: where programs lie, and how they are asked.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use local_aws::lambda::{Config, Function, Outcome};
use local_servers::helper::workspace_root;
use serde_json::Value;

/// Where the programs lie that were built along: this one is in target/release/deps, they are one level up.
pub(crate) fn programs() -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe()?;
    let programs = this.ancestors().nth(2).map(Path::to_owned);
    programs.context("no target directory")
}

/// `handler` of one of the peers in Python, on AWS's own runtime client.
pub(crate) fn python(module: &str) -> anyhow::Result<Config> {
    let root = workspace_root();
    let python = root.join(".venv-bench/bin/python3");
    ensure!(
        python.exists(),
        "{} is missing: `make bench` sets it up",
        python.display()
    );
    let mut config = Config::new("python", python);
    let handler = format!("{module}.handler");
    let arguments = ["-m", "awslambdaric", &handler];
    config.command.extend(arguments.map(PathBuf::from));
    let peers = root.join("benches/peers");
    Ok(config.env("PYTHONPATH", peers.to_string_lossy()))
}

/// An outcome that is no error.
pub(crate) async fn invoke(function: &Function, event: &Value) -> anyhow::Result<Outcome> {
    let outcome = function.invoke(event.to_string()).await?;
    if let Some(error) = outcome.error() {
        anyhow::bail!("{}: {}", error.error_type, error.message);
    }
    Ok(outcome)
}

/// The most that a function's process held at any time, in MiB.
pub(crate) async fn peak(function: &Function) -> anyhow::Result<f64> {
    let kib = function.environment()?.memory_kib("VmHWM").await;
    Ok(f64::from(u32::try_from(kib.context("no VmHWM")?)?) / 1024.0)
}

pub(crate) fn progress(what: &str) {
    let _ = writeln!(std::io::stderr(), "measuring {what}");
}
