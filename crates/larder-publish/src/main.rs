//! The command `larder-publish`.

use std::process::ExitCode;

use clap::Parser as _;
use larder_publish::Arguments;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Warnings go where the progress is told; standard output is for the result.
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing::Level::WARN)
        .without_time()
        .init();
    larder_publish::run(arguments).await
}
