//! The proxy in front of servers that show what reached them.

use std::{sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::State, routing::get};
use futures_util::{StreamExt as _, future::join_all};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::{Barrier, Notify, oneshot},
    time::Instant,
};

use super::{Latency, Link, Profile, Proxy, Service};
use local_aws::{Server, http_client};

/// Time limit of what must end, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(20);
const DELAY: Duration = Duration::from_millis(80);

async fn before(server: &Server, service: Service, link: Link) -> Proxy {
    Proxy::start(service, &server.url(), link, 1).await.unwrap()
}

async fn hello() -> Server {
    let app = Router::new().route("/", get(async || "hello"));
    Server::start(app).await.unwrap()
}

/// Starts a server that answers one request as an old server does, closing the connection; the request's bytes come out of the
/// receiver.
async fn recorder() -> (String, oneshot::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (recorded, receiver) = oneshot::channel();
    tokio::spawn(async move {
        let (client, _) = listener.accept().await.unwrap();
        let mut client = BufReader::new(client);
        let mut request = String::new();
        while !request.ends_with("\r\n\r\n") {
            client.read_line(&mut request).await.unwrap();
        }
        let mut body = [0; 5];
        client.read_exact(&mut body).await.unwrap();
        request.push_str(std::str::from_utf8(&body).unwrap());
        recorded.send(request).unwrap();
        let answer = b"HTTP/1.0 200 OK\r\nConnection: close\r\nETag: \"x\"\r\n\r\nstored";
        client.write_all(answer).await.unwrap();
    });
    (address, receiver)
}

#[tokio::test]
async fn signed_requests_pass_unchanged() {
    const REQUEST: &str = concat!(
        "PUT /bucket/a%2Bb%20c.yaml?x-id=PutObject&empty= HTTP/1.1\r\n",
        "Host: s3.local.test:4566\r\n",
        "User-Agent: Boto3/1.40.0 md/Botocore#1.40.0 ua/2.1\r\n",
        "X-Amz-Date: 20261121T100000Z\r\n",
        "X-Amz-Content-SHA256: UNSIGNED-PAYLOAD\r\n",
        "amz-sdk-invocation-id: 5d1c\r\n",
        "Authorization: AWS4-HMAC-SHA256 Credential=AKID/20261121/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=0123\r\n",
        "Content-Length: 5\r\n",
        "\r\nvalue"
    );
    let (upstream, recorded) = recorder().await;
    let proxy = Proxy::start(Service::S3, &upstream, Link::fixed(Duration::ZERO), 1);
    let proxy = proxy.await.unwrap();
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    client.write_all(REQUEST.as_bytes()).await.unwrap();
    assert_eq!(recorded.await.unwrap(), REQUEST);
    let mut answer = vec![0; 1_024];
    let mut text = String::new();
    while !text.ends_with("stored\r\n0\r\n\r\n") {
        let length = client.read(&mut answer).await.unwrap();
        assert_ne!(length, 0, "closed after {text}");
        text.push_str(std::str::from_utf8(&answer[..length]).unwrap());
    }
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    assert!(text.contains("\r\nETag: \"x\"\r\n"), "{text}");
    assert!(!text.to_ascii_lowercase().contains("close"), "{text}");
}

#[tokio::test]
async fn answer_begins_after_latency_and_connections_are_kept() {
    let server = hello().await;
    let proxy = before(&server, Service::Http, Link::fixed(DELAY)).await;
    let client = http_client().unwrap();
    for _ in 0..3 {
        let begun = Instant::now();
        let answer = client.get(proxy.url()).send().await.unwrap();
        assert!(begun.elapsed() >= DELAY);
        assert_eq!(answer.text().await.unwrap(), "hello");
    }
    assert_eq!((proxy.requests(), proxy.connections()), (3, 1));
}

#[tokio::test]
async fn connection_setup_costs_once() {
    let server = hello().await;
    let link = Link::fixed(Duration::ZERO).setup(Latency::fixed(DELAY));
    let proxy = before(&server, Service::Http, link).await;
    let client = http_client().unwrap();
    let begun = Instant::now();
    client
        .get(proxy.url())
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(begun.elapsed() >= DELAY);
    client
        .get(proxy.url())
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert_eq!(proxy.connections(), 1);
}

#[tokio::test]
async fn requests_are_in_flight_at_once() {
    let barrier = Arc::new(Barrier::new(20));
    let wait = async |State(barrier): State<Arc<Barrier>>| {
        barrier.wait().await;
        "all here"
    };
    let app = Router::new().route("/", get(wait)).with_state(barrier);
    let server = Server::start(app).await.unwrap();
    let proxy = before(&server, Service::S3, Link::fixed(DELAY)).await;
    let client = http_client().unwrap();
    let asks = (0..20).map(|_| client.get(proxy.url()).timeout(PATIENCE).send());
    for answer in join_all(asks).await {
        assert_eq!(answer.unwrap().text().await.unwrap(), "all here");
    }
}

#[tokio::test]
async fn bodies_are_streamed() {
    let received = Arc::new(Notify::new());
    let stream = async |State(received): State<Arc<Notify>>| {
        let first = futures_util::stream::once(async { Ok::<_, std::io::Error>("first") });
        let rest = futures_util::stream::once(async move {
            received.notified().await;
            Ok("rest")
        });
        Body::from_stream(first.chain(rest))
    };
    let app = Router::new()
        .route("/", get(stream))
        .with_state(Arc::clone(&received));
    let server = Server::start(app).await.unwrap();
    let proxy = before(&server, Service::S3, Link::fixed(DELAY)).await;
    let client = http_client().unwrap();
    let request = client.get(proxy.url()).timeout(PATIENCE);
    let mut answer = request.send().await.unwrap();
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "first");
    received.notify_one();
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "rest");
}

#[tokio::test]
async fn idle_connections_are_closed() {
    let server = hello().await;
    let link = Link::fixed(Duration::ZERO).idle(Duration::from_millis(50));
    let proxy = before(&server, Service::S3, link).await;
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    client.write_all(request).await.unwrap();
    let mut all = Vec::new();
    let read = client.read_to_end(&mut all);
    tokio::time::timeout(PATIENCE, read).await.unwrap().unwrap();
    assert!(all.ends_with(b"hello"), "closed after the answer");

    let redis = Proxy::start(Service::Redis, &server.url(), link, 1)
        .await
        .unwrap();
    let mut client = TcpStream::connect(redis.address()).await.unwrap();
    let read = client.read_to_end(&mut all);
    tokio::time::timeout(PATIENCE, read).await.unwrap().unwrap();
}

#[tokio::test]
async fn slow_answers_are_not_idle() {
    let app = Router::new().route(
        "/",
        get(async || {
            tokio::time::sleep(Duration::from_millis(300)).await;
            "late"
        }),
    );
    let server = Server::start(app).await.unwrap();
    let link = Link::fixed(Duration::ZERO).idle(Duration::from_millis(50));
    let proxy = before(&server, Service::S3, link).await;
    let client = http_client().unwrap();
    let answer = client.get(proxy.url()).send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "late");
}

#[tokio::test]
async fn link_changes_while_running() {
    let server = hello().await;
    let proxy = before(&server, Service::S3, Link::hanging()).await;
    let client = http_client().unwrap();
    let ask = async |limit| client.get(proxy.url()).timeout(limit).send().await;
    let error = ask(Duration::from_millis(200)).await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
    proxy.set_link(Link::fixed(Duration::ZERO));
    assert!(ask(PATIENCE).await.unwrap().status().is_success());
    proxy.set_link(Link::fixed(Duration::ZERO).refusals(1.0));
    assert_eq!(ask(PATIENCE).await.unwrap().status(), 503);
    assert_eq!((proxy.requests(), proxy.refused()), (3, 1));
}

#[tokio::test]
async fn pipelined_batch_costs_one_delay() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let (echo, _) = listener.accept().await.unwrap();
        let (mut from, mut to) = echo.into_split();
        tokio::io::copy(&mut from, &mut to).await
    });
    let proxy = Proxy::start(Service::Redis, &upstream, Link::fixed(DELAY), 1);
    let proxy = proxy.await.unwrap();
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    let batch = "PING\r\n".repeat(50);
    for trip in 1..=2 {
        let begun = Instant::now();
        client.write_all(batch.as_bytes()).await.unwrap();
        let mut answer = vec![0; batch.len()];
        client.read_exact(&mut answer).await.unwrap();
        assert!(begun.elapsed() >= DELAY);
        assert_eq!(answer, batch.as_bytes());
        assert_eq!(proxy.requests(), trip);
    }
}

#[test]
fn profiles_are_found_by_name() {
    for profile in Profile::ALL {
        assert_eq!(profile.name().parse(), Ok(profile));
    }
    let error = "moon".parse::<Profile>().unwrap_err();
    assert!(error.contains("loopback, region, vpc"), "{error}");
}
