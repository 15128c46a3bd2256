//! The cache in a bucket: the suite that every tier passes, and objects that others can read.

use std::{
    cell::Cell,
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_sdk_s3::primitives::ByteStream;
use futures_util::future::join_all;
use larder::{
    Cache, Codec, Entry, Keyspace, Load, Loaded, Lookup, Policy, Refresh, Source,
    testing::conformance, tier::s3::S3,
};
use local_aws::moto::Moto;
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

/// Worth every wait: a busy machine is no reason to give up.
const POLICY: Policy = Policy::fresh(Duration::from_mins(1))
    .refresh(Refresh::Never)
    .load_cost(PATIENCE);
static REPORTS: Keyspace<(String, String), serde_json::Value> =
    Keyspace::with_codec("reports", 1, POLICY, Codec::json());
static LEASED: Keyspace<str, String> = Keyspace::new(
    "leased",
    1,
    POLICY.lease(Duration::from_secs(10), Duration::from_secs(10)),
);

/// moto is unoptimised and takes its time.
const PATIENCE: Duration = Duration::from_secs(20);

async fn bucket(moto: &Moto) -> (aws_sdk_s3::Client, String) {
    let client = moto.s3().await;
    let name = format!("cache-{}", uuid());
    client.create_bucket().bucket(&name).send().await.unwrap();
    (client, name)
}

/// Bucket names are everybody's.
fn uuid() -> String {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap();
    format!("{:x}", now.as_nanos())
}

fn cache(tier: S3) -> Cache {
    Cache::builder("app").tier(tier).timeout(PATIENCE).build()
}

#[tokio::test]
async fn a_bucket_passes_the_suite_of_all_tiers() {
    let moto = Moto::start().unwrap();
    let (client, name) = bucket(&moto).await;
    let prefix = Cell::new(0);
    conformance(async || {
        prefix.set(prefix.get() + 1);
        S3::new(client.clone(), &name, format!("{}/", prefix.get()))
    })
    .await;
}

#[tokio::test]
async fn objects_are_the_values_themselves_under_names_of_ones_own() {
    let moto = Moto::start().unwrap();
    let (client, name) = bucket(&moto).await;
    // As the original has them: cache/reports/{ticker}/{date}/report.json.
    let names = |key: &str| {
        let parts: Vec<_> = key.split(':').skip(3).collect();
        format!("reports/{}/report.json", parts.join("/"))
    };
    let tier = || S3::new(client.clone(), &name, "cache/").object_names(names);
    let space = cache(tier()).space(&REPORTS);
    let key = ("D05.SI".to_owned(), "2026-11-21".to_owned());
    let report = json!({ "text": "รายงาน ".repeat(2_000), "percentile": 77.8 });
    let entry = Entry::new(report.clone()).tags(["daily"]).etag("\"é v1\"");
    assert!(space.put(&key, entry.into()).await.unwrap().is_complete());

    let object = client
        .get_object()
        .bucket(&name)
        .key("cache/reports/D05.SI/2026-11-21/report.json")
        .send()
        .await
        .unwrap();
    assert_eq!(object.content_type(), Some("application/json"));
    let expires = object.metadata().unwrap()["expires-at"].clone();
    let expires: jiff::Timestamp = expires.parse().unwrap();
    let left = expires.duration_since(jiff::Timestamp::now()).as_secs();
    assert!((50..=60).contains(&left), "{left} s, in UTC");
    let body = object.body.collect().await.unwrap().into_bytes();
    let read: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(read, report, "uncompressed");

    let found = cache(tier())
        .space(&REPORTS)
        .get(&key)
        .await
        .unwrap()
        .hit()
        .unwrap();
    assert_eq!((&*found.value, found.source), (&report, Source::Tier("s3")));
}

#[tokio::test]
async fn what_somebody_else_has_put_there_is_a_miss() {
    let moto = Moto::start().unwrap();
    let (client, name) = bucket(&moto).await;
    let cache = cache(S3::new(client.clone(), &name, ""));
    let space = cache.space(&LEASED);
    assert!(
        space
            .put("key", "value".to_owned().into())
            .await
            .unwrap()
            .is_complete()
    );
    let objects = client.list_objects_v2().bucket(&name).send().await.unwrap();
    let mut keys = objects
        .contents()
        .iter()
        .map(|object| object.key().unwrap());
    let key = keys.find(|key| key.contains("leased")).unwrap();
    let body = ByteStream::from_static(b"not an entry");
    client
        .put_object()
        .bucket(&name)
        .key(key)
        .body(body)
        .send()
        .await
        .unwrap();
    assert!(matches!(space.get("key").await, Ok(Lookup::Miss)));
    let rows = cache.snapshot().tiers;
    assert_eq!((rows[0].counts.undecodable, rows[0].counts.errors), (1, 0));
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_an_error_and_no_miss() {
    let moto = Moto::start().unwrap();
    let client = moto.s3().await;
    let cache = cache(S3::new(client, "no-such-bucket", ""));
    let space = cache.space(&LEASED);
    assert!(space.get("key").await.is_err());
    let load = async |_: Load<String>| Ok::<_, Infallible>(Loaded::from("value".to_owned()));
    let got = space.get_or_load("key", load).await.unwrap().unwrap();
    assert_eq!(*got.value, "value");
}

#[tokio::test]
async fn of_two_processes_one_loads_and_the_other_waits_for_the_object() {
    let moto = Moto::start().unwrap();
    let (client, name) = bucket(&moto).await;
    let process = || cache(S3::new(client.clone(), &name, "")).space(&LEASED);
    let (first, second) = (process(), process());
    let slow = async |_: Load<String>| {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        Ok::<_, Infallible>(Loaded::from("first".to_owned()))
    };
    let late = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        let own = async |_: Load<String>| Ok::<_, Infallible>(Loaded::from("second".to_owned()));
        second.get_or_load("key", own).await
    };
    let (first, second) = tokio::join!(first.get_or_load("key", slow), late);
    assert_eq!(*first.unwrap().unwrap().value, "first");
    let second = second.unwrap().unwrap();
    assert_eq!(
        (second.value.as_str(), second.source),
        ("first", Source::Tier("s3"))
    );
}

#[tokio::test]
async fn marks_of_many_changes_at_once_all_reach_the_bucket() {
    let moto = Moto::start().unwrap();
    let (client, name) = bucket(&moto).await;
    let process = || cache(S3::new(client.clone(), &name, "")).space(&REPORTS);
    let space = process();
    let keys: Vec<_> = (0..24)
        .map(|n| (format!("T{n}"), "2026-11-21".to_owned()))
        .collect();
    let puts = keys.iter().map(|key| space.put(key, json!({}).into()));
    for put in join_all(puts).await {
        assert!(put.unwrap().is_complete());
    }
    let other = process();
    for key in &keys {
        assert!(other.get(key).await.unwrap().hit().is_some(), "{key:?}");
    }
    for expired in join_all(keys.iter().map(|key| space.expire(key))).await {
        assert!(expired.unwrap().is_complete());
    }
    let third = process();
    for key in &keys {
        assert!(matches!(third.get(key).await, Ok(Lookup::Miss)), "{key:?}");
    }
}

/// What was put, by its path: its metadata as headers, and its body.
type Objects = Arc<Mutex<HashMap<String, (String, Vec<u8>)>>>;

/// Answers one request as S3 does: what is not there is refused with `code`.
async fn answer(client: TcpStream, objects: Objects, code: &str) {
    let mut client = BufReader::new(client);
    let (mut request, mut metadata, mut length) = (String::new(), String::new(), 0);
    client.read_line(&mut request).await.unwrap();
    loop {
        let mut line = String::new();
        client.read_line(&mut line).await.unwrap();
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap(),
            name if name.starts_with("x-amz-meta-") => metadata.push_str(&line),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    client.read_exact(&mut body).await.unwrap();
    let mut words = request.split(' ');
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let path = path.split('?').next().unwrap().to_owned();
    let found = objects.lock().unwrap().get(&path).cloned();
    let (status, headers, body) = match (method, found) {
        ("PUT", _) => {
            objects.lock().unwrap().insert(path, (metadata, body));
            ("200 OK", String::new(), Vec::new())
        }
        (_, Some((metadata, body))) => ("200 OK", metadata, body),
        ("HEAD", None) => ("403 Forbidden", String::new(), Vec::new()),
        (_, None) => {
            let said = format!("<Error><Code>{code}</Code><Message>No</Message></Error>");
            ("403 Forbidden", String::new(), said.into_bytes())
        }
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\n{headers}etag: \"1\"\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    client.write_all(head.as_bytes()).await.unwrap();
    client.write_all(&body).await.unwrap();
    client.shutdown().await.unwrap();
}

/// A client of a bucket that may be read and written, but not listed: moto has no such thing.
async fn unlistable(moto: &Moto, code: &'static str) -> aws_sdk_s3::Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let objects = Objects::default();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            client.set_nodelay(true).unwrap();
            tokio::spawn(answer(client, Arc::clone(&objects), code));
        }
    });
    let config = moto.s3().await.config().to_builder().endpoint_url(url);
    aws_sdk_s3::Client::from_conf(config.build())
}

#[tokio::test]
async fn without_the_right_to_list_what_is_not_there_is_a_miss_and_a_wrong_key_is_none() {
    let moto = Moto::start().unwrap();
    let key = ("D05.SI".to_owned(), "2026-11-21".to_owned());
    let load = |_: Load<_>| async { Ok::<_, Infallible>(Loaded::from(json!({"price": 7}))) };
    let errors = |cache: &Cache| cache.snapshot().tiers[0].counts.errors;

    let client = unlistable(&moto, "AccessDenied").await;
    let cache = cache(S3::new(client, "bucket", ""));
    let reports = cache.space(&REPORTS);
    let missed = reports.get(&key).await;
    assert!(matches!(missed, Ok(Lookup::Miss)), "{missed:?}");
    let loaded = reports.get_or_load(&key, load).await.unwrap().unwrap();
    assert_eq!(loaded.source, Source::Origin);
    let kept = reports.get(&key).await.unwrap().hit().unwrap();
    assert_eq!(kept.source, Source::Tier("s3"));
    assert_eq!(errors(&cache), 0);

    let client = unlistable(&moto, "InvalidAccessKeyId").await;
    let cache = self::cache(S3::new(client, "bucket", ""));
    let reports = cache.space(&REPORTS);
    let Err(larder::Error::Tier(error)) = reports.get(&key).await else {
        panic!("a wrong key was taken for a miss");
    };
    assert!(!error.is_retryable(), "{error}");
    assert!(errors(&cache) > 0);
}
