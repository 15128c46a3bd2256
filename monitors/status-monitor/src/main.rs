//! Asks a status page and prints one result line with the services' states.
//!
//! The variable `MONITOR_NAME` says whose page: monitor-runner sets it, so one program serves as
//! several monitors. `<NAME>_STATUS_URL` says where the page is, unless it is a well-known one.

mod pages;
mod slack;
mod statuspage;

use std::{
    io::Write as _,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

/// For the whole answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// More than any status page says.
const MAX_BYTES: usize = 1024 * 1024;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let line = match monitor().await {
        Ok(result) => result.to_string(),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error:#}");
            return ExitCode::FAILURE;
        }
    };
    match writeln!(std::io::stdout(), "{line}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

async fn monitor() -> anyhow::Result<Value> {
    let name = variable("MONITOR_NAME").unwrap_or_else(|| "slack".to_owned());
    let url = page_of(&name)?;
    let began = Instant::now();
    let page = ask(&url)
        .await
        .with_context(|| format!("could not ask {url}"))?;
    let took = began.elapsed().as_secs_f64() * 1e3;
    let states =
        states(&page).with_context(|| format!("{url} is not a status page of a known format"))?;
    let mut result = json!({
        "type": "result",
        "saas_app": name,
        "monitor_version": env!("CARGO_PKG_VERSION"),
        "response_time_ms": took,
        // Each becomes a metric of CloudWatch, which costs.
        "metrics": { "ResponseTimeMs": took, "OpenIncidents": incidents(&states) },
    });
    if let (Value::Object(result), Value::Object(states)) = (&mut result, states) {
        result.extend(states);
    }
    Ok(result)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a monitor is told what to do by its environment"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn page_of(name: &str) -> anyhow::Result<String> {
    let setting = format!("{}_STATUS_URL", name.to_ascii_uppercase().replace('-', "_"));
    let url = variable(&setting).or_else(|| pages::url_of(name));
    url.with_context(|| {
        format!("the status page of {name} is not a well-known one: set {setting} to its URL")
    })
}

async fn ask(url: &str) -> anyhow::Result<Vec<u8>> {
    let client = reqwest::Client::builder().timeout(PATIENCE).build()?;
    let mut response = client.get(url).send().await?.error_for_status()?;
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await? {
        body.extend_from_slice(&piece);
        ensure!(
            body.len() <= MAX_BYTES,
            "the answer is longer than {MAX_BYTES} bytes"
        );
    }
    Ok(body)
}

/// The number of open incidents.
fn incidents(states: &Value) -> usize {
    let incidents = states.get("incidents").and_then(Value::as_array);
    incidents.map_or(0, Vec::len)
}

/// What the page says, whichever of the two kinds it is.
fn states(page: &[u8]) -> anyhow::Result<Value> {
    let fields: serde_json::Map<String, Value> = serde_json::from_slice(page)?;
    if fields.contains_key("active_incidents") {
        slack::states(page)
    } else {
        statuspage::states(page)
    }
}
