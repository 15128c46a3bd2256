//! A warm hit: nothing to download, a child to run.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use local_aws::lambda::Function;
use reqwest::header::{ETAG, IF_NONE_MATCH};
use serde_json::Value;

use benches::measure::{Goal, Page, Samples};

use crate::{Bench, invoke, progress, result};

const ROUNDS: usize = 300;

/// Before the rounds that count: they fill the caches.
const FIRST: usize = 20;

pub(crate) async fn measure(bench: &Bench, page: &mut Page) -> anyhow::Result<()> {
    progress("warm hit");
    let (ours, python) = (bench.ours("auto"), bench.python()?);
    let floor = Floor::new(bench).await?;
    let (mut of_ours, mut of_python, mut of_floor) =
        (Runs::default(), Runs::default(), FloorRuns::default());
    for round in 0..FIRST + ROUNDS {
        let (one, other) = (warm(&ours).await?, warm(&python).await?);
        let (get, spawn) = floor.measure().await?;
        if round >= FIRST {
            of_ours.push(&one);
            of_python.push(&other);
            of_floor.push(get, spawn);
        }
    }
    // By itself: a fourth process in turn would leave the others less of the processor's caches.
    let answer_only = bench.answer_only();
    for round in 0..FIRST + ROUNDS {
        let answer = invoke(&answer_only, "quick").await?;
        if round >= FIRST {
            of_floor.answer.push(answer.duration);
        }
    }
    report(page, &of_ours, &of_python, &of_floor);
    Ok(())
}

fn report(page: &mut Page, ours: &Runs, python: &Runs, floor: &FloorRuns) {
    page.section(
        "Warm hit",
        "From the event's dispatch to the answer's arrival, the time that the monitor itself says it took taken off.",
    );
    page.figure("monitor-runner", &ours.but_the_monitor, "ms");
    page.figure(
        "one conditional GET and a bare spawn of the same child",
        &floor.both,
        "ms",
    );
    page.figure("of that, the GET", &floor.get, "ms");
    page.figure("of that, the spawn", &floor.spawn, "ms");
    page.figure("Python on awslambdaric", &python.but_the_monitor, "ms");
    page.ratio(
        "monitor-runner ÷ (GET + spawn)",
        ours.but_the_monitor.median() / floor.both.median(),
        Goal::AtMost(1.5),
    );
    page.plain_ratio(
        "Python ÷ monitor-runner",
        python.but_the_monitor.median() / ours.but_the_monitor.median(),
    );
    page.note(
        "The bare spawn uses vfork; monitor-runner's child limits itself between fork and exec, so its parent's page \
         tables are copied, and its output is waited for on an event loop that answers to a deadline.",
    );
    page.section(
        "Warm hit without its child",
        "The same runs, with all the time from before the child's start to after its end (`execution_ms`) taken off: \
         what the function adds.",
    );
    page.figure("monitor-runner", &ours.but_the_child, "ms");
    page.figure("Python on awslambdaric", &python.but_the_child, "ms");
    page.figure("what both have to wait for: the GET", &floor.get, "ms");
    page.figure(
        "and the messages of Lambda's API, by a function that only answers",
        &floor.answer,
        "ms",
    );
    page.ratio(
        "Python ÷ monitor-runner",
        python.but_the_child.median() / ours.but_the_child.median(),
        Goal::AtLeast(3.0),
    );
    let shared = floor.get.median() + floor.answer.median();
    page.plain_ratio(
        "Python ÷ monitor-runner, without what both have to wait for",
        (python.but_the_child.median() - shared) / (ours.but_the_child.median() - shared),
    );
}

/// How long one run of the quick monitor took.
struct Warm {
    /// Less what the monitor says that it took itself.
    but_the_monitor: Duration,
    /// Less what the function says that its child took, start and end included.
    but_the_child: Duration,
}

#[derive(Default)]
struct Runs {
    but_the_monitor: Samples,
    but_the_child: Samples,
}

impl Runs {
    fn push(&mut self, run: &Warm) {
        self.but_the_monitor.push(run.but_the_monitor);
        self.but_the_child.push(run.but_the_child);
    }
}

async fn warm(function: &Function) -> anyhow::Result<Warm> {
    let outcome = invoke(function, "quick").await?;
    let result = result(&outcome)?;
    let own = result.pointer("/result/own_us").and_then(Value::as_u64);
    let child = result.get("execution_ms").and_then(Value::as_f64);
    let own = Duration::from_micros(own.context("no own_us")?);
    let child = Duration::try_from_secs_f64(child.context("no execution_ms")? / 1e3)?;
    Ok(Warm {
        but_the_monitor: outcome.duration.saturating_sub(own),
        but_the_child: outcome.duration.saturating_sub(child),
    })
}

#[derive(Default)]
struct FloorRuns {
    get: Samples,
    spawn: Samples,
    both: Samples,
    answer: Samples,
}

impl FloorRuns {
    fn push(&mut self, get: Duration, spawn: Duration) {
        self.get.push(get);
        self.spawn.push(spawn);
        self.both.push(get + spawn);
    }
}

/// One conditional GET on a connection that is kept, and one spawn of the same child with its
/// output read: what cannot be done without.
struct Floor {
    client: reqwest::Client,
    url: String,
    etag: reqwest::header::HeaderValue,
    child: PathBuf,
}

impl Floor {
    async fn new(bench: &Bench) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder().no_proxy().build()?;
        let url = bench.url("quick", "metadata.json");
        let response = client.get(&url).send().await?;
        let etag = response.headers().get(ETAG).context("no ETag")?.clone();
        response.bytes().await?;
        Ok(Self {
            client,
            url,
            etag,
            child: bench.programs.join("quick-monitor"),
        })
    }

    async fn measure(&self) -> anyhow::Result<(Duration, Duration)> {
        let began = Instant::now();
        let response = self
            .client
            .get(&self.url)
            .header(IF_NONE_MATCH, &self.etag)
            .send()
            .await?;
        ensure!(response.status() == 304, "{}", response.status());
        let get = began.elapsed();
        let began = Instant::now();
        let output = Command::new(&self.child)
            .env_clear()
            .stdin(Stdio::null())
            .output()?;
        ensure!(output.status.success(), "the child failed");
        Ok((get, began.elapsed()))
    }
}
