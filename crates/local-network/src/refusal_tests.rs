//! AWS's own clients take every refusal as throttling.

use std::{fmt::Debug, time::Duration};

use aws_config::{SdkConfig, retry::RetryConfig};
use aws_runtime::retries::classifiers::THROTTLING_ERRORS;
use aws_sdk_s3::error::ProvideErrorMetadata;

use super::{Link, Proxy, Service};

/// Starts a service that refuses everything, with the configuration of a client that asks it twice.
async fn refusing(service: Service, seed: u64) -> (Proxy, SdkConfig) {
    let link = Link::fixed(Duration::ZERO).refusals(1.0);
    // A port without a server: a refused request must not get that far.
    let proxy = Proxy::start(service, "127.0.0.1:9", link, seed)
        .await
        .unwrap();
    let config = local_aws::sdk_config(&proxy.url()).await.into_builder();
    let retries = RetryConfig::standard()
        .with_max_attempts(2)
        .with_initial_backoff(Duration::from_millis(1));
    let config = config.retry_config(retries).build();
    (proxy, config)
}

fn assert_throttled<T: Debug>(
    proxy: &Proxy,
    result: Result<T, impl ProvideErrorMetadata + Debug>,
) -> String {
    let error = result.unwrap_err();
    let code = error.code().unwrap_or_else(|| panic!("no code: {error:?}"));
    assert!(THROTTLING_ERRORS.contains(&code), "{code}");
    assert_eq!((proxy.requests(), proxy.refused()), (2, 2), "tried again");
    code.to_owned()
}

#[tokio::test]
async fn s3_refusal_is_slow_down() {
    let (proxy, config) = refusing(Service::S3, 1).await;
    let config = aws_sdk_s3::config::Builder::from(&config).force_path_style(true);
    let client = aws_sdk_s3::Client::from_conf(config.build());
    let put = client
        .put_object()
        .bucket("b")
        .key("k")
        .body(vec![0; 1 << 20].into());
    assert_eq!(assert_throttled(&proxy, put.send().await), "SlowDown");
}

#[tokio::test]
async fn s3_refusal_of_head_has_no_body() {
    let (proxy, config) = refusing(Service::S3, 1).await;
    let config = aws_sdk_s3::config::Builder::from(&config).force_path_style(true);
    let client = aws_sdk_s3::Client::from_conf(config.build());
    let error = client.head_object().bucket("b").key("k").send().await;
    let error = error.unwrap_err();
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 503);
    assert_eq!(proxy.requests(), 2, "tried again, as a 503 is");
}

#[tokio::test]
async fn dynamodb_refusals_are_both_of_its_kinds() {
    let mut codes = std::collections::BTreeSet::new();
    for seed in 0..8 {
        let (proxy, config) = refusing(Service::DynamoDb, seed).await;
        let client = aws_sdk_dynamodb::Client::new(&config);
        codes.insert(assert_throttled(&proxy, client.list_tables().send().await));
    }
    let expected = [
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
    ];
    assert!(codes.iter().eq(expected), "{codes:?}");
}

#[tokio::test]
async fn cloudtrail_refusal_is_throttling() {
    let (proxy, config) = refusing(Service::CloudTrail, 1).await;
    let client = aws_sdk_cloudtrail::Client::new(&config);
    let code = assert_throttled(&proxy, client.lookup_events().send().await);
    assert_eq!(code, "ThrottlingException");
}

#[tokio::test]
async fn cloudfront_refusal_is_throttling() {
    for seed in 0..4 {
        let (proxy, config) = refusing(Service::CloudFront, seed).await;
        let client = aws_sdk_cloudfront::Client::new(&config);
        let list = client.list_distributions().send().await;
        assert_eq!(assert_throttled(&proxy, list), "Throttling");
    }
}

/// Services without an SDK in this workspace: the shapes that their protocols define.
#[tokio::test]
async fn refusals_follow_the_protocol_of_the_request() {
    let client = local_aws::http_client().unwrap();
    let json = "application/x-amz-json-1.0";
    let form = "application/x-www-form-urlencoded";
    let cases = [
        (
            Service::Ssm,
            "application/x-amz-json-1.1",
            400,
            "\"__type\":\"ThrottlingException\"",
        ),
        (
            Service::Events,
            "application/x-amz-json-1.1",
            400,
            "\"__type\":\"ThrottlingException\"",
        ),
        (
            Service::Sqs,
            json,
            400,
            "\"__type\":\"ThrottlingException\"",
        ),
        (Service::Sqs, form, 400, "<Code>Throttling</Code>"),
        (Service::CloudWatch, form, 400, "<Code>Throttling</Code>"),
        (Service::Sns, form, 400, "<Code>Throttling</Code>"),
        (Service::Ec2, form, 503, "<Code>RequestLimitExceeded</Code>"),
        (Service::Edge, form, 503, "503 ERROR"),
        (Service::Http, form, 503, "Service Unavailable"),
    ];
    for (service, content_type, status, part) in cases {
        let (proxy, _) = refusing(service, 1).await;
        let request = client
            .post(proxy.url())
            .header("content-type", content_type);
        let answer = request.body("Action=Any").send().await.unwrap();
        assert_eq!(answer.status(), status, "{service:?}");
        let text = answer.text().await.unwrap();
        assert!(text.contains(part), "{service:?}: {text}");
    }
}
