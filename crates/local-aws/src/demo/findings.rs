//! A status change, from the page that tells of it to the event that people get.

use std::path::Path;

use anyhow::{Context as _, ensure};
use comfy_table::{Attribute, Cell, Table};
use http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};

use super::{publishing::invoke, table::empty_table};
use crate::{progress::Progress, stack::Stack, status_page::quiet_slack, watch::Watch};

/// The steps of a status change, in order.
#[derive(Debug, Serialize)]
pub(super) struct Findings {
    steps: Vec<Step>,
}

/// A run of the monitor, and the events that came of it.
#[derive(Debug, Serialize)]
struct Step {
    what: &'static str,
    /// The status that the run found.
    status: String,
    /// The changes that were sent: `ok -> active`.
    events: Vec<String>,
}

/// Has Slack's page tell of an outage, runs its monitor, and reads the event; then the same back again.
pub(super) async fn show(
    stack: &Stack,
    watch: &Watch,
    progress: &Progress,
    dir: &Path,
) -> anyhow::Result<Findings> {
    let step = progress.step("a status change: a page, a run, an event");
    let outage = json!({
        "status": "active",
        "active_incidents": [{ "id": 1, "title": "Messages are late", "type": "outage", "services": ["Messaging"] }],
    });
    // What was sent until here is of the runs above.
    stack.events.received().await?;
    let run = async |what, page: Value| {
        stack.status_page.set_slack(StatusCode::OK, page);
        run(stack, watch, dir, what).await
    };
    let steps = vec![
        run("Slack's page: all is well", quiet_slack()).await?,
        run("the page tells of an outage", outage.clone()).await?,
        run("the next run finds the same", outage).await?,
        run("the outage is over", quiet_slack()).await?,
    ];
    let events: Vec<_> = steps.iter().flat_map(|step| &step.events).collect();
    ensure!(
        events == ["ok -> active", "active -> ok"],
        "the bus has received {events:?}"
    );
    step.done("1 event for each change");
    Ok(Findings { steps })
}

/// Runs Slack's monitor once.
async fn run(stack: &Stack, watch: &Watch, dir: &Path, what: &'static str) -> anyhow::Result<Step> {
    let answer = invoke(watch, "monitor-runner", &json!({ "monitor": "slack" }), dir).await?;
    let status = answer.pointer("/results/0/result/status");
    let status = status
        .and_then(Value::as_str)
        .with_context(|| format!("the monitor tells no status: {answer}"))?;
    let events = stack.events.received().await?;
    Ok(Step {
        what,
        status: status.to_owned(),
        events: events.iter().map(change).collect(),
    })
}

/// `ok -> active`, of an event.
fn change(event: &Value) -> String {
    let detail = |name: &str| {
        let text = event.pointer(&format!("/detail/{name}"));
        text.and_then(Value::as_str).unwrap_or("none").to_owned()
    };
    format!("{} -> {}", detail("previous_status"), detail("status"))
}

impl Findings {
    /// The steps, a row each.
    pub(super) fn table(&self, coloured: bool) -> Table {
        let mut table = empty_table(coloured);
        let titles = ["a status change", "status", "event received"];
        table.set_header(titles.map(|title| Cell::new(title).add_attribute(Attribute::Bold)));
        for step in &self.steps {
            table.add_row([step.what, &step.status, &step.events.join(", ")]);
        }
        table
    }
}
