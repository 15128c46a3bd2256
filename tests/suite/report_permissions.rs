//! report-generator under the very policy of the template, and under none.

use local_aws::{lambda::Config, moto::Moto, reports::Reports, template::Template};
use local_servers::helper::workspace_root;
use serde_json::{Value, json};

use crate::{
    clients::said,
    report_world::{ask, ask_dbs, cache, configured, generated, hit},
    world::{create, invoke},
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

/// The role's policy, as it is once it is deployed with this bucket and these parameters; but for logs.
fn policy(bucket: &str, variables: &[(&'static str, String)]) -> Value {
    let template = Template::load(&workspace_root().join("template.yaml")).unwrap();
    let role = &template.document()["Resources"]["ReportGeneratorRole"]["Properties"];
    let statements = &role["Policies"][0]["PolicyDocument"]["Statement"];
    let mut text = statements.to_string();
    for (written, meant) in [
        (
            r#"{"Fn::GetAtt":"ReportsBucket.Arn"}"#,
            format!(r#""arn:aws:s3:::{bucket}""#),
        ),
        ("${ReportsBucket.Arn}", format!("arn:aws:s3:::{bucket}")),
        ("${AWS::Partition}", "aws".to_owned()),
        ("${AWS::Region}", "us-east-1".to_owned()),
        ("${AWS::AccountId}", "123456789012".to_owned()),
    ] {
        text = text.replace(written, &meant);
    }
    for (parameter, variable) in [
        ("${LlmApiKeyParameter}", "LLM_API_KEY_PARAMETER"),
        (
            "${LineChannelSecretParameter}",
            "LINE_CHANNEL_SECRET_PARAMETER",
        ),
        (
            "${LineChannelTokenParameter}",
            "LINE_CHANNEL_TOKEN_PARAMETER",
        ),
    ] {
        let set = variables.iter().find(|(name, _)| *name == variable);
        text = text.replace(parameter, &set.unwrap().1);
    }
    let statements: Vec<Value> = serde_json::from_str(&text).unwrap();
    let statements = statements.iter().map(|statement| {
        let statement = statement.pointer("/Fn::If/1").unwrap_or(statement);
        let mut statement = statement.clone();
        statement["Resource"] = resolved(&statement["Resource"]);
        let ssm = statement["Action"] == json!(["ssm:GetParameter"]);
        if ssm {
            let of = statement["Resource"].to_string();
            assert!(
                of.contains(":parameter/larder/") && !of.contains('*') && !of.contains('$'),
                "{of}"
            );
            // moto knows resources of S3 alone.
            statement["Resource"] = json!("*");
        }
        statement
    });
    let statements = statements.filter(|statement| !statement.to_string().contains("logs:"));
    json!({ "Version": "2012-10-17", "Statement": statements.collect::<Vec<_>>() })
}

/// `{"Fn::Sub": "…"}` as the text that it is by now.
fn resolved(resource: &Value) -> Value {
    match resource {
        Value::Array(all) => all.iter().map(resolved).collect(),
        Value::Object(of) => of
            .get("Fn::Sub")
            .cloned()
            .unwrap_or_else(|| resource.clone()),
        _ => resource.clone(),
    }
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
