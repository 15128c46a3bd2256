//! monitor-runner against a source that is wrong, slow, hostile or gone.

use std::time::{Duration, Instant};

use local_aws::edge::{Fault, Kind};
use serde_json::json;

use crate::world::{World, error_of, release, run_slack};

const METADATA: &str = "metadata.json";
const BINARY: &str = "monitor-1.0";

#[tokio::test]
async fn wrong_bytes_are_an_integrity_error_and_the_old_binary_stays() {
    let world = World::new().await;
    world.publish("0.9", "old-----").await;
    let function = world.with_behaviour("tell");
    run_slack(&function).await;
    let binary = function
        .environment()
        .unwrap()
        .tmp()
        .join("watchy-slack-monitor");
    let old = std::fs::read(&binary).unwrap();
    world.publish("1.0", "new-----").await;
    world.edge.clear();

    for (kind, said) in [
        (Kind::EndAt(1000), "1000 bytes where the metadata says"),
        (Kind::EndAt(0), "0 bytes where the metadata says"),
        (Kind::Append(1), "where the metadata says"),
        (Kind::Append(1 << 20), "where the metadata says"),
        (Kind::Flip(4321), "SHA-256"),
        (
            Kind::Body(b"<html>maintenance</html>".to_vec()),
            "24 bytes where the metadata says",
        ),
    ] {
        world.edge.fail(Fault::always(BINARY, kind.clone()));
        let (error_type, message) = error_of(&function).await;
        assert_eq!(error_type, "Integrity", "{kind:?}: {message}");
        assert!(
            message.contains(said) && message.contains("monitor-1.0"),
            "{kind:?}: {message}"
        );
        assert_eq!(std::fs::read(&binary).unwrap(), old, "{kind:?}");
        world.edge.heal();
    }
    assert_eq!(
        run_slack(&function).await["result"]["marker"],
        "new-----",
        "and then it goes on"
    );
}

#[tokio::test]
async fn a_source_that_says_no_is_not_an_outage() {
    let world = World::new().await;
    world.publish("1.0", "--------").await;
    let function = world.with_behaviour("tell");
    run_slack(&function).await;
    for (status, expected) in [(404, "NotFound"), (403, "NotFound"), (400, "Upstream")] {
        world
            .edge
            .fail(Fault::always(METADATA, Kind::Status(status)));
        let (error_type, message) = error_of(&function).await;
        assert_eq!(error_type, expected, "{message}");
        assert!(message.contains(&format!("answered {status}")), "{message}");
        world.edge.heal();
    }
}

#[tokio::test]
async fn a_server_in_trouble_is_asked_three_times_then_stood_in_for() {
    let world = World::new().await;
    world.publish("1.0", "--------").await;
    let function = world.with_behaviour("tell");

    // Nothing to fall back on yet: an error, and every try was made.
    world.edge.fail(Fault::always(METADATA, Kind::Status(503)));
    let (error_type, message) = error_of(&function).await;
    assert_eq!(error_type, "Upstream");
    assert!(message.contains("answered 503"), "{message}");
    assert_eq!(world.edge.take_requests().len(), 3);
    world.edge.heal();

    // Twice is a hiccup, for metadata as for the binary.
    for path in [METADATA, BINARY] {
        world.edge.fail(Fault {
            times: Some(2),
            ..Fault::always(path, Kind::Status(500))
        });
    }
    assert_eq!(run_slack(&function).await["cache"], "miss");

    for status in [500, 502, 503, 429] {
        world
            .edge
            .fail(Fault::always(METADATA, Kind::Status(status)));
        assert_eq!(run_slack(&function).await["cache"], "stale", "{status}");
        world.edge.heal();
    }
    assert_eq!(run_slack(&function).await["cache"], "hit");
}

#[tokio::test]
async fn a_download_that_breaks_off_is_begun_again() {
    let world = World::new().await;
    world.publish("1.0", "complete").await;
    world.edge.fail(Fault {
        times: Some(2),
        ..Fault::always(BINARY, Kind::CutAt(50_000))
    });
    let run = run_slack(&world.with_behaviour("tell")).await;
    assert_eq!(
        (&run["cache"], &run["result"]["marker"]),
        (&json!("miss"), &json!("complete"))
    );
}

#[tokio::test]
async fn a_redirect_is_followed_within_the_origin_only() {
    let world = World::new().await;
    world.publish("1.0", "--------").await;
    let elsewhere = World::new().await;
    let function = world.with_behaviour("tell");

    let same = format!(
        "{}/binaries/slack-monitor/watchy-slack-monitor-latest",
        world.edge.url()
    );
    world.edge.fail(Fault::once(BINARY, Kind::Redirect(same)));
    assert_eq!(run_slack(&function).await["cache"], "miss");
    function.fresh().await;

    for path in [METADATA, BINARY] {
        world.edge.fail(Fault::always(
            path,
            Kind::Redirect(format!("{}/x", elsewhere.edge.url())),
        ));
        let (error_type, message) = error_of(&function).await;
        assert_eq!(error_type, "Integrity", "{message}");
        assert!(message.contains("is not followed"), "{message}");
        world.edge.heal();
    }
    assert_eq!(elsewhere.edge.take_requests(), [], "it was not even asked");
    world.edge.fail(Fault::always(
        METADATA,
        Kind::Redirect("/binaries/slack-monitor/metadata.json".to_owned()),
    ));
    assert!(
        error_of(&function).await.1.contains("is not followed"),
        "a loop ends"
    );
}

#[tokio::test]
async fn a_source_that_never_answers_costs_a_bounded_time() {
    let world = World::new().await;
    world.publish("1.0", "--------").await;
    let function = world.with_behaviour("tell");
    run_slack(&function).await;
    world.edge.fail(Fault::always(METADATA, Kind::Silent));
    let began = Instant::now();
    assert_eq!(run_slack(&function).await["cache"], "stale");
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn a_download_that_is_too_slow_ends_with_its_share_of_the_time() {
    let world = World::new().await;
    world.publish("1.0", "--------").await;
    let mut config = world.monitor_runner();
    config.timeout = Duration::from_secs(4);
    let function = world.lambda.create(config);
    for kind in [Kind::Slow(1000), Kind::StallAt(1000)] {
        world.edge.fail(Fault::always(BINARY, kind.clone()));
        let (error_type, message) = error_of(&function).await;
        assert_eq!(error_type, "Timeout", "{kind:?}: {message}");
        // Half of the time is for the monitor.
        let within = message.split("get the binary ready within ").nth(1);
        let within = within.and_then(|rest| rest.split(' ').next()?.parse().ok());
        let within: u64 = within.unwrap_or_else(|| panic!("{kind:?}: {message}"));
        assert!((1..=2_000).contains(&within), "{message}");
        world.edge.heal();
    }
}

#[tokio::test]
async fn the_cdn_comes_back() {
    let world = World::new().await;
    world.publish("1.0", "--------").await;
    let function = world.with_behaviour("tell");
    world.edge.stop().await;
    let (error_type, message) = error_of(&function).await;
    assert_eq!(error_type, "Upstream");
    assert!(
        message.contains("could not reach http://127.0.0.1")
            && message.contains("onnection refused"),
        "{message}"
    );
    world.edge.resume().unwrap();
    assert_eq!(run_slack(&function).await["cache"], "miss");
    // A connection of the pool that died meanwhile is not noticed.
    world.edge.stop().await;
    world.edge.resume().unwrap();
    assert_eq!(run_slack(&function).await["cache"], "hit");
}

#[tokio::test]
async fn a_packed_binary_is_unpacked_and_checked_unpacked() {
    let world = World::new().await;
    let packed = local_aws::publish::NewRelease {
        gzip: true,
        ..release("1.0", "unpacked")
    };
    world.publisher.publish(&packed).await.unwrap();
    let function = world.with_behaviour("tell");
    let run = run_slack(&function).await;
    assert_eq!(run["result"]["marker"], "unpacked");
    assert!(run["downloaded_bytes"].as_u64().unwrap() < run["binary_size"].as_u64().unwrap());

    function.fresh().await;
    for (kind, said) in [
        (Kind::Flip(5_000), ""),
        (Kind::Body(b"no gzip".to_vec()), "is not the gzip file"),
        (Kind::EndAt(5_000), ""),
    ] {
        world.edge.fail(Fault::always(BINARY, kind.clone()));
        let (error_type, message) = error_of(&function).await;
        assert_eq!(error_type, "Integrity", "{kind:?}: {message}");
        assert!(message.contains(said), "{kind:?}: {message}");
        world.edge.heal();
    }
}

#[tokio::test]
async fn a_small_packed_file_that_unpacks_to_a_huge_one_is_stopped() {
    let world = World::new().await;
    world.publish("1.0", "--------").await;
    let packed = local_aws::publish::NewRelease {
        gzip: true,
        ..release("1.0", "--------")
    };
    world.publisher.publish(&packed).await.unwrap();
    world.edge.clear();
    // 256 MiB of zeros in a quarter of a MiB.
    let bomb = {
        use std::io::Write as _;
        let mut packing = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        let zeros = vec![0; 1 << 20];
        (0..256).for_each(|_| packing.write_all(&zeros).unwrap());
        packing.finish().unwrap()
    };
    world.edge.fail(Fault::always(BINARY, Kind::Body(bomb)));
    let (error_type, message) = error_of(&world.with_behaviour("tell")).await;
    assert_eq!(error_type, "Integrity");
    // Stopped at the first byte too many, not counted to the end.
    let size = release("1.0", "--------").binary.len();
    let said = format!("{} bytes where the metadata says {size};", size + 1);
    assert!(message.contains(&said), "{message}");
}
