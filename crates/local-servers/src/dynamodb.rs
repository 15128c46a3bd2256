//! DynamoDB, by dynoxide: <https://crates.io/crates/dynoxide-rs>. moto's is not atomic, so nothing that has to do with
//! conditions could be tested on it.
//!
//! A program beside this one and not a library in it: it brings SQLite as the cache does, of another version, and a
//! program can be linked with one.

use anyhow::ensure;

use crate::helper::{Program, workspace_root};

/// Where `make setup` puts it.
const PROGRAM: &str = ".tools/bin/dynoxide";

/// A server on loopback that keeps everything in memory. It ends with this handle, or with this process.
#[derive(Debug)]
pub struct DynamoDb(Program);

impl DynamoDb {
    /// Starts a server without tables. Blocks until it listens.
    pub fn start() -> anyhow::Result<Self> {
        let program = workspace_root().join(PROGRAM);
        let missing = || format!("{} is missing: run `make setup` first", program.display());
        ensure!(program.exists(), missing());
        let arguments = [
            "serve",
            "--host",
            "127.0.0.1",
            "--log",
            "quiet",
            "--port",
            "{port}",
        ];
        Ok(Self(Program::start(
            &program.to_string_lossy(),
            &arguments,
        )?))
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.port()
    }

    /// Its endpoint, for `AWS_ENDPOINT_URL_DYNAMODB`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port())
    }
}
