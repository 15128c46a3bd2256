//! runtime-calculator on a local AWS, hour after hour, against fleets whose truth is known.

use aws_sdk_dynamodb::types::AttributeValue::{N, S};
use jiff::{SignedDuration, Timestamp};
use larder_lambda::{Deadline, ErrorKind};
use local_aws::fleet::{Change, Fleet, Habits};
use runtime_calculator::{App, Event};
use serde_json::json;

use crate::{
    minutes_world::{Minutes, REGION, at, hours, one},
    world::create,
};

const A: &str = "i-0000000a";
const B: &str = "i-0000000b";
const OTHER: &str = "i-0000ffff";

/// A fleet in November.
fn november(servers: usize, until: Timestamp, seed: u64, shutdowns: bool) -> Fleet {
    let habits = Habits {
        servers,
        from: at("2026-10-25T00:00:00Z"),
        until,
        stays: hours(7),
        steady: 20,
        shutdowns,
        ends: shutdowns,
    };
    Fleet::random(REGION, &habits, seed)
}

async fn fails(app: &App, now: Timestamp) -> larder_lambda::Error {
    let deadline = Deadline::after(std::time::Duration::from_mins(5));
    app.calculate(&Event::default(), now, &deadline)
        .await
        .unwrap_err()
}

#[tokio::test]
async fn hour_after_hour_the_minutes_are_the_truth_though_events_come_late() {
    let world = Minutes::new().await;
    let first = at("2026-11-20T10:00:00Z");
    let fleet = november(40, first + hours(8), 7, true);
    world.cloud.set(fleet.clone());
    world.trail.set_delay(SignedDuration::from_mins(10));
    let app = world.calculator(&[]);
    for hour in 0..8 {
        let now = first + hours(hour);
        let counts = world.run(&app, now).await;
        assert_eq!((counts.errors, counts.pending), (0, 0), "{counts:?}");
        assert!(counts.processed >= fleet.servers().filter(|it| it.is_described(now)).count());
        world.check(&fleet, now).await;
    }
}

#[tokio::test]
async fn at_the_end_of_a_month_its_totals_become_final_and_the_next_begins_at_0() {
    let world = Minutes::new().await;
    let end = at("2026-12-01T00:00:00Z");
    let fleet = november(20, end + hours(30), 3, false);
    world.cloud.set(fleet.clone());
    let app = world.calculator(&[]);
    for hour in [-2, -1, 1, 7, 29] {
        let now = end + hours(hour);
        world.run(&app, now).await;
        world.check(&fleet, now).await;
    }
    let mut checked = 0;
    for server in fleet.servers() {
        if let Some(total) = world.total(&server.id, "2026-11").await {
            let truth = server.ran(at("2026-11-01T00:00:00Z"), end);
            assert_eq!(
                (total.total.seconds, total.total.doubtful),
                (truth, 0),
                "{}",
                server.id
            );
            checked += 1;
        }
    }
    assert!(checked > 10, "{checked}");
    let mark = world.ledger().watermark(REGION).await.unwrap().unwrap();
    assert_eq!(mark.closed.unwrap().to_string(), "2026-11");
}

#[tokio::test]
async fn a_second_run_makes_as_many_calls_for_a_thousand_servers_as_for_ten() {
    let mut calls = Vec::new();
    for servers in [10, 1_000] {
        let world = Minutes::new().await;
        let now = at("2026-11-20T10:00:00Z");
        let mut fleet = Fleet::new(REGION);
        let ids: Vec<_> = (0..servers).map(|n| format!("i-{n:08x}")).collect();
        let ids: Vec<_> = ids.iter().map(String::as_str).collect();
        for id in &ids {
            fleet.add(id, &[("App", "minecraft")]);
        }
        fleet.change(now - hours(500), Change::Launch, &ids);
        fleet.change(now - hours(5), Change::Stop, &ids[..5]);
        world.cloud.set(fleet.clone());
        let app = world.calculator(&[]);
        world.run(&app, now).await;
        let before = world.trail.answered();
        let counts = world.run(&app, now + hours(1)).await;
        assert_eq!(counts.processed, servers, "{counts:?}");
        calls.push(world.trail.answered() - before);
        // It keeps to two a second; on a busy machine one may arrive late, and the next one soon after it.
        let throttled = world.trail.throttled();
        assert!(
            throttled <= 2,
            "{throttled} of {} were too many",
            world.trail.answered()
        );
    }
    assert_eq!(calls, [5, 5]);
}

#[tokio::test]
async fn an_error_never_overwrites_a_good_value() {
    let world = Minutes::new().await;
    let now = at("2026-11-20T10:00:00Z");
    world.cloud.set(one(A, now - hours(3)));
    let app = world.calculator(&[]);
    world.run(&app, now).await;
    let good = world.item(A).await;
    assert_eq!(good["runningMinutesCache"], 180.0);

    world.trail.fail_next(
        "AccessDeniedException",
        "not authorized to perform: cloudtrail:LookupEvents",
    );
    let error = fails(&app, now + hours(1)).await;
    assert_eq!(error.kind(), ErrorKind::Upstream);
    assert!(
        error.to_string().contains("not authorized to perform"),
        "{error}"
    );
    world.ec2.fail_next(403, "UnauthorizedOperation");
    let error = fails(&app, now + hours(1)).await;
    assert!(
        error.to_string().contains("UnauthorizedOperation"),
        "{error}"
    );
    assert_eq!(world.item(A).await, good);
    let counts = world.run(&app, now + hours(2)).await;
    assert_eq!((counts.processed, counts.errors), (1, 0));
    assert_eq!(world.item(A).await["runningMinutesCache"], 300.0);
}

#[tokio::test]
async fn one_servers_failure_is_counted_and_does_not_stop_the_others() {
    let world = Minutes::new().await;
    let now = at("2026-11-20T10:00:00Z");
    let mut fleet = one(A, now - hours(3));
    fleet.add(B, &[("App", "minecraft")]);
    fleet.change(now - hours(2), Change::Launch, &[B]);
    world.cloud.set(fleet);
    // As large as an item may be: there is no room for two more attributes.
    let large = S("x".repeat(400 * 1_024 - 30));
    world.put(A, &[("log", large)]).await;
    let counts = world.run(&world.calculator(&[]), now).await;
    assert_eq!(
        (counts.total_servers, counts.processed, counts.errors),
        (2, 1, 1)
    );
    assert_eq!(world.item(B).await["runningMinutesCache"], 120.0);
}

#[tokio::test]
async fn every_region_is_computed_and_one_that_fails_stops_no_other() {
    let world = Minutes::new().await;
    let now = at("2026-11-20T10:00:00Z");
    world.cloud.set(one(A, now - hours(3)));
    let mut europe = Fleet::new("eu-west-1");
    europe.add(B, &[("App", "minecraft")]);
    europe.change(now - hours(2), Change::Launch, &[B]);
    world.cloud.set(europe);
    let app = world.calculator(&[("REGIONS", "us-east-1,eu-west-1")]);
    let counts = world.run(&app, now).await;
    assert_eq!((counts.total_servers, counts.processed), (2, 2));
    assert_eq!(world.item(A).await["runningMinutesCache"], 180.0);
    assert_eq!(world.item(B).await["runningMinutesCache"], 120.0);
    world.ec2.fail_next(403, "UnauthorizedOperation");
    let counts = world.run(&app, now + hours(1)).await;
    assert_eq!((counts.processed, counts.errors), (1, 1), "{counts:?}");
    let minutes = [A, B].map(async |id| {
        world.item(id).await["runningMinutesCache"]
            .as_f64()
            .unwrap()
    });
    let [a, b] = minutes;
    let (a, b) = (a.await, b.await);
    assert!((a > 180.0) ^ (b > 120.0), "one of both: {a} and {b}");
}

#[tokio::test]
async fn throttling_and_a_busy_service_are_waited_out() {
    let world = Minutes::new().await;
    let now = at("2026-11-20T10:00:00Z");
    world.cloud.set(one(A, now - hours(3)));
    world
        .trail
        .fail_next("ThrottlingException", "Rate exceeded");
    world.trail.fail_next("InternalFailure", "try again");
    world.ec2.fail_next(503, "RequestLimitExceeded");
    let counts = world.run(&world.calculator(&[]), now).await;
    assert_eq!((counts.processed, counts.errors), (1, 0));
}

#[tokio::test]
async fn the_hourly_write_keeps_every_other_attribute_of_the_server() {
    let world = Minutes::new().await;
    let now = at("2026-11-20T10:00:00Z");
    let mut fleet = one(A, now - hours(3));
    fleet.add(B, &[("App", "minecraft")]);
    fleet.change(now - hours(2), Change::Launch, &[B]);
    world.cloud.set(fleet);
    let own = [
        ("timezone", S("Asia/Bangkok".to_owned())),
        ("runCommand", S("./start.sh".to_owned())),
        ("memory", N("4096".to_owned())),
    ];
    world.put(A, &own).await;
    let newer = [
        ("runningMinutesCache", N("7".to_owned())),
        (
            "runningMinutesCacheTimestamp",
            S("2026-11-20T10:30:00Z".to_owned()),
        ),
    ];
    world.put(B, &newer).await;
    world.run(&world.calculator(&[]), now).await;
    assert_eq!(
        world.item(A).await,
        json!({ "id": A, "timezone": "Asia/Bangkok", "runCommand": "./start.sh", "memory": 4096.0,
            "runningMinutesCache": 180.0, "runningMinutesCacheTimestamp": "2026-11-20T10:00:00Z" })
    );
    assert_eq!(
        world.item(B).await["runningMinutesCache"],
        7.0,
        "never over a newer one"
    );
}

#[tokio::test]
async fn more_than_one_page_of_instances_is_listed_and_only_those_that_are_tagged() {
    let world = Minutes::new().await;
    let now = at("2026-11-20T10:00:00Z");
    let mut fleet = Fleet::new(REGION);
    for n in 0..23 {
        let id = format!("i-{n:08x}");
        fleet.add(&id, &[("App", if n < 20 { "minecraft" } else { "other" })]);
        fleet.change(now - hours(30) + hours(n), Change::Launch, &[&id]);
    }
    fleet.add(OTHER, &[("Team", "minecraft")]);
    fleet.change(now - hours(2), Change::Launch, &[OTHER]);
    world.cloud.set(fleet);
    world.ec2.set_page(7);
    let all = world.run(&world.calculator(&[]), now).await;
    assert_eq!(all.processed, 23);
    let some = world
        .run(&world.calculator(&[("APP_TAG_VALUE", "minecraft")]), now)
        .await;
    assert_eq!(some.processed, 20);
    assert_eq!(world.item(OTHER).await, json!({}));
}

#[tokio::test]
async fn a_busy_month_keeps_its_oldest_events() {
    let world = Minutes::new().await;
    let now = at("2026-11-20T10:00:00Z");
    let mut fleet = one(A, at("2026-11-02T00:00:00Z"));
    fleet.add(B, &[("App", "minecraft")]);
    fleet.change(at("2026-11-02T00:00:00Z"), Change::Launch, &[B]);
    for n in 1..=70 {
        let start = at("2026-11-02T00:00:00Z") + hours(4 * n);
        fleet.change(start, Change::Stop, &[B]);
        fleet.change(start + hours(2), Change::Start, &[B]);
    }
    world.cloud.set(fleet.clone());
    let counts = world.run(&world.calculator(&[]), now).await;
    assert_eq!(counts.lookups, 7, "two pages of each, starts and stops");
    world.check(&fleet, now).await;
    assert_eq!(counts.bounded, 0);
}

#[tokio::test]
async fn a_run_that_has_no_time_keeps_its_place_and_the_next_goes_on() {
    let world = Minutes::new().await;
    let now = at("2026-11-20T10:00:00Z");
    let mut fleet = one(A, at("2026-11-02T00:00:00Z"));
    for n in 1..=200 {
        let start = at("2026-11-02T00:00:00Z") + hours(2 * n);
        fleet.change(start, Change::Stop, &[A]);
        fleet.change(start + hours(1), Change::Start, &[A]);
    }
    world.cloud.set(fleet.clone());
    world.cloud.set_now(now);
    let app = world.calculator(&[]);
    let short = Deadline::after(std::time::Duration::from_secs(6));
    let counts = app.calculate(&Event::default(), now, &short).await.unwrap();
    assert_eq!((counts.processed, counts.pending), (0, 1), "{counts:?}");
    assert_eq!(
        world.item(A).await,
        json!({}),
        "nothing is written that is not known"
    );
    let first = counts.lookups;
    let counts = world.run(&app, now + hours(1)).await;
    assert_eq!(counts.processed, 1, "{counts:?}");
    world.check(&fleet, now + hours(1)).await;
    assert!(
        first + counts.lookups <= 17 + 1,
        "what was asked for is not asked for again: {first} and {}",
        counts.lookups
    );
}

#[tokio::test]
async fn an_earlier_month_is_computed_on_request_and_not_written_over_the_present() {
    let world = Minutes::new().await;
    let now = at("2026-11-20T10:00:00Z");
    world.cloud.set(one(A, at("2026-09-30T00:00:00Z")));
    world.cloud.set_now(now);
    let app = world.calculator(&[]);
    let october = Event {
        month: Some("2026-10".parse().unwrap()),
        ..Event::default()
    };
    let deadline = Deadline::after(std::time::Duration::from_mins(5));
    let counts = app.calculate(&october, now, &deadline).await.unwrap();
    assert_eq!(counts.processed, 1);
    assert_eq!(
        world
            .total(A, "2026-10")
            .await
            .unwrap()
            .total
            .minutes()
            .to_string(),
        "44640.00"
    );
    assert_eq!(world.item(A).await, json!({}));
    for (month, said) in [("2026-07", "90 days"), ("2026-12", "future")] {
        let event = Event {
            month: Some(month.parse().unwrap()),
            ..Event::default()
        };
        let error = app.calculate(&event, now, &deadline).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadRequest);
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[tokio::test]
async fn terminated_spot_reclaimed_and_shut_down_from_inside_servers_stop_counting() {
    let world = Minutes::new().await;
    let now = at("2026-11-20T10:00:00Z");
    let changes = [
        Change::Stop,
        Change::Terminate,
        Change::Reclaim,
        Change::Shutdown { dated: true },
    ];
    let mut fleet = Fleet::new(REGION);
    for (n, change) in changes.into_iter().enumerate() {
        let id = format!("i-{n:08x}");
        fleet.add(&id, &[("App", "minecraft")]);
        fleet.change(now - hours(5), Change::Launch, &[&id]);
        fleet.change(now - SignedDuration::from_mins(30), change, &[&id]);
        world.put(&id, &[]).await;
    }
    world.cloud.set(fleet.clone());
    let app = world.calculator(&[]);
    world.run(&app, now).await;
    // EC2 has forgotten two of them by now.
    world.run(&app, now + hours(2)).await;
    for server in fleet.servers() {
        assert_eq!(
            world.item(&server.id).await["runningMinutesCache"],
            270.0,
            "{}",
            server.id
        );
    }
}

#[tokio::test]
async fn a_shutdown_that_nobody_saw_costs_its_hour_and_no_more() {
    let world = Minutes::new().await;
    let ten = at("2026-11-20T10:00:00Z");
    let mut fleet = one(A, at("2026-10-01T00:00:00Z"));
    fleet.change(
        ten + SignedDuration::from_mins(10),
        Change::Shutdown { dated: false },
        &[A],
    );
    fleet.change(ten + SignedDuration::from_mins(40), Change::Start, &[A]);
    world.cloud.set(fleet.clone());
    let app = world.calculator(&[]);
    for hour in 0..4 {
        let now = ten + hours(hour);
        world.run(&app, now).await;
        world.check(&fleet, now).await;
        let total = world.total(A, "2026-11").await.unwrap().total;
        assert!(total.doubtful <= 40 * 60 + 1, "hour {hour}: {total:?}");
    }
}

#[tokio::test]
async fn what_happens_while_a_run_goes_on_is_neither_lost_nor_made_up() {
    let world = Minutes::new().await;
    let ten = at("2026-11-20T10:00:00Z");
    let mut fleet = one(A, ten - hours(5));
    fleet.add(B, &[("App", "minecraft")]);
    let moment = |seconds| ten + hours(1) + SignedDuration::from_secs(seconds);
    fleet.change(moment(2), Change::Launch, &[B]);
    fleet.change(moment(3), Change::Stop, &[A]);
    world.cloud.set(fleet.clone());
    let app = world.calculator(&[]);
    world.run(&app, ten).await;
    // EC2's clock goes on while ours is asked once.
    world.cloud.set_now(moment(4));
    let deadline = Deadline::after(std::time::Duration::from_mins(5));
    app.calculate(&Event::default(), moment(0), &deadline)
        .await
        .unwrap();
    for hour in [2, 3] {
        let now = ten + hours(hour);
        world.run(&app, now).await;
        world.check(&fleet, now).await;
        for id in [A, B] {
            assert_eq!(
                world.total(id, "2026-11").await.unwrap().total.doubtful,
                0,
                "{id}"
            );
        }
    }
}

#[tokio::test]
async fn a_terminated_server_is_counted_to_its_end_though_its_tags_are_gone_first() {
    let world = Minutes::new().await;
    let ten = at("2026-11-20T10:00:00Z");
    let mut fleet = one(A, ten - hours(5));
    fleet.add(B, &[("App", "minecraft")]);
    fleet.change(ten - hours(5), Change::Launch, &[B]);
    fleet.change(ten + SignedDuration::from_mins(15), Change::Terminate, &[A]);
    world.cloud.set(fleet);
    let app = world.calculator(&[]);
    world.run(&app, ten).await;
    world.run(&app, ten + hours(1)).await;
    assert_eq!(world.item(A).await["runningMinutesCache"], 315.0);
    assert_eq!(
        world.total(A, "2026-11").await.unwrap().total.seconds,
        315 * 60
    );
}

#[tokio::test]
async fn one_server_alone_is_computed_and_no_other_is_touched() {
    let world = Minutes::new().await;
    let ten = at("2026-11-20T10:00:00Z");
    let mut fleet = one(A, ten - hours(5));
    fleet.add(B, &[("App", "minecraft")]);
    fleet.change(ten - hours(5), Change::Launch, &[B]);
    world.cloud.set(fleet);
    let app = world.calculator(&[]);
    world.run(&app, ten).await;
    let other = (world.item(B).await, world.total(B, "2026-11").await);
    let event = Event {
        instances: vec![A.parse().unwrap()],
        ..Event::default()
    };
    let deadline = Deadline::after(std::time::Duration::from_mins(5));
    world.cloud.set_now(ten + hours(1));
    let counts = app
        .calculate(&event, ten + hours(1), &deadline)
        .await
        .unwrap();
    assert_eq!((counts.total_servers, counts.processed), (1, 1));
    assert_eq!(world.item(A).await["runningMinutesCache"], 360.0);
    assert_eq!(
        (world.item(B).await, world.total(B, "2026-11").await),
        other
    );
}

#[tokio::test]
async fn a_server_that_has_lost_its_tag_keeps_what_was_written_last() {
    let world = Minutes::new().await;
    let now = at("2026-11-20T10:00:00Z");
    let fleet = |tag: &str, end: Option<Timestamp>| {
        let mut fleet = Fleet::new(REGION);
        fleet.add(A, &[(tag, "minecraft")]);
        fleet.change(now - hours(5), Change::Launch, &[A]);
        if let Some(end) = end {
            fleet.change(end, Change::Terminate, &[A]);
        }
        fleet
    };
    world.cloud.set(fleet("App", None));
    let app = world.calculator(&[]);
    world.run(&app, now).await;
    let last = world.item(A).await;
    world.cloud.set(fleet("Other", None));
    world.run(&app, now + hours(1)).await;
    world.cloud.set(fleet("Other", Some(now + hours(2))));
    world.run(&app, now + hours(4)).await;
    assert_eq!(world.item(A).await, last);
}

#[tokio::test]
async fn the_function_answers_as_its_contract_says_and_logs_what_it_wrote() {
    let world = Minutes::new().await;
    let now = Timestamp::now();
    world.cloud.set(one(A, now - hours(3)));
    let function = create(world.function("runtime-calculator")).await;
    let outcome = crate::world::invoke(&function, json!({})).await;
    let answer = outcome.json().unwrap();
    assert_eq!(answer["statusCode"], 200, "{answer}");
    let body = answer["body"].as_str().unwrap();
    let begins = r#"{"message": "Monthly runtime calculation completed", "total_servers": 1, "processed": 1, "errors": 0"#;
    assert!(body.starts_with(begins), "{body}");
    let minutes = world.item(A).await["runningMinutesCache"].as_f64().unwrap();
    assert!((180.0..181.0).contains(&minutes), "{minutes}");
    let log = outcome.logs.join("\n");
    assert!(
        log.contains(&format!("Cached runtime for {A}: {minutes:.2} minutes")),
        "{log}"
    );
}
