//! Entry point: read the settings, make the clients and the cache once, serve events.

use std::process::ExitCode;

use monitor_runner::{App, Config};

fn main() -> ExitCode {
    larder_lambda::run(async || App::new(Config::from_env()?, &larder_lambda::aws_config().await))
}
