//! monitor-runner against its floors (a function that only answers; a conditional GET and a spawn;
//! `curl | sha256sum`) and against the same flow in Python.

mod download;
mod stand;
mod warm;

use std::{io::Write as _, path::PathBuf, sync::Arc};

use anyhow::Context as _;
use benches::measure::{Goal, Page, Samples};
use local_aws::{
    edge::Edge,
    lambda::{Config, Function, Lambda, Outcome, TMP},
    moto::Moto,
    publish::{NewRelease, Publisher},
};
use local_network::{Network, Profile, Service};
use local_servers::helper::workspace_root;
use serde_json::{Value, json};

use self::stand::{peak, programs, progress};

const COLD_ROUNDS: usize = 30;
/// The function's memory in `template.yaml`.
const MEMORY_MIB: u32 = 512;

// On one thread, so that what is measured does not wait for one of ours to wake another.
#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let page = measured(Profile::Loopback).await?;
    let page = page.beside(measured(Profile::Region).await?);
    let page = page.write(&workspace_root().join("docs/benchmarks.md"))?;
    writeln!(std::io::stdout(), "{page}")?;
    Ok(())
}

async fn measured(profile: Profile) -> anyhow::Result<Page> {
    let bench = Bench::start(profile).await?;
    let mut page = Page::default();
    bench.cold_start(&mut page).await?;
    warm::measure(&bench, &mut page).await?;
    download::measure(&bench, &mut page).await?;
    bench.memory(&mut page).await?;
    Ok(page)
}

struct Bench {
    _moto: Moto,
    _edge: Edge,
    network: Network,
    /// The edge's address for functions.
    releases_url: String,
    publisher: Publisher,
    lambda: Lambda,
    programs: PathBuf,
    tmp: tempfile::TempDir,
}

impl Bench {
    async fn start(profile: Profile) -> anyhow::Result<Self> {
        let mut network = Network::new(profile);
        let moto = Moto::start()?;
        let s3 = moto.s3().await;
        let edge = Edge::start(s3.clone(), "releases").await?;
        let releases_url = network.reach(Service::Edge, &edge.url()).await?;
        let publisher = Publisher::create(s3, "releases", &releases_url).await?;
        let bench = Self {
            _moto: moto,
            _edge: edge,
            network,
            releases_url,
            publisher,
            lambda: Lambda::start().await?,
            programs: programs()?,
            tmp: tempfile::tempdir()?,
        };
        bench.publish("quick", bench.quick_monitor()?).await?;
        Ok(bench)
    }

    fn quick_monitor(&self) -> anyhow::Result<Vec<u8>> {
        Ok(std::fs::read(self.programs.join("quick-monitor"))?)
    }

    /// The quick monitor, made as large as `size` by bytes that do not compress.
    fn padded(&self, size: usize) -> anyhow::Result<Vec<u8>> {
        let mut binary = self.quick_monitor()?;
        let mut state = 0x2545_F491_4F6C_DD1D_u64;
        while binary.len() < size {
            // xorshift64
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            binary.extend_from_slice(&state.to_le_bytes());
        }
        binary.truncate(size);
        Ok(binary)
    }

    async fn publish(&self, monitor: &str, binary: Vec<u8>) -> anyhow::Result<()> {
        self.publisher
            .publish(&NewRelease::new(monitor, "1.0", binary))
            .await?;
        Ok(())
    }

    fn url(&self, monitor: &str, file: &str) -> String {
        format!("{}/binaries/{monitor}-monitor/{file}", self.releases_url)
    }

    fn function(&self, name: &str, mut config: Config) -> Arc<Function> {
        config.freeze = false;
        name.clone_into(&mut config.name);
        self.lambda.create(
            config
                .env("RELEASES_URL", &*self.releases_url)
                .env("CACHE_DIR", TMP),
        )
    }

    /// monitor-runner as it is deployed, signatures and all.
    fn ours(&self, exec_mode: &str) -> Arc<Function> {
        let config = Config::new("ours", self.programs.join("monitor-runner"))
            .env("EXEC_MODE", exec_mode)
            .env("REQUIRE_SIGNATURE", "true")
            .env("TRUSTED_KEYS", self.publisher.public_key());
        self.function("ours", config)
    }

    fn python(&self) -> anyhow::Result<Arc<Function>> {
        let config = stand::python("monitor_runner")?;
        Ok(self.function("python", config))
    }

    fn answer_only(&self) -> Arc<Function> {
        self.function(
            "answer-only",
            Config::new("answer-only", self.programs.join("answer-only")),
        )
    }

    async fn cold_start(&self, page: &mut Page) -> anyhow::Result<()> {
        progress("cold start");
        let contestants = [self.ours("auto"), self.answer_only(), self.python()?];
        let profile = self.network.profile();
        let contestants = stand::cold(&self.lambda, profile, MEMORY_MIB, contestants);
        let mut samples = [const { Samples::new() }; 3];
        for _ in 0..COLD_ROUNDS {
            for (function, samples) in contestants.iter().zip(&mut samples) {
                let outcome = invoke(function, "quick").await?;
                samples.push(outcome.init.context("no cold start")?);
                function.fresh().await;
            }
        }
        let [ours, floor, python] = samples;
        page.section("Cold start", stand::COLD_START);
        page.figure("monitor-runner", &ours, "ms");
        page.figure(
            "a function that only answers, same runtime crate and profile",
            &floor,
            "ms",
        );
        page.figure("Python on awslambdaric", &python, "ms");
        page.ratio(
            "monitor-runner ÷ answer only",
            ours.median() / floor.median(),
            Goal::AtMost(2.0),
        );
        page.ratio(
            "Python ÷ monitor-runner",
            python.median() / ours.median(),
            Goal::AtLeast(8.0),
        );
        Ok(())
    }

    async fn memory(&self, page: &mut Page) -> anyhow::Result<()> {
        progress("memory");
        page.section(
            "Memory",
            "The most that the function's process held at any time (`VmHWM`), after a download and twenty warm runs from \
             the disk (`EXEC_MODE=path`). A sealed copy in memory adds the binary's size; `auto` makes one only of a \
             self-contained program, as long as all copies fit in a quarter of the function's memory.",
        );
        let mut peaks = Vec::new();
        for megabytes in [3, 30, 120] {
            let monitor = format!("size-{megabytes}");
            self.publish(&monitor, self.padded(megabytes * 1_000_000)?)
                .await?;
            let peak = peak_of(&self.ours("path"), &monitor, 0).await?;
            page.figure(
                &format!("monitor-runner, a binary of {megabytes} MB"),
                &peak,
                "MiB",
            );
            peaks.push(peak);
        }
        let copied = peak_of(&self.ours("memfd"), "size-30", 30_000_000).await?;
        page.figure(
            "monitor-runner, 30 MB run from a sealed copy in memory, the copy counted",
            &copied,
            "MiB",
        );
        let python = peak_of(&*self.python()?, "size-30", 0).await?;
        page.figure("Python on awslambdaric, a binary of 30 MB", &python, "MiB");
        if let [small, middle, large] = peaks.as_slice() {
            page.ratio(
                "120 MB ÷ 3 MB: flat in the size",
                large.median() / small.median(),
                Goal::AtMost(1.1),
            );
            page.ratio(
                "monitor-runner ÷ Python",
                middle.median() / python.median(),
                Goal::AtMost(0.5),
            );
        }
        Ok(())
    }
}

async fn invoke(function: &Function, monitor: &str) -> anyhow::Result<Outcome> {
    stand::invoke(function, &json!({ "monitor": monitor })).await
}

fn result(outcome: &Outcome) -> anyhow::Result<Value> {
    outcome
        .json()?
        .pointer("/results/0")
        .cloned()
        .context("no result")
}

/// The peaks of fresh processes, and as many bytes in memory that are no part of the process.
async fn peak_of(function: &Function, monitor: &str, beside: u32) -> anyhow::Result<Samples> {
    let mut peaks = Samples::default();
    for _ in 0..5 {
        for _ in 0..=20 {
            invoke(function, monitor).await?;
        }
        let mib = peak(function).await? + f64::from(beside) / 1_048_576.0;
        peaks.push_value(mib);
        function.fresh().await;
    }
    Ok(peaks)
}
