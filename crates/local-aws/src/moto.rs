//! S3, and later other services, by moto: <https://docs.getmoto.org>.

use std::{
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use aws_config::Region;
use aws_sdk_s3::config::{Credentials, RequestChecksumCalculation, ResponseChecksumValidation};
use larder_lambda::environment;

const REGION: &str = "us-east-1";

/// The Python of the virtual environment that `make` sets up, or the one that `LARDER_PYTHON`
/// names.
pub fn python() -> anyhow::Result<PathBuf> {
    let venv = || workspace_root().join(".venv/bin/python3");
    let python = environment("LARDER_PYTHON").map_or_else(venv, PathBuf::from);
    let missing = || format!("{} is missing: run `make setup` first", python.display());
    ensure!(python.exists(), missing());
    Ok(python)
}

/// The root of this workspace, as it was when this was built.
#[must_use]
pub fn workspace_root() -> PathBuf {
    let crates = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    crates
        .ancestors()
        .nth(2)
        .map_or(crates.clone(), PathBuf::from)
}

/// A moto server. It ends with this handle, or with this process.
#[derive(Debug)]
pub struct Moto {
    process: Child,
    /// Closing it ends the server.
    stdin: Option<ChildStdin>,
    url: String,
}

impl Moto {
    /// Starts a server on a free port of loopback. Blocks until it listens, a second or so.
    pub fn start() -> anyhow::Result<Self> {
        let mut process = Command::new(python()?)
            .args(["-c", include_str!("serve_moto.py")])
            // Nothing of the user's own AWS set-up may reach it.
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            // Ctrl-C is for this process, which then ends it in good order.
            .process_group(0)
            .spawn()
            .context("could not start moto")?;
        let stdin = process.stdin.take();
        let port = first_line(&mut process)?;
        let port: u16 = port
            .trim()
            .parse()
            .context("moto did not say its port: see its message above")?;
        Ok(Self {
            process,
            stdin,
            url: format!("http://127.0.0.1:{port}"),
        })
    }

    /// Its endpoint, for `AWS_ENDPOINT_URL`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A client of its S3.
    pub async fn s3(&self) -> aws_sdk_s3::Client {
        let config = larder_lambda::aws_config_loader()
            .region(Region::new(REGION))
            .credentials_provider(Credentials::new("local", "local", None, None, "local-aws"))
            .endpoint_url(&self.url)
            // Plain, and past any proxy of the user's: none leads to this machine.
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .load()
            .await;
        let config = aws_sdk_s3::config::Builder::from(&config)
            // A bucket as a part of the host name would need a name server.
            .force_path_style(true)
            // Unoptimised, as all of this is built, a checksum takes longer than the upload.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .build();
        aws_sdk_s3::Client::from_conf(config)
    }
}

fn first_line(process: &mut Child) -> anyhow::Result<String> {
    use std::io::{BufRead as _, BufReader};
    let stdout = process
        .stdout
        .take()
        .context("moto has no standard output")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    Ok(line)
}

impl Drop for Moto {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let deadline = Instant::now() + Duration::from_secs(2);
        while Instant::now() < deadline {
            if matches!(self.process.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
