//! A Lambda function for tests: its event tells it what to do.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use larder_lambda::{Error, ErrorKind, Function, Invocation, environment};
use metrique_writer::Entry;
use serde::Deserialize;
use serde_json::{Value, json};

fn main() -> ExitCode {
    larder_lambda::run(async || {
        let init = environment("INIT").unwrap_or_default();
        match init.as_str() {
            "fails" => Err(anyhow::anyhow!("no such key").context("could not read the settings")),
            "exits" => std::process::exit(7),
            _ => Ok(Obedient),
        }
    })
}

struct Obedient;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum Order {
    Echo(Value),
    SleepMs(u64),
    Fail(String),
    Panic(String),
    Exit(i32),
    TimeLeft(()),
    Environment(String),
    /// After the response, waits for the first file and writes the second.
    Later(PathBuf, PathBuf),
    /// Waits until as many invocations have left a file in the folder.
    Meet(PathBuf, usize),
    /// An answer of as many bytes.
    Answer(usize),
}

#[derive(Debug, Default, Entry)]
#[entry(rename_all = "PascalCase")]
struct Metrics {
    orders: u64,
}

impl Function for Obedient {
    type Event = Order;
    type Answer = Value;
    type Metrics = Metrics;

    const AFTER_RESPONSE: bool = true;

    async fn handle(
        &self,
        order: Order,
        invocation: &Invocation,
        metrics: &mut Metrics,
    ) -> Result<Value, Error> {
        metrics.orders += 1;
        tracing::info!(?order, "Obeying");
        match order {
            Order::Echo(value) => return Ok(value),
            Order::SleepMs(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
            Order::Fail(message) => return Err(Error::message(ErrorKind::Upstream, message)),
            #[expect(clippy::panic, reason = "a panic is what the test is about")]
            Order::Panic(message) => panic!("{message}"),
            Order::Exit(code) => std::process::exit(code),
            Order::TimeLeft(()) => {
                let deadline = invocation.deadline;
                return Ok(json!({
                    "known": deadline.is_known(),
                    "ms": u64::try_from(deadline.time_left().as_millis()).unwrap_or_default(),
                }));
            }
            Order::Environment(name) => return Ok(json!(environment(&name))),
            Order::Later(gate, path) => invocation.after_response(async move {
                wait_for(|| gate.exists()).await;
                let _ = std::fs::write(path, "done");
            }),
            Order::Meet(dir, number) => {
                let here = std::fs::write(dir.join(&invocation.request_id), "");
                here.map_err(|error| Error::message(ErrorKind::Internal, error.to_string()))?;
                wait_for(|| dir.read_dir().is_ok_and(|all| all.count() >= number)).await;
            }
            Order::Answer(bytes) => return Ok(json!("x".repeat(bytes))),
        }
        Ok(json!({ "cold_start": invocation.cold_start }))
    }
}

async fn wait_for(check: impl Fn() -> bool) {
    while !check() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
