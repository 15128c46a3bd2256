#![doc = include_str!("../README.md")]

pub mod cdn;
pub mod chat;
pub mod cloud;
pub mod cloudfront;
pub mod cloudtrail;
pub mod demo;
pub mod dynamodb;
pub mod ec2;
pub mod edge;
pub mod event_bus;
pub mod event_source;
pub mod fleet;
pub mod lambda;
pub mod line;
pub mod market;
pub mod moto;
pub mod progress;
pub mod publish;
pub mod reports;
pub mod schedule;
mod server;
pub mod servers;
pub mod stack;
pub mod status_page;
pub mod template;
pub mod watch;

pub use server::Server;

use aws_config::{Region, SdkConfig};
use aws_sdk_s3::config::Credentials;

/// The configuration of AWS's clients for whatever listens at `endpoint`, on this machine.
pub async fn sdk_config(endpoint: &str) -> SdkConfig {
    larder_lambda::aws_config_loader()
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("local", "local", None, None, "local-aws"))
        .endpoint_url(endpoint)
        // Plain, and past any proxy of the user's: none leads to this machine.
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .load()
        .await
}

/// A client for servers of this machine: no proxy leads there.
pub fn http_client() -> anyhow::Result<reqwest::Client> {
    Ok(larder_lambda::http_client()?.no_proxy().build()?)
}

/// The same for invocations of functions, which may be silent for as long as they work. One that was given up on would be answered
/// all the same, and `cargo lambda watch` refuses such an answer.
fn invoking_client() -> anyhow::Result<reqwest::Client> {
    let client = larder_lambda::http_client()?.no_proxy();
    let client = client.read_timeout(larder_lambda::UNKNOWN_TIME_LEFT);
    Ok(client.build()?)
}

/// Where the Invoke API of `endpoint` takes events for `function`.
fn lambda_url(endpoint: &str, function: &str) -> String {
    format!("{endpoint}/2015-03-31/functions/{function}/invocations")
}
