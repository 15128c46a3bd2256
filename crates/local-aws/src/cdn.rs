//! What cdn-invalidator works on: a CloudFront in front of the releases and of customers' templates, buckets that tell a queue
//! what changes in them, and the table of the month's count.

use std::time::Duration;

use anyhow::Context as _;
use aws_sdk_dynamodb::Client;

use crate::{
    cloudfront::{CloudFront, Distribution, Invalidation, Status},
    dynamodb::create_table,
    edge::Edge,
    event_source::{Batching, EventSource, Queue, Sqs, changes_in, route},
    lambda_url,
    moto::Moto,
};

/// The distribution that the sample events are about, and an invalidation of it.
const RELEASES: &str = "E2BX1E7RR7IV8R";
const EARLIER: &str = "I2J0I21PCUYOIK";
const RELEASES_DOMAIN: &str = "releases.watchy.cloud";
const TEMPLATES: &str = "E3TZ9Q7C1XKBW2";
const TEMPLATES_DOMAIN: &str = "templates.watchy.cloud";
/// The bucket of the templates.
pub(crate) const TEMPLATES_BUCKET: &str = "templates";
const TABLE: &str = "invalidations";
const QUEUE: &str = "invalidations";
/// Until an invalidation is carried out: less than CloudFront's seconds, for those who wait in front of a terminal.
const DELAY: Duration = Duration::from_secs(1);
/// Until a message comes again: the template's three minutes are for those who do not wait either.
const VISIBILITY: Duration = Duration::from_secs(30);
const ATTEMPTS: u32 = 20;
/// As in the template, but for how long it is waited for more.
const BATCHING: Batching = Batching {
    size: 1_000,
    window: Duration::from_secs(2),
};

/// All that cdn-invalidator works on, running.
#[derive(Debug)]
pub struct Cdn {
    /// CloudFront.
    pub cloudfront: CloudFront,
    /// The edge in front of the templates.
    pub templates: Edge,
    /// The bucket of the releases.
    releases: String,
    queue: Queue,
}

impl Cdn {
    /// Starts it, with `releases` as the edge in front of the bucket of that name.
    pub async fn start(
        moto: &Moto,
        tables: &Client,
        (bucket, releases): (&str, &Edge),
    ) -> anyhow::Result<Self> {
        let s3 = moto.s3().await;
        let create = s3.create_bucket().bucket(TEMPLATES_BUCKET).send();
        create
            .await
            .context("could not make the bucket of templates")?;
        create_table(tables, TABLE, &["pk", "sk"]).await?;
        let templates = Edge::start(s3, TEMPLATES_BUCKET).await?;
        let cloudfront = CloudFront::start().await?;
        cloudfront.set_delay(DELAY);
        let distribution = Distribution::new(RELEASES, bucket).alias(RELEASES_DOMAIN);
        cloudfront.add(distribution.edge(releases.cache()));
        let distribution = Distribution::new(TEMPLATES, TEMPLATES_BUCKET).alias(TEMPLATES_DOMAIN);
        cloudfront.add(distribution.edge(templates.cache()));
        cloudfront.seed_completed(
            RELEASES,
            EARLIER,
            &["/binaries/slack-monitor/metadata.json"],
        )?;
        let sqs = Sqs::at(moto.url())?;
        let (queue, _) = sqs
            .create_with_dead_letters(QUEUE, VISIBILITY, ATTEMPTS)
            .await?;
        for bucket in [bucket, TEMPLATES_BUCKET] {
            let pattern = changes_in(bucket);
            route(moto, bucket, &format!("{bucket}-changed"), &pattern, &queue).await?;
        }
        Ok(Self {
            cloudfront,
            templates,
            releases: bucket.to_owned(),
            queue,
        })
    }

    /// Waits until every invalidation of the releases has been carried out.
    pub(crate) async fn settled(&self) {
        let is_under_way = |one: &Invalidation| one.status == Status::InProgress;
        while self
            .cloudfront
            .invalidations(RELEASES)
            .iter()
            .any(is_under_way)
        {
            tokio::time::sleep(DELAY / 10).await;
        }
    }

    /// Has what changes in the buckets reach the function, by the Invoke API of `endpoint`, for as long as the handle lives.
    pub fn deliver(&self, endpoint: &str) -> anyhow::Result<EventSource> {
        let client = crate::invoking_client()?;
        let url = lambda_url(endpoint, "cdn-invalidator");
        let invoke = move |event: Vec<u8>| {
            let request = client.post(&url).body(event);
            async move {
                let response = request.send().await?.error_for_status()?;
                Ok(serde_json::from_slice(&response.bytes().await?)?)
            }
        };
        Ok(EventSource::start(self.queue.clone(), BATCHING, invoke))
    }

    /// The variables that have functions use it.
    #[must_use]
    pub fn variables(&self) -> [(&'static str, String); 7] {
        [
            ("AWS_ENDPOINT_URL_CLOUDFRONT", self.cloudfront.url()),
            ("RELEASES_DOMAIN", RELEASES_DOMAIN.to_owned()),
            ("RELEASES_BUCKET", self.releases.clone()),
            ("TEMPLATES_DOMAIN", TEMPLATES_DOMAIN.to_owned()),
            ("TEMPLATES_BUCKET", TEMPLATES_BUCKET.to_owned()),
            ("INVALIDATIONS_TABLE", TABLE.to_owned()),
            ("RETRY_QUEUE_URL", self.queue.url().to_owned()),
        ]
    }
}
