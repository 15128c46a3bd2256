//! report-generator under the very policy of the template, and under none.

use local_aws::{lambda::Config, moto::Moto, reports::Reports};
use serde_json::{Value, json};

use crate::{
    clients::said,
    policies::{self, Meanings},
    report_world::{ask_dbs, cache, configured, generated, hit},
    world::{ask, create, invoke},
};

/// A moto that checks policies, what reports are made of, and the keys of two users: one may what the template says, the
/// other one nothing.
async fn guarded() -> (Moto, Reports, [[String; 2]; 2]) {
    let moto = Moto::start().unwrap();
    let reports = Reports::with_bucket(&moto, "guarded").await.unwrap();
    let policy = policy("guarded", &reports.variables());
    let keys = said("guard_reports.py", &[moto.url(), &policy.to_string()]).await;
    let mut keys = keys.lines().map(|line| {
        let (key, secret) = line.split_once(' ').unwrap();
        [key.to_owned(), secret.to_owned()]
    });
    let users = [keys.next().unwrap(), keys.next().unwrap()];
    (moto, reports, users)
}

fn with_keys(config: Config, [key, secret]: &[String; 2]) -> Config {
    config
        .env("AWS_ACCESS_KEY_ID", key)
        .env("AWS_SECRET_ACCESS_KEY", secret)
        .env("AWS_SESSION_TOKEN", "")
}

/// The role's policy, as it is once it is deployed with this bucket and these parameters.
fn policy(bucket: &str, variables: &[(&'static str, String)]) -> Value {
    let set = |variable: &str| {
        let found = variables.iter().find(|(name, _)| *name == variable);
        found.unwrap().1.clone()
    };
    let meanings = Meanings::from([
        ("ReportsBucket.Arn", format!("arn:aws:s3:::{bucket}")),
        ("HasLlm", String::new()),
        ("HasLine", String::new()),
        ("LlmApiKeyParameter", set("LLM_API_KEY_PARAMETER")),
        (
            "LineChannelSecretParameter",
            set("LINE_CHANNEL_SECRET_PARAMETER"),
        ),
        (
            "LineChannelTokenParameter",
            set("LINE_CHANNEL_TOKEN_PARAMETER"),
        ),
    ]);
    let mut policy = policies::policy("ReportGeneratorRole", &meanings);
    for statement in policy["Statement"].as_array_mut().unwrap() {
        if statement["Action"] == json!(["ssm:GetParameter"]) {
            let of = statement["Resource"].to_string();
            assert!(
                of.contains(":parameter/larder/") && !of.contains('*') && !of.contains('$'),
                "{of}"
            );
            // moto knows resources of S3 alone.
            statement["Resource"] = json!("*");
        }
    }
    policy
}

#[tokio::test]
async fn the_templates_policy_is_enough_for_all_that_the_function_does() {
    let (moto, reports, [user, _]) = guarded().await;
    let config = with_keys(configured(&moto, &reports), &user);
    let function = create(config).await;
    let event = json!({ "ticker": "DBS19", "include": ["chart", "news", "pdf"] });
    let made = ask(&function, event.clone()).await;
    assert_eq!(made["narrative"], "llm", "{}", made["narrative_note"]);
    assert!(made["pdf_url"].is_string(), "{}", made["warnings"]);
    function.fresh().await;
    let again = ask(&function, event).await;
    assert_eq!(
        (cache(&again), &again["pdf_reused"]),
        (hit("s3"), &json!(true))
    );
    let refresh = ask(&function, json!({ "ticker": "DBS19", "refresh": true })).await;
    assert_eq!(cache(&refresh), generated());
    let day = json!({ "ticker": "DBS19", "date": made["date"] });
    let told = ask(&function, json!({ "invalidate": day })).await;
    assert_eq!(told["invalidated"], day);
}

#[tokio::test]
async fn where_s3_and_ssm_refuse_reports_are_made_by_rules_and_kept_nearby() {
    let (moto, reports, [_, nobody]) = guarded().await;
    let function = create(with_keys(configured(&moto, &reports), &nobody)).await;
    let event = json!({ "ticker": "DBS19", "include": ["pdf"] });
    let outcome = invoke(&function, event).await;
    let made = outcome.json().unwrap();
    assert_eq!(
        (cache(&made), &made["narrative"]),
        (generated(), &json!("rules"))
    );
    let note = made["narrative_note"].as_str().unwrap();
    assert!(
        note.contains("there is no key for the language model"),
        "{note}"
    );
    assert!(
        made["warnings"][0]
            .as_str()
            .unwrap()
            .starts_with("there is no PDF")
    );
    assert_eq!(cache(&ask_dbs(&function).await), hit("memory"));
    // What cannot be told everywhere is no success.
    let told = invoke(&function, json!({ "invalidate": { "ticker": "DBS19" } })).await;
    assert_eq!(told.error().unwrap().error_type, "Upstream");
}
