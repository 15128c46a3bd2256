//! What `make run` and `make dev` do.

mod findings;
mod keep;
mod publishing;
mod report;
mod table;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use local_network::Profile;
use local_servers::helper::workspace_root;
use serde_json::Value;

use crate::{
    cdn::TEMPLATES_BUCKET,
    progress::Progress,
    schedule::Ticker,
    stack::Stack,
    template::{Pace, Template},
    watch::Watch,
};
use report::{Report, Row};

/// Where a run leaves what it found.
const RESULTS: &str = "target/run";

/// Starts the stack, invokes every function with each of its events twice, and tells what the
/// second time did not have to do.
pub async fn run(json: bool, network: Profile) -> anyhow::Result<()> {
    let results = workspace_root().join(RESULTS);
    std::fs::create_dir_all(&results)
        .with_context(|| format!("could not make {}", results.display()))?;
    let progress = Progress::new();
    let stack = Stack::start(&progress, network).await?;
    let functions = template()?.functions()?;

    let step = progress.step("cargo lambda watch");
    let watch = Watch::start(stack.variables(), Some(&results.join("watch.log"))).await?;
    step.done(&watch.url());

    let mut report = Report::default();
    for function in &functions {
        for event in events_of(&function.name)? {
            let name = event
                .file_stem()
                .and_then(|name| name.to_str())
                .unwrap_or_default()
                .to_owned();
            let step = progress.step(&format!("{} with {name}, twice", function.name));
            let first = timed(watch.invoke(&function.name, &event)).await?;
            let warm = timed(watch.invoke(&function.name, &event)).await?;
            keep::pictures(&warm.0, &results).await?;
            let row = Row::new(&function.name, &name, &first, &warm)?;
            step.done(&row.warm_states());
            report.rows.push(row);
        }
    }
    report.publishing = Some(publishing::show(&stack, &watch, (&progress, &results)).await?);
    report.findings = Some(findings::show(&stack, &watch, &progress, &results).await?);
    watch.stop().await;
    drop(stack);
    let summary = results.join("summary.json");
    report.save(&summary)?;
    report.print(json)?;
    if !json {
        progress.note(&format!("The same as JSON: {}", summary.display()));
        progress.note(&format!("Reports as PDF and charts: {}", results.display()));
    }
    Ok(())
}

/// Starts the stack and leaves it running until Ctrl-C, schedules and all. `tick` overrides how
/// often they fire.
pub async fn dev(tick: Option<Duration>, network: Profile) -> anyhow::Result<()> {
    let progress = Progress::new();
    let stack = Stack::start(&progress, network).await?;
    let functions = template()?.functions()?;
    let step = progress.step("cargo lambda watch");
    let watch = Watch::start(stack.variables(), None).await?;
    step.done(&watch.url());

    let mut tickers = Vec::new();
    for function in &functions {
        for schedule in &function.schedules {
            let (name, of) = (&schedule.name, &function.name);
            let every = match (tick, &schedule.pace) {
                (Some(tick), _) => tick,
                (None, Pace::Every(time)) => *time,
                (None, Pace::Cron(expression)) => {
                    progress.note(&format!(
                        "{name} of {of} fires by {expression}: here with TICK alone"
                    ));
                    continue;
                }
            };
            progress.note(&format!("{name} of {of} fires every {} s", every.as_secs()));
            tickers.push(Ticker::start(&watch.url(), of, schedule, every)?);
        }
    }
    let _delivery = stack.cdn.deliver(&watch.url())?;
    progress.note("cdn-invalidator is told of what changes in the buckets releases and templates");
    progress.note("\nTry, in another terminal, in this folder:");
    for function in &functions {
        for event in events_of(&function.name)? {
            let event = event
                .strip_prefix(workspace_root())
                .unwrap_or(&event)
                .to_owned();
            progress.note(&format!(
                "  {}",
                watch.invoke_line(&function.name, &event.to_string_lossy())
            ));
        }
    }
    tell_doors(&progress, &stack, &watch);
    let (s3, edge) = (stack.moto.url(), stack.cdn.templates.url());
    progress.note("  # change a template, and see when the edge has it");
    progress.note(&format!(
        "  curl --upload-file README.md {s3}/{TEMPLATES_BUCKET}/customer-templates/a.yaml"
    ));
    progress.note(&format!("  curl -i {edge}/customer-templates/a.yaml"));
    let page = stack.status_page.url();
    progress.note("  # have Slack's page tell of an outage");
    progress.note(&format!(
        "  curl -X PUT -H 'Content-Type: application/json' {page}{} -d '{}'",
        crate::status_page::SLACK,
        r#"{"status":"active","active_incidents":[{"id":1,"title":"Down","type":"outage","services":["Messaging"]}]}"#
    ));
    progress.note("\nCtrl-C ends it all.");
    std::future::pending::<()>().await;
    Ok(())
}

/// The addresses of report-generator's function URL.
fn tell_doors(progress: &Progress, stack: &Stack, watch: &Watch) {
    let url = |path: &str| watch.function_url("report-generator", path);
    progress.note("  # reports in a browser: all tickers, one report, its chart and its PDF");
    for path in [
        "/",
        "/reports/DBS19",
        "/reports/DBS19/chart.png",
        "/reports/DBS19/report.pdf",
    ] {
        progress.note(&format!("  {}", url(path)));
    }
    progress.note("  # the same as JSON, and LINE's webhook as its console tries it");
    progress.note(&format!("  curl {}", url("/reports/DBS19?language=en")));
    let body = r#"{"destination":"U0123456789abcdef0123456789abcdef","events":[]}"#;
    progress.note(&format!(
        "  curl -i -H 'Content-Type: application/json' -H 'X-Line-Signature: {}' -d '{body}' {}",
        stack.reports.line_signature(body),
        url("/line/webhook")
    ));
}

fn template() -> anyhow::Result<Template> {
    Template::load(&workspace_root().join("template.yaml"))
}

/// The files with events for a function, in order of their names.
fn events_of(function: &str) -> anyhow::Result<Vec<std::path::PathBuf>> {
    let dir = workspace_root().join("events").join(function);
    let entries =
        std::fs::read_dir(&dir).with_context(|| format!("{} has no events", dir.display()))?;
    let mut files: Vec<_> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| is_json(path))
        .collect();
    files.sort();
    Ok(files)
}

fn is_json(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "json")
}

/// An answer, and how long it took to come.
async fn timed(
    invocation: impl Future<Output = anyhow::Result<Value>>,
) -> anyhow::Result<(Value, Duration)> {
    let began = Instant::now();
    Ok((invocation.await?, began.elapsed()))
}
