//! Connections: made when they are needed, replaced when they may be dead.

use std::{
    future::Future,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, RedisError, RedisResult, Value,
    aio::MultiplexedConnection, io::tcp::TcpSettings,
};
use tokio::sync::Mutex;

use super::RedisOptions;
use crate::{clock::WallMillis, invocation::completed};

/// A connection that was not used for so long is not trusted: servers, load balancers and NAT gateways drop
/// idle ones, and a frozen process does not hear of it.
const IDLE: Duration = Duration::from_secs(30);

/// What can be asked of a server, again if need be.
pub(super) trait Request {
    /// Asks it on `connection`; `first` if this process has asked the server nothing before.
    async fn on(&self, connection: &mut MultiplexedConnection, first: bool) -> RedisResult<Value>;
}

/// Connections to one server, taken in turn.
pub(super) struct Pool {
    options: RedisOptions,
    slots: Vec<Arc<Slot>>,
    next: AtomicUsize,
}

/// Place of one connection.
struct Slot {
    client: Client,
    connect_timeout: Duration,
    present: Mutex<Option<Connection>>,
    /// How many connections were made, in all slots.
    made: Arc<AtomicUsize>,
}

#[derive(Clone)]
struct Connection {
    inner: MultiplexedConnection,
    /// Tells it from the one that takes its place.
    number: usize,
    /// When it was used last, by the wall clock, which goes on during a freeze.
    used: WallMillis,
}

/// A connection for one try.
struct Lent {
    connection: MultiplexedConnection,
    number: usize,
    /// Whether it is older than this try, and may be dead.
    reused: bool,
}

impl Pool {
    pub(super) fn new(info: ConnectionInfo, options: RedisOptions) -> RedisResult<Self> {
        let tcp = TcpSettings::default().set_nodelay(true);
        // The server need not be told what library this is: that costs two commands a connection.
        let settings = info.redis_settings().clone().set_skip_set_lib_name();
        let info = info.set_tcp_settings(tcp).set_redis_settings(settings);
        let (client, made) = (Client::open(info)?, Arc::<AtomicUsize>::default());
        let slots = (0..options.connections.max(1)).map(|_| {
            Arc::new(Slot {
                client: client.clone(),
                connect_timeout: options.connect_timeout,
                present: Mutex::default(),
                made: Arc::clone(&made),
            })
        });
        Ok(Self {
            slots: slots.collect(),
            options,
            next: AtomicUsize::new(0),
        })
    }

    /// How long one request may take: longer where it may have to connect.
    pub(super) fn time_limit(&self, now: WallMillis) -> Duration {
        if self.slots.iter().all(|slot| slot.is_connected(now)) {
            self.options.timeout
        } else {
            self.options.timeout.max(self.options.connect_timeout)
        }
    }

    /// Makes one request, trying again where the connection was the matter.
    pub(super) async fn run(&self, request: &impl Request, now: WallMillis) -> RedisResult<Value> {
        let mut pauses = None;
        loop {
            let slot = self.next.fetch_add(1, Ordering::Relaxed) % self.slots.len();
            let (result, was_reused) = self.attempt(slot, request, now).await;
            let error = match result {
                Ok(value) => return Ok(value),
                Err(error) if !error.is_io_error() => return Err(error),
                Err(error) => error,
            };
            // Not before something fails, which is seldom.
            match pauses.get_or_insert_with(|| self.pauses()).next() {
                None => return Err(error),
                // On a fresh one at once: most likely the old one was just dead.
                Some(_) if was_reused => {}
                Some(pause) => tokio::time::sleep(pause).await,
            }
        }
    }

    /// How long to wait before each further try.
    fn pauses(&self) -> ExponentialBackoff {
        ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(5))
            .with_max_delay(Duration::from_millis(200))
            .with_max_times(usize::try_from(self.options.retries).unwrap_or(usize::MAX))
            .with_jitter()
            .build()
    }

    /// One try, and whether it was on a connection that had been used before.
    async fn attempt(
        &self,
        slot: usize,
        request: &impl Request,
        now: WallMillis,
    ) -> (RedisResult<Value>, bool) {
        let Some(slot) = self.slots.get(slot) else {
            let error = io::Error::other("there is no such connection");
            return (Err(error.into()), false);
        };
        let lent = match slot.lend(now).await {
            Ok(lent) => lent,
            Err(error) => return (Err(error), false),
        };
        let time = if lent.reused {
            self.options.timeout / 2
        } else {
            self.options.timeout
        };
        let mut connection = lent.connection;
        let first = !lent.reused && lent.number == 0;
        let result = in_time(time, request.on(&mut connection, first)).await;
        if result.as_ref().is_err_and(RedisError::is_io_error) {
            slot.discard(lent.number).await;
        }
        (result, lent.reused)
    }
}

impl Slot {
    /// Returns the connection, or makes one, which goes on beside the invocation where a look-up gives up before it
    /// is made: else one that is never waited for long enough would never be made.
    async fn lend(self: &Arc<Self>, now: WallMillis) -> RedisResult<Lent> {
        if let Some(lent) = reuse(&mut *self.present.lock().await, now) {
            return Ok(lent);
        }
        let slot = Arc::clone(self);
        let connected = completed(async move { slot.connect(now).await }).await;
        connected.unwrap_or_else(|| {
            let ended = io::Error::new(io::ErrorKind::TimedOut, "the invocation ended");
            Err(ended.into())
        })
    }

    /// Makes a connection, unless another request has made one by now.
    async fn connect(&self, now: WallMillis) -> RedisResult<Lent> {
        let mut present = self.present.lock().await;
        if let Some(lent) = reuse(&mut present, now) {
            return Ok(lent);
        }
        *present = None;
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect_timeout))
            .set_response_timeout(None);
        let inner = self
            .client
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        *present = Some(Connection {
            inner: inner.clone(),
            number,
            used: now,
        });
        Ok(Lent {
            connection: inner,
            number,
            reused: false,
        })
    }

    /// Returns true if there is a connection that may be trusted, and none is being made.
    fn is_connected(&self, now: WallMillis) -> bool {
        let present = self.present.try_lock();
        present.is_ok_and(|present| present.as_ref().is_some_and(|there| there.is_trusted(now)))
    }

    /// Forgets a connection that failed, unless another one has taken its place.
    async fn discard(&self, number: usize) {
        let mut present = self.present.lock().await;
        if present.as_ref().is_some_and(|there| there.number == number) {
            *present = None;
        }
    }
}

impl Connection {
    fn is_trusted(&self, now: WallMillis) -> bool {
        now.since(self.used) < IDLE
    }
}

/// Lends the connection that is there, unless it may be dead.
fn reuse(present: &mut Option<Connection>, now: WallMillis) -> Option<Lent> {
    let connection = present.as_mut().filter(|there| there.is_trusted(now))?;
    connection.used = now;
    Some(Lent {
        connection: connection.inner.clone(),
        number: connection.number,
        reused: true,
    })
}

async fn in_time<T>(
    time: Duration,
    operation: impl Future<Output = RedisResult<T>>,
) -> RedisResult<T> {
    tokio::time::timeout(time, operation)
        .await
        .unwrap_or_else(
            |_| Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time").into()),
        )
}
