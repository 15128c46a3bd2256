//! What benches of whole functions have in common: where programs lie, and how they are asked.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, ensure};
use local_aws::lambda::{Config, CpuShare, Function, Lambda, Outcome};
use local_network::Profile;
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

/// How cold starts are measured.
pub(crate) const COLD_START: &str = "From the process's start to its first request for an event. Under `region` with the CPU time of the \
     function's memory size, too: that share of a core and no more (AWS does not publish how much more a start gets).";

/// The same functions for cold starts. Under an account's network they get the CPU time of the memory size that the template
/// gives them, where this system can limit it.
pub(crate) fn cold<const N: usize>(
    lambda: &Lambda,
    profile: Profile,
    memory_mib: u32,
    functions: [Arc<Function>; N],
) -> [Arc<Function>; N] {
    if profile == Profile::Loopback {
        return functions;
    }
    if let Err(error) = CpuShare::create(memory_mib) {
        progress(&format!("without CPU shares: {error:#}"));
    }
    functions.map(|function| {
        let mut config = function.config().clone();
        config.memory_mib = memory_mib;
        config.cpu_share = true;
        lambda.create(config)
    })
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
