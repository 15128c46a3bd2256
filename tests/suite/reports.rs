//! Reports: their objects, their dates, and when they are made again.

use jiff::{SignedDuration, Timestamp};
use local_aws::chat::Behaviour;
use serde_json::{Value, json};

use crate::{
    report_world::{Desk, ask_dbs, cache, generated, hit},
    world::{ask, create, invoke, wait_for},
};

/// The last session of Singapore's exchange, as the market has it.
async fn session(desk: &Desk) -> String {
    let objects = desk.objects().await;
    let report = objects.iter().find(|name| name.ends_with("report.json"));
    report.unwrap().split('/').nth(3).unwrap().to_owned()
}

#[tokio::test]
async fn objects_are_laid_out_as_the_contract_says_and_expire_in_utc() {
    let desk = Desk::new().await;
    let config = desk.config().env("HIGH_VOLUME_TICKERS", "DBS19");
    let function = create(config).await;
    let asked = Timestamp::now();
    let made = ask(
        &function,
        json!({ "ticker": "DBS19", "include": ["chart", "news", "pdf"] }),
    )
    .await;
    let date = made["date"].as_str().unwrap();
    let objects = desk.objects().await;
    for name in ["report.json", "chart.b64", "news.json"] {
        let name = format!("cache/reports/DBS19/{date}/{name}");
        assert!(objects.contains(&name), "{name}: {objects:?}");
        let (_, metadata) = desk.object(&name).await;
        let expires: Timestamp = metadata["expires-at"].as_str().unwrap().parse().unwrap();
        let hours = expires.duration_since(asked).as_secs_f64() / 3_600.0;
        assert!((5.9..=6.01).contains(&hours), "{name}: {hours} hours");
        assert!(metadata["expires-at"].as_str().unwrap().ends_with('Z'));
    }
    let (chart, _) = desk
        .object(&format!("cache/reports/DBS19/{date}/chart.b64"))
        .await;
    assert_eq!(made["chart_b64"], String::from_utf8(chart).unwrap());
    let (report, _) = desk
        .object(&format!("cache/reports/DBS19/{date}/report.json"))
        .await;
    let report: Value = serde_json::from_slice(&report).unwrap();
    assert_eq!(
        (&report["text"], &report["date"]),
        (&made["text"], &json!(date))
    );
    assert!(objects.contains(&format!("reports/DBS19/{date}.pdf")));
    let (pdf, metadata) = desk.object(&format!("reports/DBS19/{date}.pdf")).await;
    assert!(pdf.starts_with(b"%PDF"));
    assert_eq!(metadata["report-generated-at"], report["generated_at"]);
}

#[tokio::test]
async fn a_stored_pdf_is_found_again() {
    let desk = Desk::new().await;
    let function = desk.function().await;
    let event = json!({ "ticker": "DBS19", "include": ["pdf"] });
    let first = ask(&function, event.clone()).await;
    assert_eq!(first["pdf_reused"], false, "{first}");
    let second = ask(&function, event.clone()).await;
    assert_eq!(second["pdf_reused"], true);
    let pdf = reqwest_get(second["pdf_url"].as_str().unwrap()).await;
    assert!(pdf.starts_with(b"%PDF"));
    // In another language it is another one, and made anew after a refresh.
    let mut english = event.clone();
    english["language"] = json!("en");
    assert_eq!(ask(&function, english).await["pdf_reused"], false);
    let mut refresh = event.clone();
    refresh["refresh"] = json!(true);
    let refreshed = ask(&function, refresh).await;
    assert_eq!(
        (cache(&refreshed), &refreshed["pdf_reused"]),
        (generated(), &json!(false))
    );
    function.fresh().await;
    assert_eq!(ask(&function, event).await["pdf_reused"], true);
    let date = session(&desk).await;
    let objects = desk.objects().await;
    assert!(
        objects.contains(&format!("reports/DBS19/{date}.en.pdf")),
        "{objects:?}"
    );
    assert!(objects.contains(&format!("cache/reports/DBS19/{date}/report.en.json")));
}

#[tokio::test]
async fn a_presigned_url_outlives_no_credential() {
    let desk = Desk::new().await;
    // Credentials with a token are a session's, and do not say when it ends.
    let session = create(desk.by_rules().env("AWS_SESSION_TOKEN", "of-a-role")).await;
    let event = json!({ "ticker": "DBS19", "include": ["pdf"] });
    let seconds = |answer: &Value| {
        let url: url::Url = answer["pdf_url"].as_str().unwrap().parse().unwrap();
        let mut pairs = url.query_pairs();
        let expires = pairs.find(|(name, _)| name == "X-Amz-Expires").unwrap();
        expires.1.parse::<u64>().unwrap()
    };
    assert_eq!(seconds(&ask(&session, event.clone()).await), 3_600);
    let user = create(
        desk.by_rules()
            .env("PDF_URL_EXPIRATION_HOURS", "48")
            .env("AWS_SESSION_TOKEN", ""),
    )
    .await;
    assert_eq!(seconds(&ask(&user, event).await), 48 * 3_600);
}

#[tokio::test]
async fn a_report_is_made_anew_when_it_is_asked_for_and_forgotten_when_it_is_told() {
    let desk = Desk::new().await;
    let function = desk.function().await;
    let other = desk.function().await;
    let first = ask(&function, json!({ "ticker": "DBS19", "include": ["pdf"] })).await;
    let again = ask(&function, json!({ "ticker": "DBS19", "refresh": true })).await;
    assert_eq!(cache(&again), generated());
    assert_eq!(desk.reports.market.prices.count("D05.SI"), 2);
    assert_eq!(cache(&ask_dbs(&function).await), hit("memory"));

    // One of an earlier day is wrong since the prices are, which are of all days.
    let earlier = json!({ "ticker": "DBS19", "date": "2026-01-02" });
    ask(&function, json!({ "invalidate": earlier })).await;
    assert_eq!(cache(&ask_dbs(&function).await), hit("memory"));
    let english = json!({ "ticker": "DBS19", "language": "en" });
    assert_eq!(cache(&ask(&function, english).await), generated());
    assert_eq!(desk.reports.market.prices.count("D05.SI"), 3);
    let day = json!({ "ticker": "DBS19", "date": first["date"] });
    let told = ask(&function, json!({ "invalidate": day })).await;
    assert_eq!(told["invalidated"], day);
    assert!(
        desk.objects()
            .await
            .iter()
            .all(|name| !name.contains(".pdf"))
    );
    // One that knows nothing yet finds what lies in S3 no longer good.
    assert_eq!(cache(&ask_dbs(&other).await), generated());
    let told = ask(&function, json!({ "invalidate": { "ticker": "DBS19" } })).await;
    assert_eq!(
        told["invalidated"],
        json!({ "ticker": "DBS19", "date": null })
    );
    assert_eq!(cache(&ask_dbs(&function).await), generated());
}

#[tokio::test]
async fn the_date_is_the_exchanges_trading_date_and_no_other_day_has_a_report() {
    let desk = Desk::new().await;
    let function = create(desk.by_rules()).await;
    let last = ask_dbs(&function).await["date"]
        .as_str()
        .unwrap()
        .to_owned();
    let last: jiff::civil::Date = last.parse().unwrap();
    let week_before = last - jiff::Span::new().days(7);
    let of = |date: jiff::civil::Date| json!({ "ticker": "DBS19", "date": date });
    let earlier = ask(&function, of(week_before)).await;
    assert_eq!(earlier["date"], json!(week_before));
    assert_ne!(earlier["close"], ask_dbs(&function).await["close"]);
    assert_eq!(
        desk.reports.market.prices.count("D05.SI"),
        1,
        "of the same prices"
    );
    let sunday = last.nth_weekday(-1, jiff::civil::Weekday::Sunday).unwrap();
    let years_ago = last - jiff::Span::new().years(3);
    let far = last + jiff::Span::new().years(1);
    for (date, kind, said) in [
        (sunday, "NotFound", "the one before was on"),
        (years_ago, "NotFound", "the first that there are is of"),
        (far, "BadRequest", "has not come yet"),
    ] {
        let outcome = invoke(&function, of(date)).await;
        let error = outcome.error().unwrap();
        assert_eq!(error.error_type, kind, "{error:?}");
        assert!(error.message.contains(said), "{error:?}");
    }
}

/// The market is late: at its open it has not got the day's row yet. What was made without it is not kept for the day.
#[tokio::test]
async fn a_session_that_has_no_prices_yet_is_looked_at_again_before_long() {
    let desk = Desk::new().await;
    let function = create(desk.by_rules()).await;
    let last = ask_dbs(&function).await["date"]
        .as_str()
        .unwrap()
        .to_owned();
    let last: jiff::civil::Date = last.parse().unwrap();
    // As of the day before, by the market's clock.
    let before =
        last.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp() - SignedDuration::from_hours(9);
    let late = Desk::new().await;
    late.reports.market.set_now(before);
    let function = create(late.by_rules()).await;
    let early = ask(
        &function,
        json!({ "ticker": "DBS19", "include": ["chart"] }),
    )
    .await;
    assert_ne!(
        early["date"],
        json!(last),
        "the session before: {}",
        early["date"]
    );
    let (_, metadata) = late
        .object(&format!("cache/reports/DBS19/{last}/prices.json"))
        .await;
    let expires: Timestamp = metadata["expires-at"].as_str().unwrap().parse().unwrap();
    let minutes = expires.duration_since(Timestamp::now()).as_mins();
    assert!((8..=10).contains(&minutes), "{minutes}");
    // Refreshed, it is made anew though the calendar's day has no session.
    let again = ask(&function, json!({ "ticker": "DBS19", "refresh": true })).await;
    assert_eq!(
        (cache(&again), &again["date"]),
        (generated(), &early["date"])
    );
    function.fresh().await;
    let again = ask(&function, json!({ "ticker": "DBS19", "refresh": true })).await;
    assert_eq!(cache(&again), generated());
}

#[tokio::test]
async fn popular_reports_are_there_before_anybody_asks() {
    let desk = Desk::new().await;
    let config = desk
        .by_rules()
        .env("POPULAR_TICKERS", "DBS19,PTT19,TENCENT19,AAPL19,VOD19");
    let function = create(config).await;
    let schedule =
        json!({ "detail-type": "Scheduled Event", "source": "aws.scheduler", "detail": "{}" });
    let warmed = ask(&function, schedule).await;
    assert_eq!(warmed["errors"], 0, "{warmed}");
    let tickers: Vec<_> = warmed["prewarmed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["ticker"].as_str().unwrap())
        .collect();
    assert_eq!(tickers, ["DBS19", "PTT19", "TENCENT19", "AAPL19", "VOD19"]);
    assert_eq!(cache(&ask_dbs(&function).await), hit("memory"));
    desk.reports
        .market
        .prices
        .set_fault("PTT.BK", Some(local_aws::market::Fault::ServerError));
    let named = json!({ "prewarm": ["DBS19", "PTT19"] });
    function.fresh().await;
    let again = ask(&function, named).await;
    assert_eq!(again["prewarmed"][0]["cache"], "hit");
    assert_eq!(again["errors"], 0, "it is kept: {again}");
}

#[tokio::test]
async fn what_the_model_costs_is_counted() {
    let desk = Desk::new().await;
    desk.reports.chat.queue(Behaviour::Number);
    let function = desk.function().await;
    let outcome = invoke(&function, json!({ "ticker": "DBS19" })).await;
    assert_eq!(outcome.json().unwrap()["narrative"], "llm");
    let mut counted = Value::Null;
    wait_for("the metrics", || {
        let metrics = outcome.metrics();
        let own = metrics
            .iter()
            .find(|document| document.get("ModelCalls").is_some());
        counted = own.cloned().unwrap_or_default();
        !counted.is_null()
    })
    .await;
    assert_eq!(
        counted["ModelCalls"], 2,
        "one for the number that was refused"
    );
    assert!(counted["ModelPromptTokens"].as_u64().unwrap() > 0);
    assert!(counted["ModelCostUsd"].as_f64().unwrap() > 0.0);
}

async fn reqwest_get(url: &str) -> Vec<u8> {
    let client = local_aws::http_client().unwrap();
    let response = client.get(url).send().await.unwrap();
    assert!(response.status().is_success());
    response.bytes().await.unwrap().to_vec()
}
