//! Answers of the function's URL when a report cannot be had: a status and a sentence, never a Lambda error.

use std::time::Duration;

use local_aws::{
    lambda::{Function, Outcome},
    line::webhook,
    market::Fault,
};
use serde_json::{Value, json};

use crate::{
    report_doors::{USER, request, signed},
    report_world::Desk,
    world::{create, invoke},
};

const BROWSER: &str = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8";

async fn get(function: &Function, path: &str, accept: &str) -> Outcome {
    let event = request("GET", path, &json!({ "accept": accept }), None);
    invoke(function, event).await
}

async fn post(function: &Function, signature: &str, body: &str) -> Outcome {
    let headers = json!({ "x-line-signature": signature });
    let event = request("POST", "/line/webhook", &headers, Some(body));
    invoke(function, event).await
}

/// The answer, if it has `status` and says so in the form that `accept` asks for. Returns its text.
fn check(outcome: &Outcome, status: u16, accept: &str) -> String {
    let answer = outcome.json().unwrap();
    assert_eq!(answer["statusCode"], status, "{answer}");
    let text = answer["body"].as_str().unwrap().to_owned();
    let kind = answer["headers"]["content-type"].as_str().unwrap();
    if accept == BROWSER {
        assert_eq!(kind, "text/html; charset=utf-8");
        assert!(
            text.contains("<!DOCTYPE html>") && text.contains("<p>"),
            "{text}"
        );
    } else {
        assert_eq!(kind, "application/json");
        let body: Value = serde_json::from_str(&text).unwrap();
        assert!(body["error"]["message"].is_string(), "{body}");
        assert!(body["error"]["type"].is_string(), "{body}");
    }
    let retry_after = &answer["headers"]["retry-after"];
    assert_eq!(retry_after == "30", status == 503, "{answer}");
    assert_eq!(
        outcome.metrics()[0]["Error"],
        u8::from(status >= 500),
        "the metric counts what the function could not do"
    );
    text
}

#[tokio::test]
async fn answers_503_on_every_path_while_market_data_is_away() {
    let desk = Desk::new().await;
    let market = &desk.reports.market.prices;
    market.set_fault_for_all(Some(Fault::ServerError));
    let function = create(desk.by_rules().env("CACHE_BACKEND", "memory")).await;
    for path in [
        "/reports/DBS19",
        "/reports/DBS19/chart.png",
        "/reports/DBS19/report.pdf",
    ] {
        for accept in [BROWSER, "image/png,*/*;q=0.5"] {
            let outcome = get(&function, path, accept).await;
            let text = check(&outcome, 503, accept);
            assert!(text.contains("try again in 30 s"), "{text}");
            // Causes are in the log and nowhere else.
            assert!(
                !text.contains("status") && !text.contains("D05.SI"),
                "{text}"
            );
            let told = outcome.log_records().into_iter().any(|record| {
                let cause = record["error"].as_str().unwrap_or_default();
                record["message"] == "Request failed" && cause.contains("D05.SI")
            });
            assert!(told, "{:?}", outcome.logs);
        }
    }
    market.heal();
    let page = get(&function, "/reports/DBS19", BROWSER).await.json();
    assert_eq!(page.unwrap()["statusCode"], 200, "a failure is not kept");
}

#[tokio::test]
async fn answers_503_before_its_time_is_over() {
    let desk = Desk::new().await;
    let market = &desk.reports.market.prices;
    market.set_fault_for_all(Some(Fault::Silent));
    let mut config = desk.by_rules().env("CACHE_BACKEND", "memory");
    config.timeout = Duration::from_secs(4);
    let function = create(config).await;
    for accept in [BROWSER, "application/json"] {
        let outcome = get(&function, "/reports/DBS19", accept).await;
        let text = check(&outcome, 503, accept);
        assert!(text.contains("not done in time"), "{text}");
    }
}

#[tokio::test]
async fn refuses_with_a_page_for_browsers_and_json_for_others() {
    let desk = Desk::new().await;
    let function = create(desk.by_rules().env("CACHE_BACKEND", "memory")).await;
    for accept in [BROWSER, "*/*"] {
        for (path, status, said) in [
            ("/reports/DBX19", 404, "did you mean DBS19?"),
            ("/nowhere", 404, "there is nothing at"),
            ("/reports/a%20b", 400, "is no ticker"),
            ("/line/webhook", 405, "use POST here"),
        ] {
            let outcome = get(&function, path, accept).await;
            let text = check(&outcome, status, accept);
            assert!(text.contains(said), "{text}");
        }
    }
    let mut unreadable = request("GET", "/", &json!({}), None);
    unreadable["headers"] = json!({ "accept": 7 });
    let outcome = invoke(&function, unreadable).await;
    check(&outcome, 400, "*/*");
    let head = request("HEAD", "/nowhere", &json!({ "accept": BROWSER }), None);
    let head = invoke(&function, head).await.json().unwrap();
    assert_eq!(
        (&head["statusCode"], &head["body"]),
        (&json!(404), &json!(""))
    );
}

#[tokio::test]
async fn refuses_an_unsigned_webhook_before_it_reads_a_secret() {
    let desk = Desk::new().await;
    let line = &desk.reports.line;
    let away = desk
        .by_rules()
        .env("AWS_ENDPOINT_URL_SSM", "http://127.0.0.1:9");
    let function = create(away).await;
    let body = webhook(USER, "DBS19", &line.issue_reply_token(), "01HAWAY", false);
    for signature in ["", "test_signature", "AAAA"] {
        let outcome = post(&function, signature, &body).await;
        check(&outcome, 403, "");
        assert_eq!(outcome.metrics()[0]["RefusedWebhooks"], 1);
    }
    // Only the parameter store knows whether this one is signed.
    let signature = signed(&body, desk.reports.channel_secret());
    let outcome = post(&function, &signature, &body).await;
    check(&outcome, 503, "");
    assert!(line.sent().is_empty());
}
