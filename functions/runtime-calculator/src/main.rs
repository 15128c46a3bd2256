//! Entry point: read the settings, make the clients once, serve events.

use std::process::ExitCode;

use runtime_calculator::{App, Config};

fn main() -> ExitCode {
    larder_lambda::run(async || App::new(Config::from_env()?, &larder_lambda::aws_config().await))
}
