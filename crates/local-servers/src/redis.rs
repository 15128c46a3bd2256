//! A Redis server, for the caches that functions share.

use anyhow::Context as _;

use crate::helper::Helper;

/// A server on loopback. It ends with this handle, or with this process.
#[derive(Debug)]
pub struct Redis {
    _helper: Helper,
    port: u16,
    pid: i32,
}

impl Redis {
    /// Starts a server on a free port, which keeps nothing on disk. Blocks until it listens.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_with(&[])
    }

    /// The same, with further arguments of `redis-server`'s: `--requirepass`, `--port`.
    pub fn start_with(arguments: &[&str]) -> anyhow::Result<Self> {
        let script = include_str!("serve_redis.py");
        let (helper, line) = Helper::start("redis-server", script, arguments)?;
        let said = line.trim().split_once(' ');
        let (port, pid) = said.with_context(|| format!("redis-server said {line:?}"))?;
        Ok(Self {
            _helper: helper,
            port: port.parse().context("its port")?,
            pid: pid.parse().context("its process id")?,
        })
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The id of its process.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Its address, for `CACHE_URL`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}
