//! The command, from its arguments to its exit code.

use std::{
    io::{self, Write as _},
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use cdn::{Item, Known, MAX_WILDCARDS, Standing};
use jiff::Timestamp;
use larder_lambda::milliseconds;
use serde::Serialize;
use serde_json::json;

use crate::{
    arguments::{Arguments, Command, Invalidate, Manner, Status},
    clearing::{Answer, Direct, Order, Told, Way, Which},
    monitor,
    progress::Progress,
    report::Report,
    session::{Session, config},
    templates,
};

/// Does what the arguments say. What goes wrong is told on standard error, and is an exit code of 1.
pub async fn run(arguments: Arguments) -> ExitCode {
    let began = Instant::now();
    let json = arguments.command.is_json();
    let outcome = match arguments.command {
        Command::Monitor(monitor) => {
            let published = async {
                let bucket = (&monitor.bucket, monitor::OUTPUT);
                let url = Some(&monitor.url);
                let session = Session::new(bucket, &monitor.clearing, url, monitor.manner).await?;
                monitor::publish(&monitor, &session).await
            };
            tell(Box::pin(published).await, monitor.manner, began)
        }
        Command::Templates(folder) => {
            let published = async {
                let bucket = (&folder.bucket, templates::OUTPUT);
                let url = folder.url.as_ref();
                let session = Session::new(bucket, &folder.clearing, url, folder.manner).await?;
                templates::publish(&folder, &session).await
            };
            tell(Box::pin(published).await, folder.manner, began)
        }
        Command::Invalidate(invalidate) => {
            let answer = Box::pin(by_hand(&invalidate)).await;
            answer.and_then(|answer| tell_answer(answer, json, began))
        }
        Command::Status(status) => {
            let answer = Box::pin(standing(&status)).await;
            answer.and_then(|answer| tell_answer(answer, json, began))
        }
    };
    outcome.unwrap_or_else(|error| {
        let _ = writeln!(io::stderr(), "error: {error:#}");
        if json {
            // Whoever reads a document gets one.
            let _ = print(&json!({ "error": format!("{error:#}") }));
        }
        ExitCode::FAILURE
    })
}

impl Command {
    fn is_json(&self) -> bool {
        match self {
            Self::Monitor(monitor) => monitor.manner.json,
            Self::Templates(templates) => templates.manner.json,
            Self::Invalidate(invalidate) => invalidate.json,
            Self::Status(status) => status.json,
        }
    }
}

/// Tells what a run came to. A build does not break because caches could not be told, unless it wants to.
fn tell(
    report: anyhow::Result<Report>,
    manner: Manner,
    began: Instant,
) -> anyhow::Result<ExitCode> {
    let mut report = report?;
    report.dry_run = manner.dry_run;
    report.duration_ms = milliseconds(began.elapsed());
    if manner.json {
        print(&report)?;
    } else {
        line(&report.told())?;
    }
    if manner.strict && !report.is_well() {
        let _ = writeln!(
            io::stderr(),
            "error: published, but not so that every reader is known to see it (--strict)"
        );
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// Tells what became of an invalidation that was all there was to do.
fn tell_answer(mut answer: Answer, json: bool, began: Instant) -> anyhow::Result<ExitCode> {
    answer.duration_ms = milliseconds(began.elapsed());
    if json {
        print(&answer)?;
    } else {
        line(&answer.told())?;
    }
    Ok(match answer.status {
        Standing::Failed => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    })
}

async fn by_hand(arguments: &Invalidate) -> anyhow::Result<Answer> {
    let items = items(&arguments.paths)?;
    let config = config().await?;
    let wait = Duration::from_secs(arguments.wait);
    let told = Told {
        function: arguments.function.as_deref(),
        distribution: arguments.distribution.as_deref(),
        domain: arguments.domain.as_deref(),
    };
    let way = Way::of(&config, told, (wait, MAX_WILDCARDS))?;
    // In characters that the function takes for a version.
    let now = || Timestamp::now().strftime("%Y%m%dT%H%M%S.%9fZ").to_string();
    let content = arguments.version.clone().unwrap_or_else(now);
    let order = Order {
        changed: &items,
        known: Known::Nothing,
        content: &content,
        is_new: false,
        wait,
    };
    // The answer is all there is to say in the end.
    let _step = Progress::new().step("clear");
    Ok(way.clear(&order).await)
}

/// The paths as items, or all that is wrong with them.
fn items(paths: &[String]) -> anyhow::Result<Vec<Item>> {
    let (mut items, mut problems) = (Vec::new(), Vec::new());
    for path in paths {
        match Item::parse(path) {
            Ok(item) => items.extend(item.spellings()),
            Err(rejected) => problems.push(rejected.to_string()),
        }
    }
    anyhow::ensure!(
        problems.is_empty(),
        "nothing was cleared: {}",
        problems.join("; ")
    );
    Ok(items)
}

async fn standing(arguments: &Status) -> anyhow::Result<Answer> {
    let which = Which::Id(arguments.distribution.clone());
    let direct = Direct::new(&config().await?, which, MAX_WILDCARDS);
    let _step = Progress::new().step("how it stands");
    direct.status(&arguments.invalidation).await
}

fn print(document: &impl Serialize) -> anyhow::Result<()> {
    line(&serde_json::to_string(document)?)
}

fn line(text: &str) -> anyhow::Result<()> {
    writeln!(io::stdout().lock(), "{text}").context("the result cannot be printed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_wrong_paths_are_told_at_once() {
        let paths = ["/a", "b", "/c,/d"].map(str::to_owned);
        let told = items(&paths).unwrap_err().to_string();
        assert!(
            told.contains("\"b\" begins with neither") && told.contains("several paths"),
            "{told}"
        );
        assert_eq!(items(&paths[..1]).unwrap().len(), 1);
    }
}
