//! A release, from its publication to its first run: what the edge serves before and after it is invalidated, and what that costs.

use std::path::Path;

use anyhow::{Context as _, ensure};
use cdn::release::TEMPLATES;
use comfy_table::{Attribute, Cell, CellAlignment, Table};
use serde::Serialize;
use serde_json::{Value, json};

use super::table::empty_table;
use crate::{
    cdn::TEMPLATES_BUCKET,
    progress::Progress,
    publish::NewRelease,
    stack::{MONITORS, Stack, built},
    watch::Watch,
};

/// How many templates change at once.
const CHANGED: usize = 60;

/// What was seen, step by step.
#[derive(Debug, Serialize)]
pub(super) struct Publishing {
    pub(super) steps: Vec<Step>,
    /// Templates that were uploaded, the events of S3 that came of it, and what they came to.
    pub(super) burst: Burst,
}

/// What somebody did, and what was to be had then.
#[derive(Debug, Serialize)]
pub(super) struct Step {
    pub(super) what: &'static str,
    /// The version that the edge, or the function, has.
    pub(super) version: String,
    /// Where it came from.
    pub(super) from: String,
    pub(super) billed_paths: f64,
    pub(super) cost_usd: f64,
}

/// Many objects that change at once.
#[derive(Debug, Serialize)]
pub(super) struct Burst {
    pub(super) objects: usize,
    pub(super) invalidations: usize,
    pub(super) billed_paths: usize,
}

/// What an edge answers: the version in the metadata, and its `X-Cache`.
struct Read {
    version: String,
    from: String,
}

/// Publishes a second release of the first monitor, reads it through the edge, invalidates, reads again, and runs it; then has
/// many templates change.
pub(super) async fn show(
    stack: &Stack,
    watch: &Watch,
    (progress, dir): (&Progress, &Path),
) -> anyhow::Result<Publishing> {
    let step = progress.step("a release: published, stale, invalidated, fresh");
    let [monitor, ..] = MONITORS;
    let version = jiff::Timestamp::now()
        .strftime("%Y.%m.%d.%H%M%S-second")
        .to_string();
    // What stands behind a program is no part of it: another binary that does the same.
    let binary = [
        std::fs::read(built("status-monitor")?)?,
        version.clone().into_bytes(),
    ]
    .concat();
    let release = NewRelease {
        epoch: 2,
        ..NewRelease::new(monitor, &version, binary)
    };
    let url = format!("{}/{}", stack.edge.url(), release.at().metadata());
    // An invalidation of an earlier event, carried out in between, would clear the edge.
    stack.cdn.settled().await;
    // Somebody has asked just now: what the edge keeps is stale for a minute, however long all before this took.
    stack.edge.clear();
    read(&url).await?;
    let first = Step::read("a reader asks", read(&url).await?);
    stack.publisher.publish(&release).await?;
    let stale = Step::read("another release is published", read(&url).await?);
    // What is cleared that much later need not be cleared again when S3 tells of it.
    tokio::time::sleep(cdn::SETTLED).await;
    let event = json!({ "monitor": monitor, "version": version, "wait": true });
    let answer = invoke(watch, "cdn-invalidator", &event, dir).await?;
    let number = |name: &str| answer.get(name).and_then(Value::as_f64).unwrap_or_default();
    let fresh = Step {
        billed_paths: number("billable_paths"),
        cost_usd: number("estimated_cost_usd"),
        ..Step::read("it is invalidated", read(&url).await?)
    };
    ensure!(
        fresh.version == version,
        "the edge serves {} and not {version}: {answer}",
        fresh.version
    );
    let answer = invoke(watch, "monitor-runner", &json!({ "monitor": monitor }), dir).await?;
    let run = Step::read("monitor-runner runs it", ran(&answer)?);
    step.done(&format!("v{version}"));
    Ok(Publishing {
        steps: vec![first, stale, fresh, run],
        burst: burst(stack, watch, progress).await?,
    })
}

/// What monitor-runner says of the one monitor that it ran.
fn ran(answer: &Value) -> anyhow::Result<Read> {
    let text = |name: &str| {
        let text = answer
            .pointer(&format!("/results/0/{name}"))
            .and_then(Value::as_str);
        text.with_context(|| format!("monitor-runner says no {name}: {answer}"))
    };
    Ok(Read {
        version: text("version")?.to_owned(),
        from: format!("{} ({})", text("cache")?, text("reason")?),
    })
}

impl Publishing {
    /// A release on its way, step by step, and what many changes at once come to.
    pub(super) fn table(&self, coloured: bool) -> Table {
        let mut table = empty_table(coloured);
        let titles = [
            "a release on its way",
            "version",
            "from",
            "paths billed",
            "cost",
        ];
        table.set_header(titles.map(|title| Cell::new(title).add_attribute(Attribute::Bold)));
        for step in &self.steps {
            table.add_row([
                Cell::new(step.what),
                Cell::new(&step.version),
                Cell::new(&step.from),
                Cell::new(step.billed_paths).set_alignment(CellAlignment::Right),
                Cell::new(format!("{:.3} $", step.cost_usd)).set_alignment(CellAlignment::Right),
            ]);
        }
        let burst = &self.burst;
        table.add_row([
            Cell::new(format!("{} templates change at once", burst.objects)),
            Cell::new(""),
            Cell::new(format!(
                "{} in place of {}",
                burst.invalidations, burst.objects
            )),
            Cell::new(burst.billed_paths).set_alignment(CellAlignment::Right),
            Cell::new(""),
        ]);
        table
    }
}

impl Step {
    fn read(what: &'static str, Read { version, from }: Read) -> Self {
        Self {
            what,
            version,
            from,
            billed_paths: 0.0,
            cost_usd: 0.0,
        }
    }
}

/// Has many templates change, which S3 tells of one by one.
async fn burst(stack: &Stack, watch: &Watch, progress: &Progress) -> anyhow::Result<Burst> {
    let step = progress.step(&format!("{CHANGED} templates change at once"));
    let s3 = stack.moto.s3().await;
    let before = (
        stack.cdn.cloudfront.billed(),
        stack.cdn.cloudfront.requests().len(),
    );
    let delivery = stack.cdn.deliver(&watch.url())?;
    for number in 0..CHANGED {
        let put = s3
            .put_object()
            .bucket(TEMPLATES_BUCKET)
            .key(format!("{TEMPLATES}v2/{number}.yaml"));
        put.body(format!("template: {number}\n").into_bytes().into())
            .send()
            .await?;
    }
    delivery.settled(CHANGED).await?;
    let requests = stack.cdn.cloudfront.requests();
    let new = requests
        .iter()
        .skip(before.1)
        .filter(|request| request.made);
    let burst = Burst {
        objects: CHANGED,
        invalidations: new.count(),
        billed_paths: stack.cdn.cloudfront.billed() - before.0,
    };
    step.done(&format!(
        "{} invalidations, {} paths billed",
        burst.invalidations, burst.billed_paths
    ));
    Ok(burst)
}

async fn read(url: &str) -> anyhow::Result<Read> {
    let client = crate::http_client()?;
    let response = client.get(url).send().await?.error_for_status()?;
    let from = response
        .headers()
        .get("x-cache")
        .and_then(|cache| cache.to_str().ok());
    let from = from.unwrap_or_default().to_owned();
    let metadata: Value = serde_json::from_slice(&response.bytes().await?)?;
    let version = metadata
        .get("version")
        .and_then(Value::as_str)
        .context("the metadata names no version")?;
    Ok(Read {
        version: version.to_owned(),
        from,
    })
}

/// Invokes with an event that is in no file yet.
pub(super) async fn invoke(
    watch: &Watch,
    function: &str,
    event: &Value,
    dir: &Path,
) -> anyhow::Result<Value> {
    let file = dir.join("event.json");
    std::fs::write(&file, event.to_string())
        .with_context(|| format!("could not write {}", file.display()))?;
    let answer = watch.invoke(function, &file).await;
    let _ = std::fs::remove_file(&file);
    answer
}
