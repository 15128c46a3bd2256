//! Our emulators, checked by clients that we did not write.

use std::path::PathBuf;

use local_aws::lambda::Lambda;
use local_servers::helper::python;

use crate::world::{World, obedient};

/// Runs a script of `tests/clients` with the Python of the virtual environment.
async fn run(script: &str, arguments: &[&str]) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("clients")
        .join(script);
    let mut command = tokio::process::Command::new(python().unwrap());
    // No proxy leads to this machine.
    command.env("NO_PROXY", "127.0.0.1");
    let output = command.arg(path).args(arguments).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {said}");
    assert_eq!(output.stdout, b"ok\n", "{script}: {said}");
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
