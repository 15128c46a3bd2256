//! The cache in a bucket that is as far away as S3: slow, late now and then, hanging.

use std::{
    convert::Infallible,
    time::{Duration, Instant},
};

use larder::{Cache, Keyspace, Load, Loaded, Policy, Refresh, Source, tier::s3::S3};
use local_aws::moto::Moto;
use local_network::{Link, Profile, Proxy, Service};

/// What a model takes a minute for.
const DEAR: Policy = Policy::fresh(Duration::from_hours(1))
    .refresh(Refresh::Never)
    .load_cost(Duration::from_mins(1));
static REPORTS: Keyspace<str, String> = Keyspace::new("reports", 1, DEAR);
static CHARTS: Keyspace<str, String> =
    Keyspace::new("charts", 1, DEAR.load_cost(Duration::from_millis(300)));
static LEASED: Keyspace<str, String> = Keyspace::new(
    "leased",
    1,
    DEAR.lease(Duration::from_secs(30), Duration::from_secs(25)),
);

const BUCKET: &str = "distant";

/// moto behind a network.
struct Bucket {
    proxy: Proxy,
    moto: Moto,
}

impl Bucket {
    async fn behind(link: Link) -> Self {
        let moto = Moto::start().unwrap();
        let client = moto.s3().await;
        client.create_bucket().bucket(BUCKET).send().await.unwrap();
        let proxy = Proxy::start(Service::S3, moto.url(), link, 1)
            .await
            .unwrap();
        Self { proxy, moto }
    }

    /// A client without connections.
    async fn client(&self) -> aws_sdk_s3::Client {
        let config = self.moto.s3().await.config().to_builder();
        let config = config.endpoint_url(self.proxy.url());
        // The connections of one client are those of all clients that are made of its configuration.
        let http = aws_smithy_http_client::Builder::new().build_http();
        aws_sdk_s3::Client::from_conf(config.http_client(http).build())
    }

    /// A cold environment, as settings have it where nothing is set.
    async fn environment(&self) -> Cache {
        let tier = S3::new(self.client().await, BUCKET, "cache/");
        Cache::builder("app").tier(tier).build()
    }
}

fn region() -> Link {
    Profile::Region.link(Service::S3).unwrap()
}

async fn load(_: Load<String>) -> Result<Loaded<String>, Infallible> {
    Ok(Loaded::from("made".to_owned()))
}

#[tokio::test]
async fn of_conditional_writes_at_once_the_local_s3_accepts_one() {
    let bucket = Bucket::behind(Link::fixed(Duration::ZERO)).await;
    let client = bucket.client().await;
    for round in 0..20 {
        let writes = (0..24).map(|_| {
            let write = client.put_object().bucket(BUCKET).key(format!("{round}"));
            write.if_none_match("*").send()
        });
        let written = futures_util::future::join_all(writes).await;
        let accepted = written.iter().filter(|written| written.is_ok()).count();
        assert_eq!(accepted, 1, "round {round}");
    }
}

#[tokio::test]
async fn a_cold_environment_finds_what_another_stored_200_times_of_200() {
    let bucket = Bucket::behind(region()).await;
    let maker = bucket.environment().await.space(&REPORTS);
    let made = maker.get_or_load("key", load).await.unwrap().unwrap();
    assert_eq!(made.source, Source::Origin);
    let mut found = [Vec::new(), Vec::new()];
    for _ in 0..200 {
        let reports = bucket.environment().await.space(&REPORTS);
        let begun = Instant::now();
        let hit = reports.get_or_load("key", load).await.unwrap().unwrap();
        found[0].push(begun.elapsed());
        assert_eq!(hit.source, Source::Tier("s3"));
        let client = bucket.client().await;
        let begun = Instant::now();
        let object = client
            .get_object()
            .bucket(BUCKET)
            .key("cache/app/reports/1/key");
        let _ = object.send().await;
        found[1].push(begun.elapsed());
    }
    for times in &mut found {
        times.sort();
        println!(
            "p50 {:?} p95 {:?} max {:?}",
            times[100], times[190], times[199]
        );
    }
}

#[tokio::test]
async fn a_slow_answer_from_s3_is_still_a_hit() {
    let bucket = Bucket::behind(Link::fixed(Duration::ZERO)).await;
    let maker = bucket.environment().await.space(&REPORTS);
    maker.get_or_load("key", load).await.unwrap();
    bucket
        .proxy
        .set_link(Link::fixed(Duration::from_millis(600)));
    for _ in 0..5 {
        let reports = bucket.environment().await.space(&REPORTS);
        let hit = reports.get_or_load("key", load).await.unwrap().unwrap();
        assert_eq!(hit.source, Source::Tier("s3"));
    }
}

#[tokio::test]
async fn a_hanging_bucket_costs_an_invocation_its_bound_once() {
    let bucket = Bucket::behind(Link::hanging()).await;
    for (keyspace, bound) in [(&CHARTS, 300), (&REPORTS, 5_000)] {
        let cache = bucket.environment().await;
        let space = cache.space(keyspace);
        let begun = Instant::now();
        let handler = async {
            for key in ["a", "b", "c"] {
                let made = space.get_or_load(key, load).await.unwrap().unwrap();
                assert_eq!(made.source, Source::Origin);
            }
            begun.elapsed()
        };
        let (took, left) = cache.invocation(None).run(handler).await;
        drop(left);
        // Twice would be more than this, however busy the machine.
        let bound = Duration::from_millis(bound);
        assert!(took >= bound && took < 2 * bound, "{took:?}");
    }
}

#[tokio::test]
async fn eight_environments_at_one_key_load_it_once() {
    let bucket = Bucket::behind(Link::fixed(Duration::from_millis(60))).await;
    let mut asking = Vec::new();
    for _ in 0..8 {
        let space = bucket.environment().await.space(&LEASED);
        asking.push(tokio::spawn(async move {
            let slow = async |_: Load<String>| {
                tokio::time::sleep(Duration::from_secs(2)).await;
                Ok::<_, Infallible>(Loaded::from("made".to_owned()))
            };
            space
                .get_or_load("key", slow)
                .await
                .unwrap()
                .unwrap()
                .source
        }));
    }
    let mut made = 0;
    for asked in asking {
        made += usize::from(asked.await.unwrap() == Source::Origin);
    }
    assert_eq!(made, 1);
}
