//! A lock that processes share, on a server: one deploys, the others hear that somebody does.
//!
//! `CACHE_URL=redis://127.0.0.1 cargo run --example lock`

use std::{
    io::{self, Write as _},
    time::Duration,
};

use larder::{
    Cache,
    tier::redis::{Redis, RedisOptions},
};

#[tokio::main(flavor = "current_thread")]
#[expect(
    clippy::disallowed_methods,
    reason = "an example reads its own environment"
)]
async fn main() -> io::Result<()> {
    let url = std::env::var("CACHE_URL").unwrap_or_else(|_| "redis://127.0.0.1".to_owned());
    let redis = Redis::new(&url, RedisOptions::default()).map_err(io::Error::other)?;
    let cache = Cache::builder("example").tier(redis).build();
    let name = ("project-7", "production");
    let lock = cache
        .lock(&name, Duration::from_mins(15))
        .await
        .map_err(io::Error::other)?;
    let Some(lock) = lock else {
        return writeln!(io::stdout(), "somebody else is deploying");
    };
    writeln!(io::stdout(), "deploying, until {} at most", lock.until)?;
    cache
        .unlock(&name, &lock.token)
        .await
        .map_err(io::Error::other)
}
