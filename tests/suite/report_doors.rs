//! The function's URL and LINE's webhook.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use local_aws::{
    lambda::Function,
    line::{Fault, Recipient, Sent, webhook},
};
use serde_json::{Value, json};

use crate::{
    report_world::Desk,
    world::{ask, wait_for},
};

pub(crate) const USER: &str = "U0123456789abcdef0123456789abcdef";

/// A request to the function's URL, as an event.
pub(crate) fn request(method: &str, path: &str, headers: &Value, body: Option<&str>) -> Value {
    json!({ "version": "2.0", "rawPath": path, "rawQueryString": "", "headers": headers, "body": body, "isBase64Encoded": false,
        "requestContext": { "domainName": "abc.lambda-url.us-east-1.on.aws", "http": { "method": method, "path": path } } })
}

async fn get(function: &Function, path: &str, accept: &str) -> Value {
    ask(
        function,
        request("GET", path, &json!({ "accept": accept }), None),
    )
    .await
}

/// The signature of `body` by `secret`.
pub(crate) fn signed(body: &str, secret: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    STANDARD.encode(hmac::sign(&key, body.as_bytes()))
}

/// Posts a webhook as LINE does.
async fn post(desk: &Desk, function: &Function, body: &str) -> Value {
    let signature = signed(body, desk.reports.channel_secret());
    let headers = json!({ "x-line-signature": signature });
    ask(
        function,
        request("POST", "/line/webhook", &headers, Some(body)),
    )
    .await
}

fn text(sent: &Sent) -> String {
    let texts = sent
        .messages
        .iter()
        .filter_map(|message| message["text"].as_str());
    texts.collect()
}

#[tokio::test]
async fn the_url_has_reports_as_json_as_a_page_as_a_picture_and_as_a_pdf() {
    let desk = Desk::new().await;
    let function = desk.function().await;
    let json = get(&function, "/reports/dbs19", "application/json").await;
    assert_eq!(json["statusCode"], 200);
    let report: Value = serde_json::from_str(json["body"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&report["ticker"], &report["cache"]["state"]),
        (&json!("DBS19"), &json!("generated"))
    );

    let page = get(&function, "/reports/DBS19", "text/html,*/*").await;
    assert_eq!(page["headers"]["content-type"], "text/html; charset=utf-8");
    assert!(
        page["headers"]["content-security-policy"]
            .as_str()
            .unwrap()
            .contains("default-src 'none'")
    );
    let html = page["body"].as_str().unwrap();
    for part in [
        "<html lang=\"th\">",
        "data:image/png;base64,",
        "สิ่งที่คุณต้องรู้",
        "report.pdf",
    ] {
        assert!(html.contains(part), "{part}");
    }
    // A headline with markup in it is text.
    assert!(!html.contains("<script") && !html.contains("<b>") && !html.contains("javascript:"));

    let picture = get(&function, "/reports/DBS19/chart.png", "image/*").await;
    assert_eq!(picture["isBase64Encoded"], true);
    let png = STANDARD.decode(picture["body"].as_str().unwrap()).unwrap();
    assert!(png.starts_with(b"\x89PNG"));
    let pdf = get(&function, "/reports/DBS19/report.pdf", "*/*").await;
    assert_eq!(pdf["statusCode"], 302);
    assert!(
        pdf["headers"]["location"]
            .as_str()
            .unwrap()
            .contains("/reports/DBS19/")
    );

    for (path, status) in [
        ("/reports/NOPE19", 404),
        ("/reports/a%20b", 400),
        ("/nowhere", 404),
    ] {
        let refused = get(&function, path, "*/*").await;
        assert_eq!(refused["statusCode"], status, "{refused}");
        let body: Value = serde_json::from_str(refused["body"].as_str().unwrap()).unwrap();
        assert!(body["error"]["message"].is_string());
    }
    // A reader cannot spend the model's time on days that are over.
    let date: jiff::civil::Date = report["date"].as_str().unwrap().parse().unwrap();
    let mut event = request("GET", "/reports/DBS19", &json!({}), None);
    event["queryStringParameters"] = json!({ "date": date - jiff::Span::new().days(7) });
    let earlier = ask(&function, event).await;
    let earlier: Value = serde_json::from_str(earlier["body"].as_str().unwrap()).unwrap();
    assert_eq!(earlier["narrative"], "rules", "{earlier}");
    let index = get(&function, "/", "text/html").await;
    assert!(index["body"].as_str().unwrap().contains("/reports/DBS19"));
}

#[tokio::test]
async fn a_webhook_without_a_valid_signature_is_refused_whatever_it_says() {
    let desk = Desk::new().await;
    let function = desk.function().await;
    let body = webhook(
        USER,
        "DBS19",
        &desk.reports.line.issue_reply_token(),
        "01HEVENT",
        false,
    );
    let other = signed(&body, "another secret");
    let of_another_body = signed("{}", desk.reports.channel_secret());
    for headers in [
        json!({}),
        json!({ "x-line-signature": "test_signature" }),
        json!({ "x-line-signature": "" }),
        json!({ "x-line-signature": other }),
        json!({ "x-line-signature": of_another_body }),
    ] {
        let refused = ask(
            &function,
            request("POST", "/line/webhook", &headers, Some(&body)),
        )
        .await;
        assert_eq!(refused["statusCode"], 403, "{refused}");
    }
    assert!(desk.reports.line.sent().is_empty());
    assert_eq!(desk.reports.market.prices.count("D05.SI"), 0);
    // LINE's console tries the address without any event.
    let tried = post(&desk, &function, r#"{"destination":"U","events":[]}"#).await;
    assert_eq!(tried["statusCode"], 200);
    // The signature is of what was sent, before Base64.
    let headers = json!({ "x-line-signature": signed(&body, desk.reports.channel_secret()) });
    let mut encoded = request(
        "POST",
        "/line/webhook",
        &headers,
        Some(&STANDARD.encode(&body)),
    );
    encoded["isBase64Encoded"] = json!(true);
    assert_eq!(ask(&function, encoded).await["statusCode"], 200);
    wait_for("the report", || !desk.reports.line.sent().is_empty()).await;
}

#[tokio::test]
async fn a_report_that_takes_long_is_announced_at_once_and_pushed_when_it_is_there() {
    let desk = Desk::new().await;
    desk.reports.chat.delay(Duration::from_secs(4));
    let function = desk.function().await;
    let line = &desk.reports.line;
    let body = webhook(
        USER,
        " dbs19 ",
        &line.issue_reply_token(),
        "01HFIRST",
        false,
    );
    let began = std::time::Instant::now();
    assert_eq!(post(&desk, &function, &body).await["statusCode"], 200);
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "LINE has its answer before there is a report"
    );
    let [announced] = line.sent().try_into().unwrap();
    assert!(matches!(announced.to, Recipient::Reply(_)));
    assert!(text(&announced).contains("กำลังจัดทำรายงานของ DBS19"));
    wait_for("the push", || line.sent().len() == 2).await;
    let pushed = line.sent().remove(1);
    assert_eq!(pushed.to, Recipient::Push(USER.to_owned()));
    assert!(pushed.retry_key.is_some());
    let report = text(&pushed);
    assert!(
        report.contains("DBS19") && report.contains("การวิเคราะห์เปอร์เซ็นไทล์"),
        "{report}"
    );
    assert!(
        report.contains("https://abc.lambda-url.us-east-1.on.aws/reports/DBS19/report.pdf?date=")
    );

    // The same once more, as LINE delivers again: known, by another environment, too.
    let again = webhook(USER, " dbs19 ", &line.issue_reply_token(), "01HFIRST", true);
    function.fresh().await;
    assert_eq!(post(&desk, &function, &again).await["statusCode"], 200);
    // What is at hand is replied, which costs nothing; a reply that is too late is pushed.
    let second = webhook(USER, "DBS19", &line.issue_reply_token(), "01HSECOND", false);
    post(&desk, &function, &second).await;
    let sent = line.sent();
    assert_eq!(sent.len(), 3, "{sent:?}");
    assert!(matches!(sent[2].to, Recipient::Reply(_)));
    let third = webhook(
        USER,
        "DBS19 en",
        &line.issue_reply_token(),
        "01HTHIRD",
        false,
    );
    line.expire_reply_tokens();
    post(&desk, &function, &third).await;
    wait_for("the push in place of a reply", || line.sent().len() >= 4).await;
    let pushed = line.sent().remove(3);
    assert!(matches!(pushed.to, Recipient::Push(_)));
}

#[tokio::test]
async fn what_is_no_ticker_is_answered_with_help_and_failures_are_told() {
    let desk = Desk::new().await;
    let function = desk.function().await;
    let line = &desk.reports.line;
    for (id, said, answer) in [
        ("01HA", "สวัสดี", "พิมพ์ชื่อย่อของหุ้น"),
        ("01HB", "DBSX29", "คุณหมายถึง DBS19"),
        ("01HC", "tencnet19", "Tencent"),
    ] {
        let body = webhook(USER, said, &line.issue_reply_token(), id, false);
        post(&desk, &function, &body).await;
        let answered = || line.sent().iter().any(|sent| text(sent).contains(answer));
        wait_for(answer, answered).await;
    }
    desk.reports
        .market
        .prices
        .set_fault_for_all(Some(local_aws::market::Fault::ServerError));
    let body = webhook(USER, "PTT19", &line.issue_reply_token(), "01HD", false);
    post(&desk, &function, &body).await;
    wait_for("the apology", || {
        line.sent().iter().any(|sent| text(sent).contains("ขออภัย"))
    })
    .await;
    desk.reports.market.prices.heal();
    // What was not answered may be when it comes again; what was, may not.
    let asked = line.asked();
    line.fail_times(Fault::ServerError, 4);
    let body = webhook(USER, "TENCENT19", &line.issue_reply_token(), "01HF", false);
    post(&desk, &function, &body).await;
    wait_for("all tries", || line.asked() >= asked + 4).await;
    let before = line.sent().len();
    let again = webhook(USER, "TENCENT19", &line.issue_reply_token(), "01HF", true);
    for _ in 0..20 {
        post(&desk, &function, &again).await;
        if line.sent().len() > before {
            break;
        }
    }
    assert_eq!(line.sent().len(), before + 1);
    post(&desk, &function, &again).await;
    assert_eq!(line.sent().len(), before + 1, "once");
    // LINE is busy for a moment: the report comes all the same, and once.
    line.fail_times(Fault::ServerError, 1);
    let before = line.sent().len();
    let body = webhook(USER, "PTT19", &line.issue_reply_token(), "01HE", false);
    post(&desk, &function, &body).await;
    wait_for("the report after a failure", || {
        line.sent()
            .iter()
            .skip(before)
            .any(|sent| text(sent).contains("PTT19"))
    })
    .await;
}
