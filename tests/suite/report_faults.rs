//! What reports do when what they are made of is not to be had.

use std::time::Duration;

use local_aws::{chat::Behaviour, market::Fault};
use serde_json::json;

use crate::{
    report_world::{Desk, ask_dbs, cache, generated},
    world::{ask, create, invoke},
};

#[tokio::test]
async fn an_error_text_is_never_cached() {
    let desk = Desk::new().await;
    let function = desk.function().await;
    for (fault, kind, said) in [
        (Fault::RateLimited, "Upstream", "too many requests"),
        (Fault::Refused(401), "Upstream", "refused with status 401"),
        (Fault::Maintenance, "Upstream", "Will be right back"),
        (
            Fault::Truncated,
            "Upstream",
            "something else than was asked for",
        ),
        (Fault::EmptyQuote, "Upstream", "it has no prices"),
        (Fault::Huge, "Upstream", "more than"),
        (
            Fault::Garbage,
            "Upstream",
            "something else than was asked for",
        ),
    ] {
        let market = &desk.reports.market.prices;
        market.set_fault("D05.SI", Some(fault));
        let outcome = invoke(&function, json!({ "ticker": "DBS19" })).await;
        let error = outcome
            .error()
            .unwrap_or_else(|| panic!("{:?}", outcome.json()));
        assert_eq!(error.error_type, kind, "{error:?}");
        assert!(error.message.contains(said), "{error:?}");
        assert!(error.message.contains("D05.SI"), "{error:?}");
        assert!(error.message.len() < 500, "{error:?}");
    }
    let objects = desk.objects().await;
    assert!(objects.is_empty(), "{objects:?}");
    desk.reports.market.prices.heal();
    assert_eq!(cache(&ask_dbs(&function).await), generated());
}

#[tokio::test]
async fn an_unknown_ticker_reaches_neither_a_key_nor_a_prompt() {
    let desk = Desk::new().await;
    let function = desk.function().await;
    for (ticker, kind, said) in [
        (
            "../../etc/passwd".to_owned(),
            "BadRequest",
            "field `ticker`",
        ),
        ("A".repeat(100_000), "BadRequest", "field `ticker`"),
        ("DBX19".to_owned(), "NotFound", "did you mean DBS19?"),
    ] {
        let outcome = invoke(&function, json!({ "ticker": ticker })).await;
        let error = outcome.error().unwrap();
        assert_eq!(error.error_type, kind);
        assert!(
            error.message.contains(said) && error.message.len() < 500,
            "{error:?}"
        );
    }
    let any = create(desk.config().env("ALLOW_UNMAPPED_TICKERS", "true")).await;
    let index = ask(&any, json!({ "ticker": "^GSPC" })).await;
    assert_eq!(index["symbol"], "^GSPC");
    let unknown = invoke(&any, json!({ "ticker": "NOWHERE" })).await;
    let error = unknown.error().unwrap();
    assert_eq!(error.error_type, "NotFound");
    assert!(error.message.contains("No data found"), "{error:?}");
    let objects = desk.objects().await;
    assert!(
        objects
            .iter()
            .any(|name| name.starts_with("cache/reports/^GSPC/")),
        "{objects:?}"
    );
}

#[tokio::test]
async fn a_report_stands_in_where_a_refresh_fails_and_says_so() {
    let desk = Desk::new().await;
    let function = desk.function().await;
    let made = ask_dbs(&function).await;
    desk.reports
        .market
        .prices
        .set_fault("D05.SI", Some(Fault::ServerError));
    let again = ask(&function, json!({ "ticker": "DBS19", "refresh": true })).await;
    assert_eq!(again["cache"]["state"], "stale");
    assert_eq!(again["text"], made["text"]);
    assert_eq!(again["cache"]["tier"], "memory");
    // The market is left alone for a while, unless somebody insists.
    let asked = desk.reports.market.prices.count("D05.SI");
    assert_eq!(ask_dbs(&function).await["cache"]["state"], "stale");
    assert_eq!(desk.reports.market.prices.count("D05.SI"), asked);
    desk.reports.market.prices.heal();
    let fresh = ask(&function, json!({ "ticker": "DBS19", "refresh": true })).await;
    assert_eq!(fresh["cache"]["state"], "generated", "{fresh}");
}

#[tokio::test]
async fn a_model_that_is_away_or_writes_numbers_is_done_without_and_that_is_said() {
    let desk = Desk::new().await;
    for (behaviour, note) in [
        (Behaviour::Number, "which it was not given"),
        (Behaviour::UnknownPlaceholder, "which there is not"),
        (Behaviour::MissingSection, "has no risks"),
        (Behaviour::Length, "cut short"),
        (Behaviour::Garbage, "cannot be read"),
        (Behaviour::ServerError, "could not be asked"),
    ] {
        desk.reports.chat.set(behaviour);
        let function = create(desk.config().env("CACHE_BACKEND", "memory")).await;
        let made = ask_dbs(&function).await;
        assert_eq!(made["narrative"], "rules", "{note}");
        let told = made["narrative_note"].as_str().unwrap();
        assert!(told.contains(note), "{told}");
        let expires: jiff::Timestamp = made["cache"]["expires_at"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        let minutes = expires.duration_since(jiff::Timestamp::now()).as_mins();
        assert!(
            minutes <= 15,
            "the model is asked again before long: {minutes}"
        );
    }
    for behaviour in [
        Behaviour::Fenced,
        Behaviour::Prose,
        Behaviour::Bare,
        Behaviour::Parts,
    ] {
        desk.reports.chat.set(behaviour);
        let function = create(desk.config().env("CACHE_BACKEND", "memory")).await;
        assert_eq!(ask_dbs(&function).await["narrative"], "llm");
    }
}

#[tokio::test]
async fn a_model_that_never_answers_leaves_time_for_the_rules() {
    let desk = Desk::new().await;
    desk.reports.chat.set(Behaviour::Silent);
    // The news take their time, too.
    desk.reports
        .market
        .news
        .set_fault_for_all(Some(Fault::ServerError));
    let mut config = desk.config().env("CACHE_BACKEND", "memory");
    config.timeout = Duration::from_secs(14);
    let made = ask_dbs(&*create(config).await).await;
    assert_eq!(made["narrative"], "rules");
    let told = made["narrative_note"].as_str().unwrap();
    assert!(told.contains("did not answer in time"), "{told}");
}

#[tokio::test]
async fn no_numbers_in_a_text_but_those_that_were_given() {
    let desk = Desk::new().await;
    let function = desk.function().await;
    for (ticker, language) in [("DBS19", "th"), ("PTT19", "en")] {
        let made = ask(&function, json!({ "ticker": ticker, "language": language })).await;
        let text = made["text"].as_str().unwrap();
        assert!(!text.contains("{{"), "{text}");
        assert!(text.contains(made["close"].as_str().unwrap()), "{text}");
        assert_eq!(made["language"], language);
    }
    let prompts = desk.reports.chat.requests();
    let prompt = prompts[0]["messages"][1]["content"].as_str().unwrap();
    assert!(prompt.ends_with("Language: Thai") && prompt.contains("{{CLOSE}} = "));
}

#[tokio::test]
async fn a_share_that_is_new_has_a_report_with_what_can_be_known() {
    let desk = Desk::new().await;
    let any = create(desk.by_rules().env("ALLOW_UNMAPPED_TICKERS", "true")).await;
    let new = ask(
        &any,
        json!({ "ticker": "NEW.SI", "include": ["chart", "pdf"] }),
    )
    .await;
    assert_eq!(
        new["indicators"]["sma_200"],
        json!({ "value": null, "percentile": null, "n": 0 })
    );
    assert!(
        new["chart_b64"].is_string() && new["pdf_url"].is_string(),
        "{new}"
    );
    for symbol in ["NULL.SI", "THB=X", "VOD.L", "7203.T"] {
        let made = ask(
            &any,
            json!({ "ticker": symbol, "include": ["chart", "pdf"] }),
        )
        .await;
        assert!(made["pdf_url"].is_string(), "{made}");
    }
}
