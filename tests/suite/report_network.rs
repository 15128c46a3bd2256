//! Reports where S3 is slow, hangs, or refuses.

use std::time::Duration;

use local_aws::lambda::Function;
use local_network::{Link, Profile};
use serde_json::json;

use crate::{
    report_world::{Desk, ask_dbs, cache, generated, hit},
    world::{ask, create, invoke},
};

const TICKERS: [&str; 3] = ["DBS19", "PTT19", "TENCENT19"];

/// Makes the reports on all tickers, by a model that takes its time: hits on them are worth waiting for.
async fn made(desk: &Desk) {
    desk.reports.chat.delay(Duration::from_secs(2));
    let maker = create(desk.config()).await;
    for ticker in TICKERS {
        let report = ask(&maker, json!({ "ticker": ticker })).await;
        assert_eq!(cache(&report), generated(), "{ticker}");
    }
    maker.settled().await;
}

/// Asks a cold environment for all reports; every one has to come from S3.
async fn assert_all_hit(function: &Function) {
    for ticker in TICKERS {
        let report = ask(function, json!({ "ticker": ticker })).await;
        assert_eq!(cache(&report), hit("s3"), "{ticker}: {}", report["cache"]);
    }
}

#[tokio::test]
async fn cold_environments_hit_on_every_ask() {
    let desk = Desk::on(Profile::Region).await;
    made(&desk).await;
    for _ in 0..7 {
        assert_all_hit(&*create(desk.config()).await).await;
    }
}

/// Latency alone does not turn a tier off.
#[tokio::test]
async fn slow_s3_is_still_a_hit() {
    let desk = Desk::on(Profile::Region).await;
    made(&desk).await;
    desk.set_s3(Link::fixed(Duration::from_millis(600)));
    for _ in 0..2 {
        assert_all_hit(&*create(desk.config()).await).await;
    }
}

#[tokio::test]
async fn refusing_s3_is_still_a_hit() {
    let desk = Desk::on(Profile::Region).await;
    made(&desk).await;
    desk.set_s3(Link::fixed(Duration::from_millis(30)).refusals(0.2));
    assert_all_hit(&*create(desk.config()).await).await;
}

/// An invocation that lost a bound an operation, of which a report has a dozen, would not end in its time.
#[tokio::test]
async fn hanging_s3_costs_one_bound_an_invocation() {
    let desk = Desk::on(Profile::Region).await;
    desk.set_s3(Link::hanging());
    let mut config = desk.by_rules();
    config.timeout = Duration::from_secs(30);
    let function = create(config).await;
    let outcome = invoke(&function, json!({ "ticker": "DBS19" })).await;
    let report = outcome.json().unwrap();
    assert_eq!(cache(&report), generated());
    assert!(outcome.duration < Duration::from_secs(20), "{outcome:?}");
    assert_eq!(cache(&ask_dbs(&function).await), hit("memory"));
}

#[tokio::test]
async fn slow_s3_stores_what_was_made() {
    let desk = Desk::on(Profile::Region).await;
    desk.reports.chat.delay(Duration::from_secs(2));
    let slow = Link::fixed(Duration::from_millis(900));
    desk.set_s3(slow);
    let maker = create(desk.config()).await;
    assert_eq!(cache(&ask_dbs(&maker).await), generated());
    maker.settled().await;
    let cold = create(desk.config()).await;
    assert_eq!(cache(&ask_dbs(&cold).await), hit("s3"));
}
