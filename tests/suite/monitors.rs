//! The monitor that the suite ships, run as it is run in production.

use http::StatusCode;
use local_aws::{
    publish::NewRelease,
    status_page::{SLACK, STATUSPAGE, StatusPage},
};
use serde_json::json;

use crate::world::{World, invoke, program};

#[tokio::test]
async fn the_status_monitor_tells_the_states_of_both_kinds_of_page() {
    let world = World::new().await;
    let page = StatusPage::start().await.unwrap();
    let binary = std::fs::read(program("status-monitor")).unwrap();
    for monitor in ["slack", "github"] {
        world
            .publisher
            .publish(&NewRelease::new(monitor, "1.0", binary.clone()))
            .await
            .unwrap();
    }
    let config = world
        .monitor_runner()
        .env("MONITOR_ENV_SLACK_STATUS_URL", page.url() + SLACK)
        .env("MONITOR_ENV_GITHUB_STATUS_URL", page.url() + STATUSPAGE);
    let function = world.lambda.create(config);
    let both = json!({ "monitors": ["slack", "github"] });

    let answer = invoke(&function, both.clone()).await.json().unwrap();
    let (slack, github) = (
        &answer["results"][0]["result"],
        &answer["results"][1]["result"],
    );
    assert_eq!(
        (&slack["saas_app"], &slack["services"]["Messaging"]),
        (&json!("slack"), &json!(0))
    );
    assert_eq!(
        (
            &github["highest_impact_level"],
            &github["services"]["Actions"]
        ),
        (&json!(1), &json!(1))
    );

    page.set_slack(StatusCode::OK, json!({
        "status": "active",
        "active_incidents": [{ "id": 1, "title": "Down", "type": "outage", "services": ["Messaging"] }],
    }));
    page.set_statuspage(StatusCode::SERVICE_UNAVAILABLE, json!({}));
    let answer = invoke(&function, both).await.json().unwrap();
    assert_eq!(answer["results"][0]["result"]["services"]["Messaging"], 3);
    let failed = answer["results"][1]["error"]["message"].as_str().unwrap();
    assert!(
        failed.contains("exited with code 1") && failed.contains("503"),
        "{failed}"
    );
}
