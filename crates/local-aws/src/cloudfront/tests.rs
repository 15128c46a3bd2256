//! The endpoint as a client sees it, without one: signatures, limits, duplicates and completion.

use std::time::Duration;

use super::*;
use crate::edge::EdgeCache;

const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=local/20261121/us-east-1/cloudfront/aws4_request, SignedHeaders=host, Signature=0";

fn account(delay: Duration) -> Arc<Shared> {
    let shared = Arc::<Shared>::default();
    let mut account = shared.account();
    account.delay = delay;
    account.add(Distribution::new("E1", "bucket").edge(EdgeCache::default()));
    drop(account);
    shared
}

fn batch(reference: &str, items: &[String]) -> Bytes {
    let paths = xml::quantity(items.iter().map(String::as_str), "Path");
    let text = format!(
        "<InvalidationBatch xmlns=\"{}\"><Paths>{paths}</Paths><CallerReference>{reference}</CallerReference></InvalidationBatch>",
        xml::NAMESPACE
    );
    text.into()
}

async fn send(shared: &Arc<Shared>, authorization: Option<&str>, body: Bytes) -> u16 {
    let mut headers = HeaderMap::new();
    if let Some(authorization) = authorization {
        headers.insert(header::AUTHORIZATION, authorization.parse().unwrap());
    }
    let uri = Uri::from_static("/2020-05-31/distribution/E1/invalidation");
    let state = State(Arc::clone(shared));
    let response = answer(state, Method::POST, uri, headers, body).await;
    response.status().as_u16()
}

/// Creates an invalidation, and returns the code of the error if there was one.
async fn create(shared: &Arc<Shared>, reference: &str, items: &[String]) -> Option<String> {
    send(shared, Some(SIGNED), batch(reference, items)).await;
    shared.asked().requests.last().unwrap().code.clone()
}

fn paths(count: usize, end: &str) -> Vec<String> {
    (0..count).map(|n| format!("/{n}{end}")).collect()
}

#[tokio::test]
async fn what_is_not_signed_for_cloudfront_is_refused() {
    let shared = account(Duration::ZERO);
    let body = batch("r", &paths(1, ""));
    assert_eq!(send(&shared, None, body.clone()).await, 403);
    let for_s3 = SIGNED.replace("cloudfront", "s3");
    assert_eq!(send(&shared, Some(&for_s3), body.clone()).await, 403);
    assert_eq!(send(&shared, Some(SIGNED), body).await, 201);
    let codes: Vec<_> = shared
        .asked()
        .requests
        .iter()
        .map(|request| request.code.clone())
        .collect();
    let code = |code: &str| Some(code.to_owned());
    let (missing, wrong) = (
        code("MissingAuthenticationToken"),
        code("SignatureDoesNotMatch"),
    );
    assert_eq!(codes, [missing, wrong, None]);
}

#[tokio::test(start_paused = true)]
async fn exact_items_and_wildcards_have_limits_of_their_own_while_in_progress() {
    let shared = account(Duration::from_secs(5));
    let too_many = Some("TooManyInvalidationsInProgress".to_owned());
    assert_eq!(create(&shared, "a", &paths(3_000, "")).await, None);
    assert_eq!(create(&shared, "b", &paths(1, "")).await, too_many);
    assert_eq!(create(&shared, "c", &paths(16, "*")).await, too_many);
    assert_eq!(create(&shared, "c", &paths(15, "*")).await, None);
    assert_eq!(create(&shared, "d", &paths(1, "*")).await, too_many);
    let too_large = Some("BatchTooLarge".to_owned());
    assert_eq!(create(&shared, "e", &paths(3_001, "")).await, too_large);
    // Of what was refused nothing counts, and what is completed does not either.
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(create(&shared, "b", &paths(1, "")).await, None);
    assert_eq!(shared.account().billed, 3_000 + 15 + 1);
}

#[tokio::test(start_paused = true)]
async fn an_invalidation_is_completed_when_its_time_is_over() {
    let shared = account(Duration::from_secs(5));
    assert_eq!(create(&shared, "a", &paths(1, "")).await, None);
    let status = || shared.account().invalidations("E1")[0].status;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(status(), Status::InProgress);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(status(), Status::Completed);
    shared.account().delay = Duration::ZERO;
    assert_eq!(create(&shared, "b", &paths(1, "")).await, None);
    assert_eq!(
        shared.account().invalidations("E1")[1].status,
        Status::Completed
    );
}

#[tokio::test]
async fn a_reference_stands_for_one_batch() {
    let used = Some("InvalidArgument".to_owned());
    let exists = Some("InvalidationBatchAlreadyExists".to_owned());
    for (duplicates, same, other) in [
        (Duplicates::First, None, used.clone()),
        (Duplicates::Documented, None, exists),
        (Duplicates::Observed, used.clone(), used),
    ] {
        let shared = account(Duration::from_secs(5));
        shared.account().duplicates = duplicates;
        assert_eq!(create(&shared, "a", &paths(2, "")).await, None);
        assert_eq!(create(&shared, "a", &paths(2, "")).await, same);
        assert_eq!(create(&shared, "a", &paths(3, "")).await, other);
        let made = |request: &Request| request.made;
        let made: Vec<_> = shared.asked().requests.iter().map(made).collect();
        assert_eq!(made, [true, false, false]);
        assert_eq!(shared.account().billed, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn calls_are_limited_on_request() {
    let shared = account(Duration::ZERO);
    shared.account().calls = Some(Calls::new());
    for n in 0..6 {
        assert_eq!(create(&shared, &n.to_string(), &paths(1, "")).await, None);
    }
    let throttled = Some("Throttling".to_owned());
    assert_eq!(create(&shared, "x", &paths(1, "")).await, throttled);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(create(&shared, "x", &paths(1, "")).await, None);
}

#[tokio::test]
async fn faults_happen_to_the_operation_they_are_meant_for() {
    let cloudfront = CloudFront::start().await.unwrap();
    cloudfront.add(Distribution::new("E1", "bucket"));
    let shared = &cloudfront.shared;
    cloudfront.fail_next_of("GetInvalidation", 403, "AccessDenied", "no");
    cloudfront.fail_after_next_of("CreateInvalidation", 503, "ServiceUnavailable", "later");
    let lost = Some("ServiceUnavailable".to_owned());
    assert_eq!(create(shared, "a", &paths(1, "")).await, lost);
    assert_eq!(cloudfront.invalidations("E1").len(), 1);
    assert_eq!(create(shared, "a", &paths(1, "")).await, None);
    cloudfront.fail_next(400, "Throttling", "Rate exceeded");
    assert_eq!(
        create(shared, "b", &paths(1, "")).await.as_deref(),
        Some("Throttling")
    );
    assert_eq!(cloudfront.billed(), 1);
    let requests = cloudfront.take_requests();
    assert_eq!(requests.iter().filter(|request| request.made).count(), 1);
    assert_eq!(requests[2].items, ["/0"]);
    cloudfront.seed_completed("E1", "I0", &["/old"]).unwrap();
    assert_eq!(cloudfront.invalidations("E1")[0].id, "I0");
    assert!(cloudfront.seed_completed("E2", "I0", &["/old"]).is_err());
}
