//! The AWS SDK's configuration, made once in a process and shared by all its clients.

use std::time::Duration;

use aws_config::{
    BehaviorVersion, ConfigLoader, Region, SdkConfig,
    environment::EnvironmentVariableCredentialsProvider, retry::RetryConfig,
    timeout::TimeoutConfig,
};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};

use crate::settings::environment;

/// Those who sign AWS's certificates.
const ROOTS: &[u8] = include_bytes!("amazon_roots.pem");

/// Settings for every AWS client of a function: region, credentials and endpoints from the standard
/// variables (`AWS_REGION`, `AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_<SERVICE>`, …), and bounds that fit
/// an invocation. Clients made from one configuration share one connection pool.
pub async fn aws_config() -> SdkConfig {
    aws_config_loader().load().await
}

/// The same before it is loaded, for whoever has to set more.
///
/// Connecting is given 1 s and one attempt 5 s, since a socket that died while the environment was
/// frozen shows itself only by silence; three attempts with the SDK's jittered backoff, 20 s in all.
///
/// Of certificates those are believed that Amazon signs, as all of AWS's are: reading all that a system believes takes most
/// of a cold start. Where `SSL_CERT_FILE` or `SSL_CERT_DIR` says whom to believe, and in China, which others sign for, the
/// system's hold instead.
#[must_use]
pub fn aws_config_loader() -> ConfigLoader {
    let loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(1))
                .operation_attempt_timeout(Duration::from_secs(5))
                .operation_timeout(Duration::from_secs(20))
                .build(),
        )
        .retry_config(RetryConfig::standard().with_max_attempts(3));
    let loader = from_environment(loader);
    let own = ["SSL_CERT_FILE", "SSL_CERT_DIR"].map(environment);
    let in_china = environment("AWS_REGION").is_some_and(|region| region.starts_with("cn-"));
    if own.iter().any(Option::is_some) || in_china {
        return loader;
    }
    let roots = TrustStore::empty().with_pem_certificate(ROOTS);
    match TlsContext::builder().with_trust_store(roots).build() {
        Ok(context) => {
            let client = Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc));
            loader.http_client(client.tls_context(context).build_https())
        }
        // The SDK's own client believes whom the system believes.
        Err(_) => loader,
    }
}

/// With the Region and the credentials of the environment, where both are there, as they are on Lambda: the same that would be
/// found first by looking everywhere, without setting up clients for everywhere else at each cold start.
fn from_environment(loader: ConfigLoader) -> ConfigLoader {
    let set = |name: &str| environment(name).filter(|value| !value.is_empty());
    let keys = set("AWS_ACCESS_KEY_ID").zip(set("AWS_SECRET_ACCESS_KEY"));
    let loader = match set("AWS_REGION") {
        Some(region) => loader.region(Region::new(region)),
        None => loader,
    };
    match keys {
        Some(_) => loader.credentials_provider(EnvironmentVariableCredentialsProvider::new()),
        None => loader,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_five_authorities_are_there() {
        let text = std::str::from_utf8(ROOTS).unwrap();
        assert_eq!(text.matches("-----BEGIN CERTIFICATE-----").count(), 5);
    }
}
