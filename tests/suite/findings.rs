//! Monitors' findings on their way to people: log lines, metrics, and events on a bus.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use http::StatusCode;
use local_aws::{
    event_bus::EventBus,
    lambda::{Config, Function, Outcome},
    publish::NewRelease,
    reports::put_parameter,
    status_page::{SLACK, StatusPage, quiet_slack},
};
use local_servers::redis::Redis;
use serde_json::{Value, json};

use crate::world::{World, invoke, program};

/// A port that nothing listens on.
const AWAY: &str = "127.0.0.1:9";

/// monitor-runner with Slack's monitor, the page that it asks, and the bus that it tells.
struct Newsroom {
    world: World,
    page: StatusPage,
    bus: EventBus,
    redis: Redis,
}

impl Newsroom {
    async fn new() -> Self {
        let world = World::new().await;
        let binary = std::fs::read(program("status-monitor")).unwrap();
        let release = NewRelease::new("slack", "1.0", binary);
        world.publisher.publish(&release).await.unwrap();
        let bus = format!("bus-of-{}", world.bucket);
        let all = json!({ "source": ["larder.monitor-runner"] });
        Self {
            bus: EventBus::create(World::moto(), &bus, &all).await.unwrap(),
            page: StatusPage::start().await.unwrap(),
            redis: Redis::start().unwrap(),
            world,
        }
    }

    /// Without a tier that environments share.
    fn alone(&self) -> Config {
        let mut config = announcing(self.world.monitor_runner(), &self.bus)
            .env("MONITOR_ENV_SLACK_STATUS_URL", self.page.url() + SLACK);
        config.timeout = Duration::from_mins(2);
        config
    }

    /// With Redis for that.
    fn config(&self) -> Config {
        self.alone().env("CACHE_URL", self.redis.url())
    }

    fn function(&self, config: Config) -> Arc<Function> {
        self.world.lambda.create(config)
    }

    fn outage(&self) {
        self.page.set_slack(
            StatusCode::OK,
            json!({
                "status": "active",
                "active_incidents": [{ "id": 1, "title": "Down", "type": "outage", "services": ["Messaging"] }],
            }),
        );
    }

    fn all_is_well(&self) {
        self.page.set_slack(StatusCode::OK, quiet_slack());
    }

    /// The events since the last look, sorted: what each is, the status before, and the status.
    async fn events(&self) -> Vec<[String; 3]> {
        let events = self.bus.received().await.unwrap();
        let text = |value: &Value| value.as_str().unwrap_or("null").to_owned();
        let described = events.iter().map(|event| {
            assert_eq!(event["source"], "larder.monitor-runner");
            assert_eq!(event["resources"], json!(["monitor-runner"]));
            let detail = &event["detail"];
            [
                text(&event["detail-type"]),
                text(&detail["previous_status"]),
                text(&detail["status"]),
            ]
        });
        let mut described: Vec<_> = described.collect();
        described.sort();
        described
    }
}

fn announcing(config: Config, bus: &EventBus) -> Config {
    config
        .env("AWS_ENDPOINT_URL", World::s3_url())
        .env("RESULT_EVENTS", "changes")
        .env("EVENT_BUS_NAME", bus.name())
        // A busy machine takes its time.
        .env("CACHE_TIMEOUT_MS", "20000")
}

fn changed(previous: &str, status: &str) -> [String; 3] {
    ["Monitor Status Changed", previous, status].map(str::to_owned)
}

async fn run(function: &Function) -> Outcome {
    let outcome = invoke(function, json!({ "monitor": "slack" })).await;
    let answer = outcome.json();
    assert!(answer.is_ok(), "{answer:?}: {:?}", outcome.messages());
    outcome
}

/// The line that tells of the run.
fn result_line(outcome: &Outcome) -> Value {
    let records = outcome.log_records();
    let lines = records
        .iter()
        .filter(|line| line["message"] == "Monitor result");
    let [line] = lines.collect::<Vec<_>>()[..] else {
        panic!("not one line: {:?}", outcome.messages())
    };
    line.clone()
}

/// The function's own metrics, and the monitor's; the documents are out once the next invocation has begun.
async fn metrics(function: &Function, event: Value) -> (Value, Value) {
    invoke(function, event.clone()).await;
    let documents = invoke(function, event).await.metrics();
    let of_monitor = |document: &&Value| document.get("Monitor").is_some();
    let (monitor, own): (Vec<&Value>, Vec<&Value>) = documents.iter().partition(of_monitor);
    (own[0].clone(), monitor[0].clone())
}

#[tokio::test]
async fn change_seen_by_eight_environments_at_once_is_one_event() {
    let newsroom = Newsroom::new().await;
    let function = newsroom.function(newsroom.config());
    let all_run = async || {
        let runs = (0..8).map(|_| run(&function));
        join_all(runs).await
    };
    all_run().await;
    let environments = function.environment().unwrap_err().to_string();
    assert!(
        environments.contains("has 8 environments"),
        "{environments}"
    );
    assert!(
        newsroom.events().await.is_empty(),
        "a first `ok` is no change"
    );

    newsroom.outage();
    all_run().await;
    assert_eq!(newsroom.events().await, [changed("ok", "active")]);
    all_run().await;
    assert!(newsroom.events().await.is_empty());

    function.fresh().await;
    all_run().await;
    assert!(
        newsroom.events().await.is_empty(),
        "a cold start repeats nothing"
    );

    newsroom.all_is_well();
    all_run().await;
    assert_eq!(newsroom.events().await, [changed("active", "ok")]);
}

#[tokio::test]
async fn bucket_keeps_the_status_for_all_environments() {
    let newsroom = Newsroom::new().await;
    let bucket = &newsroom.world.bucket;
    let function = newsroom.function(newsroom.alone().env("CACHE_BUCKET", bucket));
    newsroom.outage();
    run(&function).await;
    assert_eq!(newsroom.events().await, [changed("null", "active")]);
    function.fresh().await;
    run(&function).await;
    assert!(newsroom.events().await.is_empty());
    let moto = World::moto().s3().await;
    let objects = moto
        .list_objects_v2()
        .bucket(bucket)
        .prefix("monitor-runner/");
    let objects = objects.send().await.unwrap();
    assert!(!objects.contents().is_empty());
}

#[tokio::test]
async fn without_a_shared_tier_the_process_knows_the_status() {
    let newsroom = Newsroom::new().await;
    for config in [
        newsroom.alone(),
        newsroom.config().env("CACHE_ENABLED", "false"),
    ] {
        let function = newsroom.function(config);
        newsroom.outage();
        for _ in 0..3 {
            run(&function).await;
        }
        newsroom.all_is_well();
        run(&function).await;
        let both = [changed("active", "ok"), changed("null", "active")];
        assert_eq!(newsroom.events().await, both);
    }
}

#[tokio::test]
async fn all_sends_every_result_and_none_sends_nothing() {
    let newsroom = Newsroom::new().await;
    newsroom.outage();
    let all = newsroom.function(newsroom.config().env("RESULT_EVENTS", "all"));
    run(&all).await;
    run(&all).await;
    let result = ["Monitor Result", "null", "active"].map(str::to_owned);
    let events = newsroom.events().await;
    assert_eq!(events, [result.clone(), result, changed("null", "active")]);

    newsroom.all_is_well();
    let none = newsroom.function(newsroom.config().env("RESULT_EVENTS", "none"));
    let outcome = run(&none).await;
    assert_eq!(
        result_line(&outcome)["status"],
        "ok",
        "the log line is there all the same"
    );
    assert!(newsroom.events().await.is_empty());
}

#[tokio::test]
async fn bus_that_is_away_fails_no_run_and_is_told_later() {
    let newsroom = Newsroom::new().await;
    newsroom.outage();
    let away = newsroom
        .config()
        .env("AWS_ENDPOINT_URL_EVENTBRIDGE", format!("http://{AWAY}"));
    let away = newsroom.function(away);
    let outcome = run(&away).await;
    assert_eq!(outcome.json().unwrap()["processed"], 1);
    let said = outcome.messages();
    assert!(
        said.contains(&"Failed to send the status change".to_owned()),
        "{said:?}"
    );
    let (own, _) = metrics(&away, json!({ "monitor": "slack" })).await;
    assert_eq!((&own["EventErrors"], &own["Error"]), (&json!(1), &json!(0)));

    let back = newsroom.function(newsroom.config());
    run(&back).await;
    assert_eq!(newsroom.events().await, [changed("null", "active")]);
}

#[tokio::test]
async fn shared_tier_that_is_away_fails_no_run_and_loses_no_event() {
    let newsroom = Newsroom::new().await;
    newsroom.outage();
    let config = newsroom.alone().env("CACHE_URL", format!("redis://{AWAY}"));
    let function = newsroom.function(config);
    run(&function).await;
    run(&function).await;
    assert_eq!(newsroom.events().await, [changed("null", "active")]);
    let (own, _) = metrics(&function, json!({ "monitor": "slack" })).await;
    assert_eq!(
        (&own["StatusErrors"], &own["EventErrors"]),
        (&json!(1), &json!(0))
    );
}

#[tokio::test]
async fn run_is_told_by_a_log_line_and_metrics_of_its_monitor() {
    let newsroom = Newsroom::new().await;
    newsroom.outage();
    let function = newsroom.function(newsroom.config());
    let line = result_line(&run(&function).await);
    assert_eq!(
        (&line["monitor"], &line["version"]),
        (&json!("slack"), &json!("1.0"))
    );
    assert_eq!(
        (&line["status"], &line["level"]),
        (&json!("active"), &json!("INFO"))
    );
    assert_eq!(line["services"]["Messaging"], 3);
    assert!(line["duration_ms"].as_f64().unwrap() > 0.0, "{line}");

    let (own, monitor) = metrics(&function, json!({ "monitor": "slack" })).await;
    assert!(
        own.get("Success").is_none() && own["MonitorErrors"] == 0,
        "{own}"
    );
    let directive = &monitor["_aws"]["CloudWatchMetrics"][0];
    assert_eq!(
        directive["Dimensions"],
        json!([["FunctionName", "Monitor"]])
    );
    let names = directive["Metrics"].as_array().unwrap();
    let names: Vec<_> = names
        .iter()
        .map(|metric| metric["Name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "Success",
            "ExecutionTime",
            "OpenIncidents",
            "ResponseTimeMs"
        ]
    );
    assert_eq!(
        (&monitor["Monitor"], &monitor["Success"]),
        (&json!("slack"), &json!(1))
    );
    assert_eq!(monitor["OpenIncidents"], 1);
}

#[tokio::test]
async fn failed_run_is_told_without_the_secrets_that_it_had() {
    let world = World::new().await;
    world.publish("1.0", "AAAAAAAA").await;
    let bus = format!("bus-of-{}", world.bucket);
    let all = json!({ "source": ["larder.monitor-runner"] });
    let bus = EventBus::create(World::moto(), &bus, &all).await.unwrap();
    let parameter = format!("/{}/TOKEN", world.bucket);
    put_parameter(World::moto(), &parameter, "hunter22\n")
        .await
        .unwrap();
    let config = announcing(world.monitor_runner(), &bus)
        .env("MONITOR_SECRET_PARAMETERS", parameter)
        .env("MONITOR_ENVIRONMENT", "BEHAVIOUR=fail");
    let function = world.lambda.create(config);

    let outcome = invoke(&function, json!({ "monitor": "slack" })).await;
    let error = outcome.error().unwrap().message.clone();
    assert!(error.contains("with token [redacted]"), "{error}");
    let line = result_line(&outcome);
    assert_eq!(
        (&line["status"], &line["error_type"]),
        (&json!("failed"), &json!("Upstream"))
    );
    assert!(
        !outcome.logs.concat().contains("hunter22"),
        "{:?}",
        outcome.logs
    );
    let [event] = &bus.received().await.unwrap()[..] else {
        panic!("not one event")
    };
    let detail = &event["detail"];
    assert_eq!(
        (&detail["version"], &detail["result"]),
        (&json!("1.0"), &Value::Null)
    );
    assert!(
        detail["error"]["message"]
            .as_str()
            .unwrap()
            .contains("[redacted]"),
        "{detail}"
    );
    let (_, monitor) = metrics(&function, json!({ "monitor": "slack" })).await;
    assert_eq!(monitor["Success"], 0);
}

#[tokio::test]
async fn secret_that_cannot_be_read_fails_the_run_by_its_name() {
    let newsroom = Newsroom::new().await;
    let config = newsroom
        .config()
        .env("MONITOR_SECRET_PARAMETERS", "/not/there/TOKEN");
    let function = newsroom.function(config);
    let outcome = invoke(&function, json!({ "monitor": "slack" })).await;
    let error = outcome.error().unwrap();
    assert_eq!(error.error_type, "Upstream");
    assert!(
        error
            .message
            .contains("the secret TOKEN: there is no parameter /not/there/TOKEN"),
        "{error:?}"
    );
}
