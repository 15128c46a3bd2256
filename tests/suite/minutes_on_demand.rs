//! runtime-events on a local AWS: state changes recorded, minutes read.

use aws_sdk_dynamodb::types::AttributeValue::{N, S};
use jiff::{SignedDuration, Timestamp};
use larder_lambda::{Deadline, Error, ErrorKind};
use local_aws::fleet::{Change, Fleet, Habits, disturbed, notification};
use rcgen::generate_simple_self_signed;
use runtime_events::{App, Metrics};
use runtime_ledger::ledger::Watermark;
use serde_json::{Value, json};

use crate::{
    minutes_world::{Minutes, REGION, at, hours, one},
    tls_cache::front,
    world::create,
};

const A: &str = "i-0000000a";

async fn ask(app: &App, event: Value, now: Timestamp) -> Result<Value, Error> {
    let event = serde_json::from_value(event).unwrap();
    let deadline = Deadline::after(std::time::Duration::from_mins(1));
    let answer = app
        .answer(event, (now, &deadline), &mut Metrics::default())
        .await?;
    Ok(serde_json::to_value(answer).unwrap())
}

async fn read(app: &App, now: Timestamp) -> Value {
    ask(app, json!({ "instance_id": A }), now).await.unwrap()
}

fn cached(minutes: &str, at: &str) -> [(&'static str, aws_sdk_dynamodb::types::AttributeValue); 2] {
    [
        ("runningMinutesCache", N(minutes.to_owned())),
        ("runningMinutesCacheTimestamp", S(at.to_owned())),
    ]
}

#[tokio::test]
async fn a_cached_value_is_read_and_nobody_else_is_asked() {
    let world = Minutes::new().await;
    let now = at("2026-11-20T10:00:00Z");
    world
        .put(A, &cached("1234.56", "2026-11-20T09:30:00Z"))
        .await;
    let app = world.events(&[]);
    for _ in 0..3 {
        assert_eq!(
            read(&app, now).await,
            json!({ "instance_id": A, "state": null, "minutes": 1234.56, "timestamp": "2026-11-20T09:30:00Z", "source": "cache" })
        );
    }
    assert_eq!((world.trail.answered(), world.ec2.answered()), (0, 0));
}

#[tokio::test]
async fn a_cached_zero_is_a_hit() {
    let world = Minutes::new().await;
    world.put(A, &cached("0", "2026-11-20T09:30:00Z")).await;
    let answer = read(&world.events(&[]), at("2026-11-20T10:00:00Z")).await;
    assert_eq!(
        (&answer["minutes"], &answer["source"]),
        (&json!(0.0), &json!("cache"))
    );
    assert_eq!(world.ec2.answered(), 0);
}

#[tokio::test]
async fn last_months_value_is_not_served_on_the_1st() {
    let world = Minutes::new().await;
    let now = at("2026-12-01T02:00:00Z");
    world.put(A, &cached("43200", "2026-11-30T23:30:00Z")).await;
    world.cloud.set(one(A, at("2026-10-20T00:00:00Z")));
    world.cloud.set_now(now);
    let app = world.events(&[]);
    let before = read(&app, at("2026-11-30T23:40:00Z")).await;
    assert_eq!(before["minutes"], 43_200.0);
    let answer = read(&app, now).await;
    assert_eq!(
        (&answer["minutes"], &answer["source"]),
        (&json!(120.0), &json!("calculated"))
    );
    assert_eq!(
        (&answer["timestamp"], &answer["state"]),
        (&Value::Null, &json!("running"))
    );
    // In Bangkok it has been December for hours.
    let app = world.events(&[("BILLING_TIMEZONE", "Asia/Bangkok")]);
    world.put(A, &cached("43200", "2026-11-30T16:30:00Z")).await;
    assert_eq!(read(&app, now).await["minutes"], 540.0);
}

#[tokio::test]
async fn what_is_older_than_its_limit_is_computed_anew_and_then_at_hand() {
    let world = Minutes::new().await;
    let now = at("2026-11-20T10:00:00Z");
    world.put(A, &cached("7", "2026-11-20T06:48:00Z")).await;
    world.cloud.set(one(A, now - hours(5)));
    world.cloud.set_now(now);
    assert_eq!(
        read(&world.events(&[]), now).await["minutes"],
        7.0,
        "whatever its age"
    );
    let app = world.events(&[("RUNTIME_CACHE_MAX_AGE_HOURS", "3")]);
    let answer = read(&app, now).await;
    assert_eq!(
        (&answer["minutes"], &answer["source"]),
        (&json!(300.0), &json!("calculated"))
    );
    let answer = read(&app, now).await;
    assert_eq!(
        (&answer["minutes"], &answer["source"]),
        (&json!(300.0), &json!("cache"))
    );
    assert_eq!(world.item(A).await["runningMinutesCache"], 300.0);
    // The hourly run has been meanwhile: what it wrote is found behind what is cached here.
    world.put(A, &cached("450", "2026-11-20T12:30:00Z")).await;
    assert_eq!(read(&app, now + hours(4)).await["minutes"], 450.0);
}

#[tokio::test]
async fn without_the_hourly_run_cloudtrail_is_asked_about_the_server() {
    let world = Minutes::new().await;
    let now = at("2026-11-20T10:00:00Z");
    let mut fleet = one(A, at("2026-11-02T00:00:00Z"));
    for day in 0..17 {
        let morning = at("2026-11-02T06:00:00Z") + hours(24 * day);
        fleet.change(morning, Change::Stop, &[A]);
        fleet.change(morning + hours(12), Change::Start, &[A]);
    }
    let truth = fleet
        .server(A)
        .unwrap()
        .ran(at("2026-11-01T00:00:00Z"), now);
    world.cloud.set(fleet);
    world.cloud.set_now(now);
    let answer = read(&world.events(&[]), now).await;
    assert_eq!(
        answer["minutes"],
        runtime_ledger::Minutes::of_seconds(truth).as_f64()
    );
    assert_eq!(answer.get("upper"), None, "it is exact");
}

#[tokio::test]
async fn delivering_an_event_twice_late_or_out_of_order_changes_nothing() {
    let world = Minutes::new().await;
    let until = at("2026-11-20T10:00:00Z");
    let habits = Habits {
        servers: 4,
        from: until - hours(60),
        until,
        stays: hours(5),
        steady: 0,
        shutdowns: true,
        ends: false,
    };
    let fleet = Fleet::random(REGION, &habits, 11);
    world.cloud.set(fleet.clone());
    world.cloud.set_now(until);
    // The hourly run was here, though it has seen nothing: so CloudTrail is not asked.
    let mark = Watermark {
        from: until - hours(90 * 24),
        until,
        gaps: Vec::new(),
        closed: None,
    };
    world
        .ledger()
        .set_watermark(REGION, None, &mark)
        .await
        .unwrap();
    let app = world.events(&[]);
    let events = fleet.notifications(at("2026-11-01T00:00:00Z"), until);
    let events = disturbed(events, 5);
    let count = events.len();
    for event in events {
        ask(&app, event, until).await.unwrap();
    }
    assert!(count > 60, "{count}");
    // The servers' table has the minutes as of the last change; what follows is what a read computes.
    let app = world.events(&[("RUNTIME_CACHE_MAX_AGE_HOURS", "0")]);
    for server in fleet.servers() {
        let now = until + SignedDuration::from_secs(60);
        let answer = ask(&app, json!({ "instance_id": server.id }), now)
            .await
            .unwrap();
        let truth = server.ran(at("2026-11-01T00:00:00Z"), now);
        let truth = runtime_ledger::Minutes::of_seconds(truth).as_f64();
        let minutes = answer["minutes"].as_f64().unwrap();
        assert!(
            (minutes - truth).abs() <= 0.02,
            "{answer}: {truth} in truth"
        );
    }
}

#[tokio::test]
async fn a_change_is_answered_with_what_is_cached_and_leaves_the_minutes_up_to_date() {
    let world = Minutes::new().await;
    let now = at("2026-11-20T10:00:00Z");
    world.put(A, &cached("7", "2026-11-20T09:30:00Z")).await;
    let mut fleet = one(A, now - hours(2));
    fleet.change(now, Change::Stop, &[A]);
    world.cloud.set(fleet);
    world.cloud.set_now(now);
    let app = world.events(&[]);
    let stopping = notification(REGION, A, "stopping", now);
    let answer = ask(&app, stopping, now).await.unwrap();
    assert_eq!(
        answer,
        json!({ "instance_id": A, "state": "stopping", "minutes": 7.0, "timestamp": "2026-11-20T09:30:00Z", "source": "cache" })
    );
    assert_eq!(world.item(A).await["runningMinutesCache"], 120.0, "warmed");
    assert_eq!(read(&app, now).await["minutes"], 120.0);
}

#[tokio::test]
async fn what_is_no_server_is_recorded_or_not_found_and_never_made_one() {
    let world = Minutes::new().await;
    let now = at("2026-11-20T10:00:00Z");
    let mut fleet = Fleet::new(REGION);
    fleet.add(A, &[("Team", "other")]);
    fleet.change(now - hours(1), Change::Launch, &[A]);
    world.cloud.set(fleet);
    world.cloud.set_now(now);
    let app = world.events(&[]);
    let answer = ask(&app, notification(REGION, A, "running", now), now)
        .await
        .unwrap();
    assert_eq!(
        answer,
        json!({ "instance_id": A, "state": "running", "ignored": "it has not the tag App" })
    );
    let error = ask(&app, json!({ "instance_id": A }), now)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(
        error.to_string().contains(A) && error.to_string().contains("us-east-1"),
        "{error}"
    );
    assert_eq!(world.item(A).await, json!({}));
}

#[tokio::test]
async fn the_history_has_months_and_days() {
    let world = Minutes::new().await;
    let now = at("2026-11-03T12:00:00Z");
    let mut fleet = one(A, at("2026-10-31T22:00:00Z"));
    fleet.change(at("2026-11-02T06:00:00Z"), Change::Stop, &[A]);
    world.cloud.set(fleet);
    world.run(&world.calculator(&[]), now).await;
    let app = world.events(&[]);
    let event = json!({ "instance_id": A, "history": { "from": "2026-08", "to": "2026-11" } });
    let answer = ask(&app, event, now).await.unwrap();
    let months = answer["history"].as_array().unwrap();
    let of = |name: &str| months.iter().find(|month| month["month"] == name).unwrap();
    let (october, november) = (of("2026-10"), of("2026-11"));
    assert_eq!(
        (
            &october["minutes"],
            &october["complete"],
            &october["quality"]
        ),
        (&json!(120.0), &json!(true), &json!("exact"))
    );
    assert_eq!(october["days"][30], 120.0);
    assert_eq!(
        (&november["minutes"], &november["complete"]),
        (&json!(1_800.0), &json!(false))
    );
    assert_eq!(
        november["days"].as_array().unwrap()[..3],
        [json!(1_440.0), json!(360.0), json!(0.0)]
    );
}

#[tokio::test]
async fn what_is_read_most_is_at_hand_after_a_schedule() {
    let world = Minutes::new().await;
    let now = at("2026-11-20T10:00:00Z");
    let ids = [("i-00000001", 5), ("i-00000002", 30), ("i-00000003", 1)];
    let reads = ids.map(|(id, times)| (id.parse().unwrap(), times));
    let day = "2026-11-19".parse().unwrap();
    world
        .ledger()
        .count_reads(day, reads.clone().into())
        .await
        .unwrap();
    world.ledger().count_reads(day, reads.into()).await.unwrap();
    let most = world.ledger().most_read(day, 2).await.unwrap();
    assert_eq!(
        most.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["i-00000002", "i-00000001"]
    );
    for (id, _) in ids {
        world.put(id, &cached("5", "2026-11-20T09:30:00Z")).await;
    }
    let app = world.events(&[]);
    let schedule = json!({ "detail-type": "Scheduled Event", "source": "aws.events" });
    assert_eq!(
        ask(&app, schedule, now).await.unwrap(),
        json!({ "warmed": 3 })
    );
    // The table is not asked any more.
    world
        .tables
        .delete_table()
        .table_name("servers")
        .send()
        .await
        .unwrap();
    let answer = ask(&app, json!({ "instance_id": "i-00000002" }), now)
        .await
        .unwrap();
    assert_eq!(answer["minutes"], 5.0);
}

#[tokio::test]
async fn the_function_reads_counts_and_logs_as_its_contract_says() {
    let world = Minutes::new().await;
    let now = Timestamp::now();
    let half = now - SignedDuration::from_mins(30);
    world
        .put(A, &cached("1234.56", &format!("{half:.0}")))
        .await;
    world.cloud.set(one(A, now - hours(5)));
    let config = world
        .function("runtime-events")
        .env("CACHE_DIR", local_aws::lambda::TMP);
    let function = create(config.clone()).await;
    for _ in 0..25 {
        let outcome = crate::world::invoke(&function, json!({ "instance_id": A })).await;
        assert_eq!(outcome.json().unwrap()["minutes"], 1_234.56);
        let line = format!("Using cached value for {A}: 1234.56 minutes (age: 0.5 hours)");
        assert!(
            outcome.logs.iter().any(|it| it.contains(&line)),
            "{:?}",
            outcome.logs
        );
    }
    let day = now.to_zoned(jiff::tz::TimeZone::UTC).date();
    let counted = world.ledger().most_read(day, 5).await.unwrap();
    assert_eq!(counted.len(), 1, "reads are counted, by the score");

    let strict = create(config.env("RUNTIME_CACHE_MAX_AGE_HOURS", "0")).await;
    let event = notification(REGION, A, "running", now);
    let outcome = crate::world::invoke(&strict, event).await;
    let answer = outcome.json().unwrap();
    assert_eq!(
        (&answer["source"], &answer["state"], &answer["timestamp"]),
        (&json!("calculated"), &json!("running"), &Value::Null)
    );
    let line = format!("Cache is stale for {A} (age: 0.5 hours), falling back to calculation");
    assert!(
        outcome.logs.iter().any(|it| it.contains(&line)),
        "{:?}",
        outcome.logs
    );

    let outcome = crate::world::invoke(&strict, json!({ "instance_id": "i-xyz" })).await;
    let error = outcome.error().unwrap();
    assert_eq!(error.error_type, "BadRequest");
    assert!(
        error.message.contains("\"i-xyz\" is not an instance's id"),
        "{}",
        error.message
    );
}

#[tokio::test]
async fn events_reach_the_function_as_eventbridge_delivers_them() {
    let world = Minutes::new().await;
    let now = Timestamp::now();
    let mut fleet = one(A, now - hours(3));
    fleet.change(now - hours(2), Change::Stop, &[A]);
    fleet.change(now - hours(1), Change::Start, &[A]);
    fleet.change(now - SignedDuration::from_mins(20), Change::Stop, &[A]);
    world.cloud.set(fleet.clone());
    let events = disturbed(fleet.notifications(now - hours(4), now), 3);
    let config = world.function("runtime-events");
    let config = config.env("CACHE_DIR", local_aws::lambda::TMP);
    let function = create(config.env("RUNTIME_CACHE_MAX_AGE_HOURS", "0")).await;
    let delivered = events
        .iter()
        .map(|event| function.invoke_event(event.to_string()));
    for delivery in delivered.collect::<Vec<_>>() {
        delivery.await.unwrap();
    }
    assert_eq!(function.failed_events(), Vec::<Value>::new());
    let start =
        runtime_ledger::Month::of(now, &jiff::tz::TimeZone::UTC).start(&jiff::tz::TimeZone::UTC);
    let truth = fleet.server(A).unwrap().ran(start, now);
    let truth = runtime_ledger::Minutes::of_seconds(truth).as_f64();
    let read = crate::world::invoke(&function, json!({ "instance_id": A })).await;
    assert_eq!(read.json().unwrap()["minutes"], truth);
    assert!(
        world.item(A).await["runningMinutesCache"].is_number(),
        "warmed"
    );
}

#[tokio::test]
async fn aws_is_believed_whom_amazon_has_signed_or_whom_the_environment_names() {
    let world = Minutes::new().await;
    let now = Timestamp::now();
    world.put(A, &cached("7", &format!("{now:.0}"))).await;
    let ours = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let port = front(world.server.port(), &ours).await;
    let config = world
        .function("runtime-events")
        .env("CACHE_DIR", local_aws::lambda::TMP);
    let config = config.env(
        "AWS_ENDPOINT_URL_DYNAMODB",
        format!("https://localhost:{port}"),
    );
    let read = async |config| {
        let function = create(config).await;
        crate::world::invoke(&function, json!({ "instance_id": A })).await
    };
    let stranger = read(config.clone()).await;
    let error = stranger.error().unwrap();
    assert_eq!(error.error_type, "Upstream");
    assert!(
        error.message.contains("invalid peer certificate"),
        "{}",
        error.message
    );

    let authorities = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(authorities.path(), ours.cert.pem()).unwrap();
    let file = authorities.path().to_string_lossy().into_owned();
    let known = read(config.env("SSL_CERT_FILE", file)).await;
    assert_eq!(known.json().unwrap()["minutes"], 7.0);
}
