//! The local CloudFront, checked by clients that we did not write, and the way from an upload to a function.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use local_aws::{
    cloudfront::{CloudFront, Distribution, Duplicates, Status},
    edge::Edge,
    event_source::{Batching, Counts, EventSource, Sqs, route},
};
use serde_json::{Value, json};

use crate::{
    cdn_world::read,
    clients::said,
    world::{World, wait_for},
};

const RELEASES: &str = "E2BX1E7RR7IV8R";

/// A bucket, an edge in front of it, and CloudFront over both.
struct Cdn {
    bucket: String,
    s3: aws_sdk_s3::Client,
    edge: Edge,
    cloudfront: CloudFront,
}

impl Cdn {
    async fn with(bucket: &str) -> Self {
        let s3 = World::moto().s3().await;
        s3.create_bucket().bucket(bucket).send().await.unwrap();
        let edge = Edge::start(s3.clone(), bucket).await.unwrap();
        let cloudfront = CloudFront::start().await.unwrap();
        let releases = Distribution::new(RELEASES, bucket)
            .alias("releases.watchy.cloud")
            .tags("x-amz-meta-cache-tag")
            .edge(edge.cache());
        cloudfront.add(Distribution::new("E1PLAIN0000000", bucket));
        cloudfront.add(releases);
        cloudfront.add(Distribution::new("E3STAGING00000", bucket).staging());
        let bucket = bucket.to_owned();
        Self {
            bucket,
            s3,
            edge,
            cloudfront,
        }
    }

    async fn put(&self, key: &str, text: &str) {
        let put = self.s3.put_object().bucket(&self.bucket).key(key);
        put.body(text.to_owned().into_bytes().into())
            .send()
            .await
            .unwrap();
    }

    async fn get(&self, path: &str) -> String {
        read(&format!("{}{path}", self.edge.url())).await.0
    }

    /// Creates an invalidation, and returns the status of the answer.
    async fn invalidate(&self, reference: &str, path: &str) -> u16 {
        let client = local_aws::http_client().unwrap();
        let url = format!(
            "{}/2020-05-31/distribution/{RELEASES}/invalidation",
            self.cloudfront.url()
        );
        let body = format!(
            "<InvalidationBatch><Paths><Quantity>1</Quantity><Items><Path>{path}</Path></Items></Paths>\
             <CallerReference>{reference}</CallerReference></InvalidationBatch>"
        );
        let request = client.post(url).body(body).header(
            "authorization",
            "AWS4-HMAC-SHA256 Credential=local/20261121/us-east-1/cloudfront/aws4_request",
        );
        request.send().await.unwrap().status().as_u16()
    }

    async fn run(&self, script: &str, more: &[&str]) {
        let (endpoint, edge) = (self.cloudfront.url(), self.edge.url());
        let mut arguments = vec![endpoint.as_str(), &edge, World::s3_url(), &self.bucket];
        arguments.extend(more);
        assert_eq!(said(script, &arguments).await, "ok\n", "{script}");
    }
}

#[tokio::test]
async fn boto3_invalidates_and_understands_every_refusal() {
    let cdn = Cdn::with("cdn-boto3").await;
    cdn.cloudfront.set_delay(Duration::from_millis(500));
    cdn.run("cloudfront.py", &[]).await;
    let progress = Cdn::with("cdn-boto3-progress").await;
    progress.cloudfront.set_delay(Duration::from_hours(1));
    progress.run("cloudfront.py", &["progress"]).await;
    let observed = Cdn::with("cdn-boto3-observed").await;
    observed.cloudfront.set_duplicates(Duplicates::Observed);
    observed.run("cloudfront.py", &["observed"]).await;
    assert_eq!(observed.cloudfront.billed(), 2);
}

#[tokio::test]
async fn the_command_line_invalidates_what_is_meant() {
    let cdn = Cdn::with("cdn-cli").await;
    cdn.cloudfront.set_delay(Duration::ZERO);
    cdn.run("cloudfront_cli.py", &[]).await;
    let cleared = cdn.cloudfront.invalidations(RELEASES);
    let cleared: Vec<_> = cleared.iter().map(|one| one.cleared).collect();
    assert_eq!(cleared, [0, 2]);
}

#[tokio::test]
async fn an_object_stays_at_the_edge_until_its_invalidation_is_completed() {
    let cdn = Cdn::with("cdn-stays").await;
    cdn.cloudfront.set_delay(Duration::from_secs(3));
    cdn.put("metadata.json", "old").await;
    assert_eq!(cdn.get("/metadata.json").await, "old");
    cdn.put("metadata.json", "new").await;
    assert_eq!(cdn.invalidate("one", "/metadata.json").await, 201);
    assert_eq!(cdn.get("/metadata.json").await, "old");
    assert_eq!(cdn.edge.origin_fetches(), 1);
    let status = || cdn.cloudfront.invalidations(RELEASES)[0].status;
    assert_eq!(status(), Status::InProgress);
    wait_for("the invalidation", || status() == Status::Completed).await;
    assert_eq!(cdn.get("/metadata.json").await, "new");
    assert_eq!(cdn.edge.origin_fetches(), 2);
    assert_eq!(cdn.cloudfront.invalidations(RELEASES)[0].cleared, 1);
    // The same again is not done again.
    assert_eq!(cdn.invalidate("one", "/metadata.json").await, 201);
    assert_eq!(cdn.cloudfront.billed(), 1);
    let made: Vec<_> = cdn
        .cloudfront
        .requests()
        .iter()
        .map(|request| request.made)
        .collect();
    assert_eq!(made, [true, false]);
}

#[tokio::test]
async fn an_edge_serves_what_lies_below_its_origin_path() {
    let cdn = Cdn::with("cdn-below").await;
    cdn.put("production/a b", "text").await;
    let edge = Edge::start_at(cdn.s3.clone(), &cdn.bucket, "/production");
    let below = Cdn {
        edge: edge.await.unwrap(),
        ..cdn
    };
    assert_eq!(below.get("/a%20b").await, "text");
    assert_ne!(below.get("/production/a%20b").await, "text");
    assert_eq!(below.edge.invalidate(&["/a%20b", "/production*"]), 2);
}

/// What EventBridge is to hand on: uploads, and not the tags that moto tells of with each.
fn uploads(bucket: &str) -> Value {
    json!({
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": { "bucket": { "name": [bucket] } },
    })
}

/// The keys of the objects that the messages of an event tell of.
fn keys(event: &Value) -> Vec<String> {
    let records = event["Records"].as_array().unwrap().iter();
    let key = |record: &Value| {
        let body: Value = serde_json::from_str(record["body"].as_str().unwrap()).unwrap();
        body["detail"]["object"]["key"].as_str().unwrap().to_owned()
    };
    records.map(key).collect()
}

/// The answer of a function that did all but the object of this key.
fn but_for(key: &str, event: &Value) -> Value {
    let failed = keys(event).iter().position(|uploaded| uploaded == key);
    let failed = failed.map(|at| json!({ "itemIdentifier": event["Records"][at]["messageId"] }));
    json!({ "batchItemFailures": failed.into_iter().collect::<Vec<_>>() })
}

/// A queue of which somebody has this many messages, and which has no other.
fn in_flight(in_flight: usize) -> Counts {
    Counts {
        visible: 0,
        in_flight,
    }
}

#[tokio::test]
async fn uploads_come_as_one_batch_and_what_failed_comes_again() {
    let cdn = Cdn::with("cdn-uploads").await;
    let sqs = Sqs::at(World::s3_url()).unwrap();
    let visibility = Duration::from_secs(4);
    let (queue, dead) = sqs
        .create_with_dead_letters("cdn-uploads", visibility, 2)
        .await
        .unwrap();
    let pattern = uploads(&cdn.bucket);
    route(World::moto(), &cdn.bucket, "cdn-uploads", &pattern, &queue)
        .await
        .unwrap();
    for key in ["a", "b", "fails"] {
        cdn.put(key, "text").await;
    }
    let events = Arc::new(Mutex::new(Vec::<Value>::new()));
    let batching = Batching {
        size: 100,
        window: Duration::from_millis(500),
    };
    let source = EventSource::start(queue.clone(), batching, {
        let events = Arc::clone(&events);
        move |payload| {
            let event: Value = serde_json::from_slice(&payload).unwrap();
            let answer = but_for("fails", &event);
            events.lock().unwrap().push(event);
            async { Ok(answer) }
        }
    });
    wait_for("the first batch", || source.batches() == 1).await;
    let mut first = keys(&events.lock().unwrap()[0]);
    first.sort();
    assert_eq!(first, ["a", "b", "fails"]);
    assert_eq!(queue.counts().await.unwrap(), in_flight(1));
    wait_for("the second batch", || source.batches() == 2).await;
    assert_eq!((source.messages(), source.failed()), (4, 2));
    let again = events.lock().unwrap()[1].clone();
    assert_eq!(keys(&again), ["fails"]);
    let attributes = &again["Records"][0]["attributes"];
    assert_eq!(attributes["ApproximateReceiveCount"], "2");
    for name in [
        "SentTimestamp",
        "SenderId",
        "ApproximateFirstReceiveTimestamp",
    ] {
        assert!(attributes[name].is_string(), "{name}: {attributes}");
    }
    assert_eq!(again["Records"][0]["eventSourceARN"], queue.arn());
    // Twice is enough: the third time it goes to where the dead are.
    let arrived = async {
        while dead.counts().await.unwrap().visible == 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), arrived)
        .await
        .unwrap();
    assert_eq!(source.batches(), 2);
}

#[tokio::test]
async fn a_function_that_fails_leaves_its_whole_batch_in_the_queue() {
    let sqs = Sqs::at(World::s3_url()).unwrap();
    let queue = sqs
        .create("cdn-fails", Duration::from_mins(1))
        .await
        .unwrap();
    for n in 0..12 {
        queue.send(&n.to_string()).await.unwrap();
    }
    let batching = Batching {
        size: 12,
        window: Duration::from_secs(5),
    };
    let source = EventSource::start(queue.clone(), batching, |_| async {
        anyhow::bail!("as was wished")
    });
    wait_for("the batch", || source.batches() == 1).await;
    assert_eq!((source.messages(), source.failed()), (12, 12));
    drop(source);
    assert_eq!(queue.counts().await.unwrap(), in_flight(12));
}
