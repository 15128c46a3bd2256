//! Our client of EC2 on an EC2 that checks signatures and policies, and on one that fails.

use local_aws::{cloud::Cloud, ec2::Ec2 as Emulator, moto::Moto};
use runtime_ledger::{
    State,
    ec2::{Ec2, Which},
};

use crate::{
    clients::said,
    minutes_world::{REGION, aws_of, one},
};

const SERVERS: Which<'static> = Which {
    tag: Some(("App", Some("minecraft & more"))),
    ids: &[],
};

#[tokio::test]
async fn the_signature_is_one_that_ec2_accepts_and_a_refusal_says_why() {
    let moto = Moto::start().unwrap();
    let keys = said("guard_ec2.py", &[moto.url()]).await;
    let keys: Vec<_> = keys.split_whitespace().collect();
    let describe = async |key, secret| {
        let endpoint = [("EC2", moto.url().to_owned())];
        let client = Ec2::new(&aws_of(endpoint, (key, secret)), REGION).unwrap();
        client.describe(&SERVERS, jiff::Timestamp::now()).await
    };
    let servers = describe(keys[0], keys[1]).await.unwrap();
    assert_eq!(servers.len(), 3);
    assert!(servers.iter().all(|server| server.state == State::Running));

    let forged = describe(keys[0], "another secret").await.unwrap_err();
    let denied = describe(keys[2], keys[3]).await.unwrap_err();
    for (error, code) in [
        (forged, "AuthFailure"),
        (denied, "not authorized to perform: ec2:DescribeInstances"),
    ] {
        let said = format!("{:#}", anyhow::Error::from(error));
        assert!(said.contains(code), "{code}: {said}");
    }
}

#[tokio::test]
async fn what_fails_for_a_while_is_tried_again_and_what_is_refused_is_not() {
    let now = jiff::Timestamp::now();
    let cloud = Cloud::new();
    cloud.set(one("i-0000000a", now));
    let emulator = Emulator::start(cloud).await.unwrap();
    let aws = aws_of([("EC2", emulator.url())], ("local", "local"));
    let client = Ec2::new(&aws, REGION).unwrap();
    let all = Which::default();
    emulator.fail_next(503, "Unavailable");
    emulator.fail_next(400, "RequestLimitExceeded");
    assert_eq!(client.describe(&all, now).await.unwrap().len(), 1);
    emulator.fail_next(403, "UnauthorizedOperation");
    let error = client.describe(&all, now).await.unwrap_err();
    assert!(!error.is_transient(), "{error}");
    assert_eq!(
        emulator.answered(),
        1,
        "asked once more, it would have answered"
    );
}
