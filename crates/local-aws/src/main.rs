//! The command behind `make run` and `make dev`.

use std::{io::Write as _, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};
use local_aws::demo;

/// Runs Larder's functions on a local AWS.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Invoke every function twice, show what the second time saved, and stop.
    Run {
        /// Print the result as JSON instead of a table.
        #[arg(long)]
        json: bool,
    },
    /// Leave everything running until Ctrl-C, with the lines to try.
    Dev {
        /// Have all schedules fire this often instead of as the template says.
        #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
        tick: Option<u64>,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let work = async {
        match arguments.command {
            Command::Run { json } => demo::run(json).await,
            Command::Dev { tick } => demo::dev(tick.map(Duration::from_secs)).await,
        }
    };
    let mut terminate =
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(terminate) => terminate,
            Err(error) => return failed(&error.into()),
        };
    // Dropping the work ends every process and server that it started.
    tokio::select! {
        outcome = work => match outcome {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(&error),
        },
        _ = tokio::signal::ctrl_c() => ExitCode::from(130),
        _ = terminate.recv() => ExitCode::from(143),
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "error: {error:#}");
    ExitCode::FAILURE
}
