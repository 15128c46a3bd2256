//! The first use: from nothing to a verified binary that is in place.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use larder_artifact::Sha256;
use local_aws::lambda::Outcome;
use serde_json::Value;

use benches::measure::{Goal, Page, Samples};

use crate::{Bench, invoke, progress, result};

const ROUNDS: usize = 20;

/// The size of the original's binary.
const SIZE: usize = 30_256_930;

pub(crate) async fn measure(bench: &Bench, page: &mut Page) -> anyhow::Result<()> {
    progress("download and verify");
    let binary = bench.padded(SIZE)?;
    bench.publish("big", binary.clone()).await?;
    let (path, memfd, python) = (bench.ours("path"), bench.ours("memfd"), bench.python()?);
    let url = bench.url("big", "watchy-big-monitor-1.0");
    let file = bench.tmp.path().join("download");
    let piped = format!("curl --silent --fail '{url}' | sha256sum");
    let kept = format!(
        "curl --silent --fail --output '{0}' '{url}' && sha256sum '{0}'",
        file.display()
    );
    let mut samples = [const { Samples::new() }; 6];
    let [of_path, of_memfd, of_piped, of_kept, of_python, of_hash] = &mut samples;
    for _ in 0..ROUNDS {
        for (function, samples) in [
            (&path, &mut *of_path),
            (&memfd, of_memfd),
            (&python, of_python),
        ] {
            samples.push_value(ensure_ms(&invoke(function, "big").await?)?);
            function.fresh().await;
        }
        of_piped.push(shell(&piped).await?);
        of_kept.push(shell(&kept).await?);
        let began = Instant::now();
        std::hint::black_box(Sha256::of(&binary));
        of_hash.push(began.elapsed());
    }
    report(page, &samples);
    Ok(())
}

fn report(page: &mut Page, samples: &[Samples; 6]) {
    let [of_path, of_memfd, of_piped, of_kept, of_python, of_hash] = samples;
    page.section(
            "Download and verify 30 MB",
            "From nothing to a verified binary that is in place: metadata, download, hash, file. `curl` and `sha256sum` \
             with their own start.",
        );
    page.figure("monitor-runner, to the disk", of_path, "ms");
    page.figure(
        "monitor-runner, to the disk and a sealed copy in memory",
        of_memfd,
        "ms",
    );
    page.figure("`curl \\| sha256sum`, which keeps nothing", of_piped, "ms");
    page.figure("`curl -o file && sha256sum file`", of_kept, "ms");
    page.figure("Python on awslambdaric", of_python, "ms");
    page.figure(
        "SHA-256 of as many bytes in memory, nothing else",
        of_hash,
        "ms",
    );
    page.ratio(
        "monitor-runner ÷ `curl | sha256sum`",
        of_path.median() / of_piped.median(),
        Goal::AtMost(1.0),
    );
    page.ratio(
        "Python ÷ monitor-runner, first use",
        of_python.median() / of_path.median(),
        Goal::AtLeast(3.0),
    );
    page.note(
            "Both hash with a C library at the speed of the machine, and both read the same loopback socket, so little \
             is left to be faster at; Python verifies no signature and takes no lock.",
        );
}

fn ensure_ms(outcome: &Outcome) -> anyhow::Result<f64> {
    result(outcome)?
        .get("ensure_ms")
        .and_then(Value::as_f64)
        .context("no ensure_ms")
}

async fn shell(line: &str) -> anyhow::Result<Duration> {
    let began = Instant::now();
    // Not in this thread's way, which serves the download.
    let output = tokio::process::Command::new("/bin/sh")
        .args(["-c", line])
        .output()
        .await?;
    ensure!(
        output.status.success() && output.stdout.len() > 64,
        "{line} failed"
    );
    Ok(began.elapsed())
}
