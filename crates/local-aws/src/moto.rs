//! S3 and other services, by moto: <https://docs.getmoto.org>.

mod api;

use anyhow::Context as _;
use aws_sdk_s3::config::{RequestChecksumCalculation, ResponseChecksumValidation};
use local_servers::helper::Helper;

pub(crate) use api::Api;

/// A moto server. It ends with this handle, or with this process.
#[derive(Debug)]
pub struct Moto {
    _helper: Helper,
    url: String,
}

impl Moto {
    /// Starts a server on a free port of loopback. Blocks until it listens, a second or so.
    pub fn start() -> anyhow::Result<Self> {
        let (helper, port) = Helper::start("moto", include_str!("serve_moto.py"), &[])?;
        let port: u16 = port
            .trim()
            .parse()
            .context("moto did not say its port: see its message above")?;
        Ok(Self {
            _helper: helper,
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
        let config = crate::sdk_config(&self.url).await;
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
