//! Reports: made once, kept in every tier, found again from there, on every network.

use std::time::Duration;

use local_aws::lambda::{Config, Outcome};
use local_network::Profile;
use serde_json::json;

use crate::{
    report_world::{Desk, ask_dbs, cache, generated, hit},
    world::{ask, create, invoke},
};

under_networks!(
    a_report_is_made_once_and_then_found_in_ever_nearer_tiers,
    every_tier_has_the_report_for_a_cold_environment,
    two_askers_cost_one_generation,
    askers_at_s3_alone_cost_one_generation,
    what_has_expired_is_made_anew_or_stands_in_where_it_cannot_be,
    s3_means_s3_only_and_without_a_cache_everything_is_made_each_time,
    without_the_bucket_reports_are_made_and_come_without_a_pdf,
);

async fn a_report_is_made_once_and_then_found_in_ever_nearer_tiers(profile: Profile) {
    let desk = Desk::on(profile).await;
    let function = create(desk.config().env("CACHE_BACKEND", "sqlite,s3")).await;
    let first = invoke(&function, json!({ "ticker": "DBS19" })).await;
    let made = first.json().unwrap();
    assert_eq!(cache(&made), generated());
    assert_eq!(
        (&made["symbol"], &made["narrative"]),
        (&json!("D05.SI"), &json!("llm"))
    );
    assert_eq!(made["currency"], "SGD");
    for (name, reading) in made["indicators"].as_object().unwrap() {
        let n = reading["n"].as_u64().unwrap();
        assert!(reading["value"].is_f64() && n >= 20, "{name}: {reading}");
        assert!((0.0..=100.0).contains(&reading["percentile"].as_f64().unwrap()));
    }
    assert_eq!(made["indicators"].as_object().unwrap().len(), 17);

    let date = made["date"].as_str().unwrap();
    let second = invoke(&function, json!({ "ticker": "DBS19" })).await;
    let again = second.json().unwrap();
    assert_eq!(cache(&again), hit("sqlite"));
    assert_eq!(again["text"], made["text"]);
    let said = format!("SQLite cache hit for DBS19 on {date}");
    assert!(second.messages().contains(&said), "{:?}", second.messages());
    let saved = format!("Saved report to S3 cache: DBS19 on {date}");
    let told = [first.messages(), second.messages()].concat();
    assert!(told.contains(&saved), "{told:?}");

    function.settled().await;
    function.fresh().await;
    let cold = invoke(&function, json!({ "ticker": "DBS19" })).await;
    assert_eq!(cache(&cold.json().unwrap()), hit("s3"));
    let said = format!("S3 cache hit for DBS19 on {date} (backfilled to SQLite)");
    assert!(cold.messages().contains(&said), "{:?}", cold.messages());
    let near = invoke(&function, json!({ "ticker": "DBS19" })).await;
    assert_eq!(cache(&near.json().unwrap()), hit("sqlite"));
    // The bucket is not asked about what was found there a moment ago.
    let asked = |outcome: &Outcome| {
        let metrics = outcome.metrics();
        let mut tiers = metrics
            .iter()
            .filter_map(|document| document["Tier"].as_str());
        tiers.any(|tier| tier == "s3")
    };
    let again = invoke(&function, json!({ "ticker": "DBS19" })).await;
    assert!(!asked(&again), "{:?}", again.metrics());
    assert_eq!(desk.reports.chat.requests().len(), 1);
    assert_eq!(desk.reports.market.prices.count("D05.SI"), 1);
}

async fn every_tier_has_the_report_for_a_cold_environment(profile: Profile) {
    let mut desk = Desk::on(profile).await;
    let (_server, url) = desk.redis().await;
    let function = async |backend| {
        let config = desk.by_rules().env("CACHE_BACKEND", backend);
        create(config.env("CACHE_URL", url.as_str())).await
    };
    let maker = function("memory,sqlite,redis,s3").await;
    assert_eq!(cache(&ask_dbs(&maker).await), generated());
    assert_eq!(cache(&ask_dbs(&maker).await), hit("memory"));
    maker.settled().await;
    for (backend, first, second) in [
        ("memory,sqlite,redis,s3", "redis", "memory"),
        ("sqlite,redis,s3", "redis", "sqlite"),
        ("redis", "redis", "redis"),
        ("memory,s3", "s3", "memory"),
        ("sqlite,s3", "s3", "sqlite"),
        ("s3", "s3", "s3"),
    ] {
        let reader = function(backend).await;
        assert_eq!(cache(&ask_dbs(&reader).await), hit(first), "{backend}");
        assert_eq!(cache(&ask_dbs(&reader).await), hit(second), "{backend}");
    }
    assert_eq!(desk.reports.market.prices.count("D05.SI"), 1);
}

async fn two_askers_cost_one_generation(profile: Profile) {
    let mut desk = Desk::on(profile).await;
    let (_server, url) = desk.redis().await;
    let config = desk.impatient("5000").env("CACHE_URL", url);
    twenty_askers(&desk, config.env("CACHE_BACKEND", "memory,redis,s3")).await;
}

async fn askers_at_s3_alone_cost_one_generation(profile: Profile) {
    let desk = Desk::on(profile).await;
    let config = desk.config().env("CACHE_BACKEND", "memory,s3");
    twenty_askers(&desk, config).await;
}

/// Has twenty environments ask for the same report at once, while a model takes its time.
async fn twenty_askers(desk: &Desk, config: Config) {
    desk.reports.chat.delay(Duration::from_secs(2));
    let mut askers = Vec::new();
    for _ in 0..20 {
        let function = create(config.clone()).await;
        askers.push(tokio::spawn(async move { ask_dbs(&function).await }));
    }
    let mut states = Vec::new();
    for asker in askers {
        states.push(cache(&asker.await.unwrap()).0);
    }
    let made = states.iter().filter(|state| *state == "generated").count();
    assert_eq!((made, states.len()), (1, 20), "{states:?}");
    assert_eq!(desk.reports.chat.requests().len(), 1);
    // The one asker who asks for them may ask again, where this machine is so busy that an answer takes too long.
    assert!(desk.reports.market.prices.count("D05.SI") <= 2);
}

/// In a fresh environment, by what the object says of itself, in UTC.
async fn what_has_expired_is_made_anew_or_stands_in_where_it_cannot_be(profile: Profile) {
    let desk = Desk::on(profile).await;
    let config = desk.by_rules().env("CACHE_BACKEND", "s3");
    let cold_ask = async || {
        let function = create(config.clone()).await;
        let answer = ask_dbs(&function).await;
        function.settled().await;
        answer
    };
    let made = cold_ask().await;
    let folder = format!("cache/reports/DBS19/{}", made["date"].as_str().unwrap());
    for name in ["report.json", "chart.b64", "news.json"] {
        desk.age(&format!("{folder}/{name}")).await;
    }
    // Old prices are never served.
    desk.delete(&format!("{folder}/prices.json")).await;
    let market = &desk.reports.market.prices;
    market.set_fault("D05.SI", Some(local_aws::market::Fault::ServerError));
    let stale = cold_ask().await;
    let cached = (cache(&stale), &stale["text"]);
    assert_eq!(
        cached,
        (("stale".to_owned(), Some("s3".to_owned())), &made["text"])
    );
    market.heal();
    assert_eq!(cache(&cold_ask().await), generated());
    assert_eq!(cache(&cold_ask().await), hit("s3"));
}

async fn s3_means_s3_only_and_without_a_cache_everything_is_made_each_time(profile: Profile) {
    let desk = Desk::on(profile).await;
    let only = create(desk.by_rules().env("CACHE_BACKEND", "s3")).await;
    assert_eq!(cache(&ask_dbs(&only).await), generated());
    assert_eq!(cache(&ask_dbs(&only).await), hit("s3"));
    let files = std::fs::read_dir(only.environment().unwrap().tmp()).unwrap();
    assert_eq!(files.count(), 0, "nothing lies in /tmp");
    let off = create(desk.by_rules().env("CACHE_ENABLED", "false")).await;
    for _ in 0..2 {
        assert_eq!(cache(&ask_dbs(&off).await), generated());
    }
}

async fn without_the_bucket_reports_are_made_and_come_without_a_pdf(profile: Profile) {
    let desk = Desk::on(profile).await;
    for (name, config) in [
        (
            "away",
            desk.impatient("300")
                .env("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9"),
        ),
        (
            "missing",
            desk.config().env("PDF_BUCKET_NAME", "no-such-bucket-here"),
        ),
    ] {
        let function = create(config).await;
        let event = json!({ "ticker": "DBS19", "include": ["chart", "pdf"] });
        let made = ask(&function, event).await;
        assert_eq!(made["cache"]["state"], "generated", "{name}");
        assert!(
            made["chart_b64"].is_string() && made["pdf_url"].is_null(),
            "{name}"
        );
        let warning = made["warnings"][0].as_str().unwrap();
        assert!(warning.starts_with("there is no PDF"), "{name}: {warning}");
        assert_eq!(cache(&ask_dbs(&function).await), hit("memory"), "{name}");
    }
}
