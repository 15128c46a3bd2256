//! The command behind `make run` and `make dev`.

use std::{
    io::{IsTerminal as _, Write as _},
    process::ExitCode,
    time::Duration,
};

use clap::{Args, Parser, Subcommand};
use local_aws::demo;
use local_network::Profile;
use tokio::signal::unix::{SignalKind, signal};

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
        #[command(flatten)]
        network: NetworkOption,
    },
    /// Leave everything running until Ctrl-C, with the lines to try.
    Dev {
        /// Have all schedules fire this often instead of as the template says.
        #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
        tick: Option<u64>,
        #[command(flatten)]
        network: NetworkOption,
    },
}

#[derive(Args)]
struct NetworkOption {
    /// Network between functions and services: loopback, region or vpc (docs/network.md has their latencies).
    #[arg(long, value_name = "PROFILE", default_value_t)]
    network: Profile,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let work = async {
        match arguments.command {
            Command::Run { json, network } => demo::run(json, network.network).await,
            Command::Dev { tick, network } => {
                demo::dev(tick.map(Duration::from_secs), network.network).await
            }
        }
    };
    // Warnings of the emulators go where the progress is told.
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_max_level(tracing::Level::WARN)
        .without_time()
        .init();
    let stopped = match stopped() {
        Ok(stopped) => stopped,
        Err(error) => return failed(&error.into()),
    };
    // Dropping the work ends every process and server that it started.
    tokio::select! {
        outcome = work => match outcome {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(&error),
        },
        signal = stopped => ExitCode::from(128 + signal),
    }
}

/// Waits for Ctrl-C, for the terminal to be closed, or for being asked to end; the signal's number.
fn stopped() -> std::io::Result<impl Future<Output = u8>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = hangup.recv() => 1,
            _ = interrupt.recv() => 2,
            _ = terminate.recv() => 15,
        }
    })
}

fn failed(error: &anyhow::Error) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "error: {error:#}");
    ExitCode::FAILURE
}
