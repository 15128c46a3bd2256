//! The proxy between a client and a server of this machine.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::Instant,
};

use super::{http, link::Link, pause, profile::Service, tcp};

/// A proxy that puts a [`Link`] in front of a server: by HTTP request, or, for Redis, by burst of bytes. Dropping it closes
/// its port and its connections.
///
/// Since a connection on loopback is accepted at once, the time that its set-up takes passes before its first request is
/// read: it counts towards a client's read timeout, and not towards its connect timeout.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

/// State of all connections.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) service: Service,
    pub(super) upstream: SocketAddr,
    pub(super) seed: u64,
    pub(super) link: watch::Sender<Link>,
    pub(super) requests: AtomicU64,
    pub(super) refused: AtomicU64,
    connections: AtomicU64,
}

impl Proxy {
    /// Starts a proxy on a free port, in front of the server of `service` at `upstream`: `http://127.0.0.1:4566`,
    /// `redis://127.0.0.1:6379`, or `127.0.0.1:4566`.
    pub async fn start(
        service: Service,
        upstream: &str,
        link: Link,
        seed: u64,
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            service,
            upstream: address_of(upstream)?,
            seed,
            link: watch::Sender::new(link),
            requests: AtomicU64::default(),
            refused: AtomicU64::default(),
            connections: AtomicU64::default(),
        });
        Ok(Self {
            address,
            accepting: tokio::spawn(accept(listener, Arc::clone(&shared))),
            shared,
        })
    }

    /// Returns its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns its URL: `redis://127.0.0.1:port` for Redis, `http://127.0.0.1:port` for the rest.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = match self.shared.service {
            Service::Redis => "redis",
            _ => "http",
        };
        format!("{scheme}://{}", self.address)
    }

    /// Returns the service that it leads to.
    #[must_use]
    pub fn service(&self) -> Service {
        self.shared.service
    }

    /// Replaces the link, for requests from now on.
    pub fn set_link(&self, link: Link) {
        self.shared.link.send_replace(link);
    }

    /// Returns the link.
    #[must_use]
    pub fn link(&self) -> Link {
        *self.shared.link.borrow()
    }

    /// Returns the number of requests so far, refused ones and those without an answer included; for Redis that of bursts.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// Returns the number of requests that were refused.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.shared.refused.load(Ordering::SeqCst)
    }

    /// Returns the number of connections so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Parses the address within `upstream`, which may have a scheme and a path.
fn address_of(upstream: &str) -> anyhow::Result<SocketAddr> {
    let rest = upstream
        .split_once("://")
        .map_or(upstream, |(_, rest)| rest);
    let host = rest.split_once('/').map_or(rest, |(host, _)| host);
    host.parse()
        .with_context(|| format!("`{upstream}` has no address such as 127.0.0.1:4566"))
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Dropped with this task, and its connections with it.
    let mut connections = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else {
            continue;
        };
        let shared = Arc::clone(&shared);
        connections.spawn(async move { connection(client, shared).await });
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(client: TcpStream, shared: Arc<Shared>) {
    let number = shared.connections.fetch_add(1, Ordering::SeqCst);
    let setup = shared.link.borrow().connection(shared.seed, number);
    let usable = Instant::now() + setup;
    let _ = client.set_nodelay(true);
    let activity = Activity::default();
    let work = async {
        match shared.service {
            Service::Redis => tcp::serve(client, &shared, &activity, usable).await,
            _ => {
                pause::until(usable).await;
                http::serve(client, &shared, &activity).await;
            }
        }
    };
    // Leaving drops the other branch, and the connection with it.
    tokio::select! {
        () = work => {}
        () = activity.idle(shared.link.subscribe()) => {}
    }
}

/// The use that a connection is put to. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Activity(watch::Sender<Use>);

#[derive(Clone, Copy, Debug)]
struct Use {
    in_flight: usize,
    since: Instant,
}

/// A request that is in flight for as long as this lives.
#[derive(Debug)]
pub(super) struct InFlight(Activity);

impl Default for Activity {
    fn default() -> Self {
        Self(watch::Sender::new(Use {
            in_flight: 0,
            since: Instant::now(),
        }))
    }
}

impl Activity {
    /// Notes that a request begins.
    pub(super) fn begin(&self) -> InFlight {
        self.0.send_modify(|it| it.in_flight += 1);
        InFlight(self.clone())
    }

    /// Waits until the connection was idle for as long as the link allows.
    async fn idle(&self, mut link: watch::Receiver<Link>) {
        let mut activity = self.0.subscribe();
        loop {
            let now = *activity.borrow_and_update();
            let allowed = link.borrow_and_update().idle;
            let cut = async {
                match allowed {
                    Some(idle) if now.in_flight == 0 => {
                        tokio::time::sleep_until(now.since + idle).await;
                    }
                    _ => std::future::pending().await,
                }
            };
            tokio::select! {
                () = cut => return,
                _ = link.changed() => {}
                _ = activity.changed() => {}
            }
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.0.send_modify(|it| {
            it.in_flight = it.in_flight.saturating_sub(1);
            it.since = Instant::now();
        });
    }
}

/// Bound on what is read of a client at once.
pub(super) const BUFFER: usize = 1 << 16;
/// Bound on bursts that wait for their time on one connection.
pub(super) const MAX_BURSTS: usize = 1_024;

/// Returns half of `delay`: the way there; the answer's way back is the rest.
pub(super) fn way(delay: Duration) -> Duration {
    delay / 2
}
