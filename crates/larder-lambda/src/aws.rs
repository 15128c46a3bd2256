//! The AWS SDK's configuration, made once in a process and shared by all its clients.

use std::time::Duration;

use aws_config::{
    BehaviorVersion, ConfigLoader, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig,
};

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
#[must_use]
pub fn aws_config_loader() -> ConfigLoader {
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(1))
                .operation_attempt_timeout(Duration::from_secs(5))
                .operation_timeout(Duration::from_secs(20))
                .build(),
        )
        .retry_config(RetryConfig::standard().with_max_attempts(3))
}
