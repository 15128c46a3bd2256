//! Our emulators, checked by clients that we did not write.

use jiff::{SignedDuration, Timestamp};
use local_aws::{
    cloud::Cloud,
    cloudtrail::CloudTrail,
    ec2::Ec2,
    fleet::{Change, Fleet},
    lambda::Lambda,
};
use local_servers::helper::{python, workspace_root};

use crate::world::{World, obedient};

/// Runs a script of `tests/clients` that says that all is well.
async fn run(script: &str, arguments: &[&str]) {
    assert_eq!(said(script, arguments).await, "ok\n", "{script}");
}

/// What a script of `tests/clients` says, run with the Python of the virtual environment.
pub(crate) async fn said(script: &str, arguments: &[&str]) -> String {
    let path = workspace_root().join("tests/clients").join(script);
    let mut command = tokio::process::Command::new(python().unwrap());
    // No proxy leads to this machine.
    command.env("NO_PROXY", "127.0.0.1");
    let output = command.arg(path).args(arguments).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn boto3_invokes_functions_and_understands_every_refusal() {
    let lambda = Lambda::start().await.unwrap();
    lambda.create(obedient());
    run("invoke.py", &[&lambda.url()]).await;
}

#[tokio::test]
async fn boto3_and_requests_find_a_release_as_a_cdn_would_serve_it() {
    let world = World::new().await;
    world.publish("1.0", "--------").await;
    let key = world.publisher.public_key();
    run(
        "edge.py",
        &[&world.edge.url(), World::s3_url(), &world.bucket, &key],
    )
    .await;
}

#[tokio::test]
async fn boto3_pages_through_events_and_understands_every_refusal() {
    let mut fleet = Fleet::new("us-east-1");
    fleet.add("i-0000000a", &[]);
    for hours in (0..120).rev() {
        let at = Timestamp::now() - SignedDuration::from_hours(hours);
        fleet.change(at, Change::Stop, &["i-0000000a"]);
    }
    let cloud = Cloud::new();
    cloud.set(fleet);
    let trail = CloudTrail::start(cloud).await.unwrap();
    run("cloudtrail.py", &[&trail.url()]).await;
}

#[tokio::test]
async fn boto3_pages_through_servers_and_filters_them() {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let mut fleet = Fleet::new("us-east-1");
    let ids: Vec<_> = (0..30).map(|n| format!("i-{n:08x}")).collect();
    for id in &ids {
        fleet.add(id, &[("App", "minecraft")]);
    }
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    fleet.change(at("2026-11-20T08:00:00Z"), Change::Launch, &ids);
    fleet.change(at("2026-11-20T10:00:00Z"), Change::Stop, &["i-00000001"]);
    let cloud = Cloud::new();
    cloud.set(fleet);
    cloud.set_now(at("2026-11-20T12:00:00Z"));
    let ec2 = Ec2::start(cloud).await.unwrap();
    run("ec2.py", &[&ec2.url()]).await;
}
