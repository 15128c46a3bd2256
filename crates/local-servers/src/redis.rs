//! A Redis server, for the caches that functions share.

use crate::helper::Program;

/// A server on loopback. It ends with this handle, or with this process.
#[derive(Debug)]
pub struct Redis(Program);

impl Redis {
    /// Starts a server on a free port, which keeps nothing on disk. Blocks until it listens.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_with(&[])
    }

    /// The same, with further arguments of `redis-server`'s: `--requirepass`, `--port`.
    pub fn start_with(arguments: &[&str]) -> anyhow::Result<Self> {
        let port = if arguments.contains(&"--port") {
            &[][..]
        } else {
            &["--port", "{port}"]
        };
        let own = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
        let quiet = ["--logfile", "/dev/null"];
        let all = [&own[..], &quiet, port, arguments].concat();
        Ok(Self(Program::start("redis-server", &all)?))
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.port()
    }

    /// The id of its process.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.0.pid()
    }

    /// Its address, for `CACHE_URL`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port())
    }
}
