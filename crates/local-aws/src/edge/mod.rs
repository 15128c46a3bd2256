//! A content delivery network's edge in front of a bucket: what CloudFront would cache, for as
//! long, saying so.
//!
//! `Cache-Control` from the object decides, between CloudFront's default limits: nothing said is a
//! day, `no-cache` and `no-store` are not kept, an error is kept for ten seconds. What is no longer
//! fresh is asked about with its ETag. Sources: "Managing how long content stays in the cache
//! (expiration)", "Request and response behavior for Amazon S3 origins" in the CloudFront Developer
//! Guide.

mod cache;
mod covered;
mod fault;
mod freshness;
mod object;

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::Context as _;
use aws_sdk_s3::Client;
use axum::{Router, extract::State, response::Response};
use http::{HeaderMap, Method, StatusCode, Uri, header};
use tokio::net::TcpSocket;

use crate::server::Server;
pub use cache::EdgeCache;
pub use fault::{Fault, Kind};
use object::{Object, Origin};

/// A running edge.
#[derive(Debug)]
pub struct Edge {
    server: Mutex<Option<Server>>,
    /// The port, while no server has it.
    port: Mutex<Option<TcpSocket>>,
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    origin: Origin,
    /// How often that was asked.
    fetches: AtomicUsize,
    cache: EdgeCache,
    faults: Mutex<Vec<Fault>>,
    requests: Mutex<Vec<Seen>>,
}

/// A request that the edge answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its path.
    pub path: String,
    /// The status of the answer.
    pub status: u16,
    /// Whether it asked for what differs from an ETag only.
    pub conditional: bool,
    /// `Hit`, `Miss`, `RefreshHit` or `Error`, as in `X-Cache`.
    pub cache: &'static str,
    /// `Accept-Encoding` of the request.
    pub accept_encoding: Option<String>,
}

impl Edge {
    /// Starts an edge in front of `bucket`.
    pub async fn start(s3: Client, bucket: &str) -> anyhow::Result<Self> {
        Self::start_at(s3, bucket, "").await
    }

    /// Starts an edge in front of what is in `bucket` below `origin_path`: `/folder`, or nothing for all of it.
    pub async fn start_at(s3: Client, bucket: &str, origin_path: &str) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared {
            origin: Origin::new(s3, bucket, origin_path),
            fetches: AtomicUsize::default(),
            cache: EdgeCache::default(),
            faults: Mutex::default(),
            requests: Mutex::default(),
        });
        let server = Server::start(router(&shared)).await?;
        Ok(Self {
            address: server.address(),
            server: Mutex::new(Some(server)),
            port: Mutex::default(),
            shared,
        })
    }

    /// `http://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Takes it off the network: connections break, new ones are refused.
    pub async fn stop(&self) {
        let server = lock(&self.server).take();
        if let Some(server) = server {
            *lock(&self.port) = server.stop().await.ok();
        }
    }

    /// Puts it back where it was.
    pub fn resume(&self) -> anyhow::Result<()> {
        let port = lock(&self.port).take().context("the port was not kept")?;
        let server = Server::start_on(port, router(&self.shared))?;
        *lock(&self.server) = Some(server);
        Ok(())
    }

    /// Forgets everything that it holds, as an invalidation of `/*` would have it.
    pub fn clear(&self) {
        self.shared.cache.clear();
    }

    /// Its cache, for CloudFront to invalidate.
    #[must_use]
    pub fn cache(&self) -> EdgeCache {
        self.shared.cache.clone()
    }

    /// Takes out what the items of an invalidation cover, and returns how many objects that were.
    pub fn invalidate<S: AsRef<str>>(&self, items: &[S]) -> usize {
        self.shared.cache.invalidate(items)
    }

    /// How often it has asked the origin, be it only whether something changed.
    #[must_use]
    pub fn origin_fetches(&self) -> usize {
        self.shared.fetches.load(Ordering::Relaxed)
    }

    /// Has something go wrong from now on.
    pub fn fail(&self, fault: Fault) {
        lock(&self.shared.faults).push(fault);
    }

    /// Has nothing go wrong any more.
    pub fn heal(&self) {
        lock(&self.shared.faults).clear();
    }

    /// What it was asked since it started or since this was last called.
    #[must_use]
    pub fn take_requests(&self) -> Vec<Seen> {
        std::mem::take(&mut *lock(&self.shared.requests))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn router(shared: &Arc<Shared>) -> Router {
    Router::new()
        .fallback(answer)
        .with_state(Arc::clone(shared))
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let path = uri.path().to_owned();
    let fault = fault::take(&mut lock(&shared.faults), &path);
    if matches!(fault, Some(Kind::Silent)) {
        std::future::pending::<()>().await;
    }
    let (object, cache) = if method == Method::GET || method == Method::HEAD {
        shared.get(&path).await
    } else {
        (Arc::new(Object::error(StatusCode::FORBIDDEN)), "Error")
    };
    let mut response = object.respond(&headers, cache);
    if let Some(fault) = fault {
        response = fault.spoil(&object, response);
    }
    let text = |name| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok().map(str::to_owned))
    };
    lock(&shared.requests).push(Seen {
        path,
        status: response.status().as_u16(),
        conditional: headers.contains_key(header::IF_NONE_MATCH),
        cache,
        accept_encoding: text(header::ACCEPT_ENCODING),
    });
    response
}

impl Shared {
    /// The object, from the cache while it is fresh, and how it was had.
    async fn get(&self, path: &str) -> (Arc<Object>, &'static str) {
        let (fetch, held) = match self.cache.look_up(path) {
            Ok(held) if held.status.is_success() => return (held, "Hit"),
            Ok(error) => return (error, "Error"),
            Err(missing) => missing,
        };
        let held = held.filter(|held| held.status.is_success());
        self.fetches.fetch_add(1, Ordering::Relaxed);
        let (object, cache) = match self.origin.fetch(path, held.as_deref()).await {
            Ok(Some(object)) if object.status.is_success() => (Arc::new(object), "Miss"),
            Ok(Some(error)) => (Arc::new(error), "Error"),
            Ok(None) => match held {
                Some(held) => (Arc::new(held.refreshed()), "RefreshHit"),
                None => (Arc::new(Object::error(StatusCode::BAD_GATEWAY)), "Error"),
            },
            // An origin that is away: what is held is better than nothing.
            Err(error) => match held {
                Some(held) => (held, "Hit"),
                None => {
                    tracing::warn!(%error, path, "The origin cannot be reached");
                    (Arc::new(Object::error(StatusCode::BAD_GATEWAY)), "Error")
                }
            },
        };
        if object.may_be_kept() {
            fetch.keep(path, &object);
        }
        (object, cache)
    }
}
