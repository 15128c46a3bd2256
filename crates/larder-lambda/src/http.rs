//! The client for servers outside of AWS.

use std::{sync::Arc, time::Duration};

use reqwest::{Client, ClientBuilder};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};

const CONNECT: Duration = Duration::from_secs(2);
/// Between two pieces of an answer; how long the whole may take is the caller's to say.
const SILENCE: Duration = Duration::from_secs(10);
/// Idle connections are given up before the other side's usual 60 s are over.
const IDLE: Duration = Duration::from_secs(50);

/// A client to be: with its own TLS, the authorities that browsers believe, and bounds that fit an invocation. It fails only if
/// TLS cannot be set up.
pub fn http_client() -> Result<ClientBuilder, rustls::Error> {
    let roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.into(),
    };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Client::builder()
        .user_agent(concat!("larder/", env!("CARGO_PKG_VERSION")))
        .tls_backend_preconfigured(tls)
        .connect_timeout(CONNECT)
        .read_timeout(SILENCE)
        .pool_idle_timeout(IDLE)
        // A request that is tried again must not find a second socket that died in the same freeze.
        .pool_max_idle_per_host(1))
}
