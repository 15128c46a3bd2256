//! monitor-runner and metadata that is wrong, unsigned, old or expired.

use serde_json::{Value, json};

use crate::world::{World, error_of, release, run_slack};

#[tokio::test]
async fn metadata_that_is_none_is_an_integrity_error_that_names_it() {
    let world = World::new().await;
    let good = world.publish("1.0", "--------").await;
    let function = world.with_behaviour("tell");
    let with = |field: &str, value: Value| {
        let mut metadata = good.clone();
        metadata[field] = value;
        metadata.to_string().into_bytes()
    };
    let cases = [
        (
            b"<html>maintenance</html>".to_vec(),
            "not the JSON that it should be",
        ),
        (b"{\"version\":".to_vec(), "not the JSON that it should be"),
        (b"[]".to_vec(), "not the JSON that it should be"),
        (vec![b' '; 70_000], "longer than 65536 bytes"),
        (
            with("sha256", json!("ab".repeat(32))),
            "plain field `sha256` differs",
        ),
        (
            with("binarySize", json!(5)),
            "plain field `binarySize` differs",
        ),
        (
            with("binarySize", json!(300_000_000)),
            "`binarySize` is 300000000",
        ),
        (with("version", json!("../../etc")), "`version`"),
        (
            with("downloadUrl", json!("http://169.254.169.254/latest")),
            "`downloadUrl` is not on",
        ),
        (
            with("target_platform", json!("linux-riscv64")),
            "it is for linux-riscv64",
        ),
        (with("sig", json!("nonsense")), "none of the trusted keys"),
        (with("sig", Value::Null), "half there"),
    ];
    for (bytes, said) in cases {
        let what = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        world
            .publisher
            .put_metadata_bytes("slack", bytes)
            .await
            .unwrap();
        world.edge.clear();
        let (error_type, message) = error_of(&function).await;
        assert_eq!(error_type, "Integrity", "{what}: {message}");
        assert!(message.contains(said), "{what}: {message}");
    }
}

#[tokio::test]
async fn unsigned_metadata_is_refused_where_a_signature_is_required_and_taken_where_it_is_not() {
    let world = World::new().await;
    let mut metadata = world.publish("1.0", "--------").await;
    for field in ["signed", "sig"] {
        metadata.as_object_mut().unwrap().remove(field);
    }
    world
        .publisher
        .put_metadata("slack", &metadata)
        .await
        .unwrap();
    let (error_type, message) = error_of(&world.with_behaviour("tell")).await;
    assert_eq!(error_type, "Integrity");
    assert!(message.contains("one is required"), "{message}");

    let trusting = world.monitor_runner().env("REQUIRE_SIGNATURE", "false");
    assert_eq!(
        run_slack(&world.lambda.create(trusting)).await["cache"],
        "miss"
    );
}

#[tokio::test]
async fn older_metadata_and_expired_metadata_leave_the_present_binary_in_use() {
    let world = World::new().await;
    let newer = local_aws::publish::NewRelease {
        epoch: 7,
        ..release("2.0", "epoch--7")
    };
    world.publisher.publish(&newer).await.unwrap();
    let function = world.with_behaviour("tell");
    run_slack(&function).await;

    let older = local_aws::publish::NewRelease {
        epoch: 6,
        ..release("1.0", "epoch--6")
    };
    world.publisher.publish(&older).await.unwrap();
    world.edge.clear();
    for process in [
        "the same process",
        "a new one, which knows the epoch from the disk",
    ] {
        let run = run_slack(&function).await;
        assert_eq!(
            (&run["cache"], &run["result"]["marker"]),
            (&json!("stale"), &json!("epoch--7")),
            "{process}"
        );
        assert!(
            run["warning"]
                .as_str()
                .unwrap()
                .contains("epoch 6 is under 7"),
            "{run}"
        );
        function.environment().unwrap().kill().await;
    }

    let expired = local_aws::publish::NewRelease {
        epoch: 8,
        valid_for: -jiff::SignedDuration::from_secs(1),
        ..release("3.0", "expired-")
    };
    world.publisher.publish(&expired).await.unwrap();
    world.edge.clear();
    let run = run_slack(&function).await;
    assert!(
        run["warning"].as_str().unwrap().contains("ran out at"),
        "{run}"
    );

    // An environment that has nothing to fall back on says why it fails; a floor set by hand holds
    // there too.
    function.fresh().await;
    assert!(error_of(&function).await.1.contains("ran out at"));
    world.publisher.publish(&newer).await.unwrap();
    world.edge.clear();
    let floored = world
        .lambda
        .create(world.monitor_runner().env("MIN_EPOCH", "8"));
    assert!(error_of(&floored).await.1.contains("epoch 7 is under 8"));
}
