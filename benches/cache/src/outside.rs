//! Peers in other languages: each measures itself, with the same keys, values and turns.

use std::{path::Path, process::Command};

use anyhow::Context as _;
use benches::measure::Samples;
use local_servers::helper::workspace_root;

/// What those of `section` take, in nanoseconds; none where they are not installed, which `make bench` sees to.
pub(crate) fn measured(section: &str, argument: &str) -> anyhow::Result<Vec<(String, Samples)>> {
    let root = workspace_root();
    let peers = root.join("benches/cache/peers");
    let mut all = Vec::new();
    for (program, script) in [
        (root.join(".venv-bench/bin/python3"), peers.join("peers.py")),
        ("node".into(), peers.join("peers.mjs")),
    ] {
        let installed = program.exists() || peers.join("node_modules").exists();
        if installed {
            all.extend(run(&program, &script, section, argument)?);
        }
    }
    Ok(all)
}

fn run(
    program: &Path,
    script: &Path,
    section: &str,
    argument: &str,
) -> anyhow::Result<Vec<(String, Samples)>> {
    let output = Command::new(program)
        .arg(script)
        .args([section, argument])
        .stderr(std::process::Stdio::inherit())
        .output()
        .with_context(|| format!("could not run {}", program.display()))?;
    anyhow::ensure!(output.status.success(), "{} failed", script.display());
    let lines = String::from_utf8(output.stdout)?;
    lines
        .lines()
        .map(|line| {
            let (name, figures): (String, Vec<f64>) = serde_json::from_str(line)?;
            let mut samples = Samples::new();
            for figure in figures {
                samples.push_value(figure);
            }
            Ok((name, samples))
        })
        .collect()
}
