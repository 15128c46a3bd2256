//! What cdn-invalidator is tested on: a bucket behind an edge, the CloudFront that clears it, a table, and a queue.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use local_aws::{
    cloudfront::{CloudFront, Distribution},
    dynamodb,
    edge::Edge,
    event_source::{Batching, EventSource, Queue, Sqs, changes_in, route},
    lambda::{Config, Function},
};
use local_servers::dynamodb::DynamoDb;
use serde_json::{Value, json};

use crate::world::{World, create, program};

pub(crate) const DISTRIBUTION: &str = "E2BX1E7RR7IV8R";
pub(crate) const DOMAIN: &str = "releases.watchy.cloud";
const TABLE: &str = "invalidations";

pub(crate) struct Cdn {
    pub(crate) cloudfront: CloudFront,
    pub(crate) edge: Edge,
    pub(crate) bucket: String,
    pub(crate) s3: aws_sdk_s3::Client,
    tables: DynamoDb,
    pub(crate) queue: Queue,
    pub(crate) dead: Queue,
}

impl Cdn {
    pub(crate) async fn new() -> Self {
        let (bucket, edge) = Self::bucket().await;
        Self::of(&bucket, edge).await
    }

    /// For batches that take long to gather.
    pub(crate) async fn patient() -> Self {
        let (bucket, edge) = Self::bucket().await;
        Self::with_visibility(&bucket, edge, Duration::from_mins(5)).await
    }

    async fn bucket() -> (String, Edge) {
        static BUCKETS: AtomicU32 = AtomicU32::new(0);
        let bucket = format!("cdn-{}", BUCKETS.fetch_add(1, Ordering::Relaxed));
        let s3 = World::moto().s3().await;
        s3.create_bucket().bucket(&bucket).send().await.unwrap();
        let edge = Edge::start(s3, &bucket).await.unwrap();
        (bucket, edge)
    }

    /// In front of a bucket that there is.
    pub(crate) async fn of(bucket: &str, edge: Edge) -> Self {
        Self::with_visibility(bucket, edge, Duration::from_secs(4)).await
    }

    /// With a queue that gives out again after so long what was not deleted: longer than a batch takes to gather.
    async fn with_visibility(bucket: &str, edge: Edge, visibility: Duration) -> Self {
        let cloudfront = CloudFront::start().await.unwrap();
        cloudfront.set_delay(Duration::ZERO);
        cloudfront.add(distribution(bucket, &edge));
        let tables = DynamoDb::start().unwrap();
        let client = dynamodb::client(&tables).await;
        dynamodb::create_table(&client, TABLE, &["pk", "sk"])
            .await
            .unwrap();
        let sqs = Sqs::at(World::moto().url()).unwrap();
        let name = format!("queue-of-{bucket}");
        let queues = sqs.create_with_dead_letters(&name, visibility, 3);
        let (queue, dead) = queues.await.unwrap();
        Self {
            cloudfront,
            edge,
            bucket: bucket.to_owned(),
            s3: World::moto().s3().await,
            tables,
            queue,
            dead,
        }
    }

    /// Has CloudFront know of no invalidation that was made by now.
    pub(crate) fn start_over(&self) {
        self.cloudfront.add(distribution(&self.bucket, &self.edge));
    }

    /// cdn-invalidator as it is deployed, but for its queue.
    pub(crate) fn config(&self) -> Config {
        Config::new("cdn-invalidator", program("cdn-invalidator"))
            .env("AWS_ENDPOINT_URL", World::s3_url())
            .env("AWS_ENDPOINT_URL_CLOUDFRONT", self.cloudfront.url())
            .env("AWS_ENDPOINT_URL_DYNAMODB", self.tables.url())
            .env("INVALIDATIONS_TABLE", TABLE)
            .env("CACHE_BACKEND", "memory")
    }

    /// The same with its queue.
    pub(crate) fn with_queue(&self) -> Config {
        self.config().env("RETRY_QUEUE_URL", self.queue.url())
    }

    pub(crate) async fn function(&self) -> Arc<Function> {
        create(self.config()).await
    }

    /// Has the bucket tell the queue of what changes.
    pub(crate) async fn route(&self) {
        let pattern = changes_in(&self.bucket);
        let rule = format!("{}-changed", self.bucket);
        route(World::moto(), &self.bucket, &rule, &pattern, &self.queue)
            .await
            .unwrap();
    }

    /// Has the queue's messages reach the function.
    pub(crate) fn deliver(&self, function: &Arc<Function>, batching: Batching) -> EventSource {
        let function = Arc::clone(function);
        EventSource::start(self.queue.clone(), batching, move |event| {
            let function = Arc::clone(&function);
            async move { function.invoke(event).await?.json() }
        })
    }

    pub(crate) async fn put(&self, key: &str, body: &str) {
        let put = self.s3.put_object().bucket(&self.bucket).key(key);
        let put = put
            .cache_control("max-age=3600")
            .body(body.as_bytes().to_vec().into());
        put.send().await.unwrap();
    }

    /// What the edge serves, and its `X-Cache`.
    pub(crate) async fn read(&self, path: &str) -> (String, String) {
        read(&format!("{}{path}", self.edge.url())).await
    }

    /// Items of all invalidations that were made, in their order.
    pub(crate) fn made(&self) -> Vec<Vec<String>> {
        let requests = self.cloudfront.requests();
        let made = requests.into_iter().filter(|request| request.made);
        made.map(|request| request.items).collect()
    }
}

/// The distribution that serves the bucket, by that edge.
fn distribution(bucket: &str, edge: &Edge) -> Distribution {
    let distribution = Distribution::new(DISTRIBUTION, bucket).alias(DOMAIN);
    distribution.edge(edge.cache())
}

/// What is served there, and its `X-Cache`.
pub(crate) async fn read(url: &str) -> (String, String) {
    let client = local_aws::http_client().unwrap();
    let response = client.get(url).send().await.unwrap();
    let cache = response.headers()["x-cache"].to_str().unwrap().to_owned();
    (response.text().await.unwrap(), cache)
}

/// What S3 tells of an object, by EventBridge.
pub(crate) fn object_event(bucket: &str, key: &str, time: &str) -> Value {
    json!({ "version": "0", "id": "17793124-05d4-b198-2fde-7ededc63b103", "detail-type": "Object Created", "source": "aws.s3",
        "account": "123456789012", "time": time, "region": "us-east-1", "resources": [format!("arn:aws:s3:::{bucket}")],
        "detail": { "version": "0", "bucket": { "name": bucket }, "reason": "PutObject",
            "object": { "key": key, "size": 1, "etag": "b57f9512698f4b09e608f4f2a65852e5", "sequencer": "0062E99A88DC407460" } } })
}

/// Messages of a queue, each with its id, sent just now.
pub(crate) fn batch(bodies: &[(&str, String)]) -> Value {
    batch_of(jiff::Timestamp::now(), bodies)
}

/// The same, sent then.
pub(crate) fn batch_of(sent: jiff::Timestamp, bodies: &[(&str, String)]) -> Value {
    let sent = sent.as_millisecond().to_string();
    let record = |(id, body): &(&str, String)| {
        json!({ "messageId": id, "receiptHandle": "x", "body": body, "attributes": { "ApproximateReceiveCount": "1", "SentTimestamp": sent },
            "messageAttributes": {}, "md5OfBody": "x", "eventSource": "aws:sqs", "awsRegion": "us-east-1",
            "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:invalidations" })
    };
    json!({ "Records": bodies.iter().map(record).collect::<Vec<_>>() })
}

/// A direct call for these paths, each call another.
pub(crate) fn paths(paths: &[&str]) -> Value {
    json!({ "domain": DOMAIN, "paths": paths })
}

/// A direct call for a monitor's release.
pub(crate) fn slack() -> Value {
    version("2025.08.31.200811-da23b42")
}

/// The same of another version.
pub(crate) fn version(version: &str) -> Value {
    json!({ "monitor": "slack", "version": version })
}
