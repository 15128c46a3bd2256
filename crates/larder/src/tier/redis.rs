//! A tier on a server that speaks Redis' protocol: Redis 6.2 and later, Valkey, `DragonflyDB`.
//!
//! - **One round trip** for any batch: values, the marks that cover them, all news of invalidations, and the
//!   lease, by one script. It declares every key that it touches, as `DragonflyDB` asks for, and uses commands
//!   that all three have. While all that is read is younger than the newest mark, [plain] commands do, which are sent
//!   at once; only the first read after that has changed takes a second trip.
//! - **Connected when first used**, and anew after half a minute without use: a connection that slept
//!   through a freeze may be dead without knowing. What fails on a connection that was used before is
//!   tried again on a fresh one, at once; then with growing pauses.
//! - **Marks survive eviction**: they are one sorted set, a member a scope. Where it is gone, its first reader
//!   puts a mark over everything in its place, since nobody can tell what it covered.
//!
//! Keys: entries under their own names, `{app}:~marks`, `{app}:~news`, and `{entry}:~lease`. A part of a key has no `~`. One server,
//! no cluster: a batch has keys of all slots.

mod answer;
mod connection;
mod plain;
mod script;
#[cfg(feature = "tls")]
mod tls;

use std::{
    fmt,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use redis::{ConnectionInfo, IntoConnectionInfo as _, RedisError, ServerErrorKind};

pub use self::{answer::parse_answer, plain::parse_plain_answer};
use self::{connection::Pool, plain::Plain, script::Scripts};
use crate::{
    clock::WallMillis,
    tier::{Answer, BoxFuture, Reach, ReadBatch, Tier, TierError, TierErrorKind, WriteBatch},
};

const NAME: &str = "redis";

/// After so many quiet reads in a row the next one most likely is, too.
const QUIET: u32 = 8;

/// Entries on a server.
pub struct Redis {
    pool: Pool,
    scripts: Scripts,
    /// How many reads in a row had only entries that are younger than the newest mark.
    quiet: AtomicU32,
    address: String,
}

/// How a server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisOptions {
    /// How long one operation may take on a connection. One that was used before is given half of it, so that the
    /// other half is left to try again. 100 ms.
    pub timeout: Duration,
    /// How long an operation may take that has to connect first: a name look-up, and TLS on a small share of a
    /// processor, may alone take more than 100 ms. 1 s.
    pub connect_timeout: Duration,
    /// How often an operation is tried again. 3.
    pub retries: u32,
    /// How many connections there are. 1; more where many requests are served at a time.
    pub connections: u32,
    /// Certificates of the authorities that are believed over TLS, as PEM, in place of those that browsers
    /// believe: for a server whose certificate is of one's own making. None.
    #[cfg(feature = "tls")]
    pub authorities: Option<Vec<u8>>,
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_millis(100),
            connect_timeout: Duration::from_secs(1),
            retries: 3,
            connections: 1,
            #[cfg(feature = "tls")]
            authorities: None,
        }
    }
}

/// A server that cannot be meant.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidServer {
    /// The address is none. It is not quoted: it may hold a password.
    #[error(
        "not the address of a Redis server: {reason}; give redis://user:password@host:port/database, rediss://… for TLS, or host:port"
    )]
    Address {
        /// What is wrong with it.
        reason: String,
    },
    /// The authorities are not certificates.
    #[error("not certificates in PEM: {reason}")]
    Authorities {
        /// What is wrong with them.
        reason: String,
    },
}

impl Redis {
    /// On the server at `address`: `redis://`, `rediss://` for TLS, or a bare `host:port`; with user, password and database,
    /// if it has any. Nothing is connected yet.
    ///
    /// TLS is there with the feature `tls`, and always checks the server's certificate. Where the program has
    /// set no `CryptoProvider` of rustls' yet, aws-lc is made it.
    pub fn new(address: &str, options: RedisOptions) -> Result<Self, InvalidServer> {
        let info = parse(address.trim())?;
        #[cfg(feature = "tls")]
        let info = tls::prepare(info, options.authorities.as_deref())?;
        let shown = info.addr().to_string();
        let pool = Pool::new(info, options)?;
        Ok(Self {
            pool,
            scripts: Scripts::new(),
            quiet: AtomicU32::new(0),
            address: shown,
        })
    }

    async fn read_batch(&self, batch: &ReadBatch<'_>) -> Result<Answer, TierError> {
        let is_quiet = self.quiet.load(Ordering::Relaxed) >= QUIET;
        if is_quiet && batch.lease.is_none() && batch.scopes.is_empty() {
            let plain = Plain::new(batch);
            let value = self.pool.run(&plain, batch.now).await;
            let value = value.map_err(|error| tier_error(&error))?;
            if let Some(answer) = plain.parse(value) {
                return Ok(answer);
            }
        }
        let call = self.scripts.read(batch);
        let value = self.pool.run(&call, batch.now).await;
        let value = value.map_err(|error| tier_error(&error))?;
        let (answer, quiet) = answer::parse(value, batch.entries.len()).ok_or_else(|| {
            TierError::new(NAME, TierErrorKind::Failed)
                .because("it answered something else than was asked")
        })?;
        let reads = self.quiet.load(Ordering::Relaxed).saturating_add(1);
        self.quiet
            .store(if quiet { reads } else { 0 }, Ordering::Relaxed);
        Ok(answer)
    }
}

fn parse(address: &str) -> Result<ConnectionInfo, InvalidServer> {
    let url = if address.contains("://") {
        address.to_owned()
    } else {
        format!("redis://{address}")
    };
    Ok(url.as_str().into_connection_info()?)
}

impl From<RedisError> for InvalidServer {
    fn from(error: RedisError) -> Self {
        Self::Address {
            reason: error.to_string(),
        }
    }
}

impl Tier for Redis {
    fn name(&self) -> &'static str {
        NAME
    }

    fn reach(&self) -> Reach {
        Reach::Shared
    }

    fn time_limit(&self, now: WallMillis) -> Duration {
        self.pool.time_limit(now)
    }

    fn read<'a>(&'a self, batch: ReadBatch<'a>) -> BoxFuture<'a, Result<Answer, TierError>> {
        Box::pin(async move { self.read_batch(&batch).await })
    }

    fn write<'a>(&'a self, batch: WriteBatch<'a>) -> BoxFuture<'a, Result<(), TierError>> {
        Box::pin(async move {
            let call = self.scripts.write(&batch);
            let written = self.pool.run(&call, batch.now).await;
            written.map(drop).map_err(|error| tier_error(&error))
        })
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without user and password.
        f.debug_struct("Redis")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

fn tier_error(error: &RedisError) -> TierError {
    let denied = ["NOAUTH", "WRONGPASS", "NOPERM"];
    let kind = match error.kind() {
        redis::ErrorKind::AuthenticationFailed
        | redis::ErrorKind::Server(ServerErrorKind::NoPerm) => TierErrorKind::Denied,
        _ if error.code().is_some_and(|code| denied.contains(&code)) => TierErrorKind::Denied,
        _ if error.code() == Some("OOM") => TierErrorKind::Full,
        _ if error.is_timeout() => TierErrorKind::Timeout,
        _ if error.is_io_error() => TierErrorKind::Unreachable,
        redis::ErrorKind::Server(
            ServerErrorKind::BusyLoading | ServerErrorKind::TryAgain | ServerErrorKind::MasterDown,
        ) => TierErrorKind::Unreachable,
        _ => TierErrorKind::Failed,
    };
    TierError::new(NAME, kind).because(error.to_string())
}
