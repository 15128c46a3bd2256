//! One process of many that use the same cache: does what its arguments say, and tells what came of it.
//!
//! `cache-process get URL ORIGIN KEY…` gets each key from the server at URL or, failing that, from the
//! origin at ORIGIN: a TCP server that answers one connection with one line.
//! `cache-process fill FILE` writes to a file, on and on, until it is killed.
//! `cache-process each URL ORIGIN KEY SECONDS` gets one key four times a second.

use std::{io::Write as _, process::ExitCode, time::Duration};

use larder::{
    Cache, Keyspace, Load, Loaded, Policy, Refresh, Source, Space,
    tier::{
        redis::{Redis, RedisOptions},
        sqlite::Sqlite,
    },
};
use serde_json::json;
use tokio::{io::AsyncReadExt as _, net::TcpStream};

const POLICY: Policy = Policy::fresh(Duration::from_secs(2))
    .refresh(Refresh::Never)
    .stale_on_error(Duration::from_hours(1), Duration::from_secs(1))
    .lease(Duration::from_secs(10), Duration::from_secs(5));
static VALUES: Keyspace<str, String> = Keyspace::new("values", 1, POLICY);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["get", url, origin, keys @ ..] => {
            let cache = cache(url);
            for key in keys {
                get(&cache, origin, key).await;
            }
        }
        ["each", url, origin, key, seconds] => {
            let cache = cache(url);
            let seconds: u32 = seconds.parse().unwrap_or(1);
            for _ in 0..seconds * 4 {
                get(&cache, origin, key).await;
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
        }
        ["fill", file] => fill(file).await,
        _ => return ExitCode::from(2),
    }
    ExitCode::SUCCESS
}

fn cache(url: &str) -> Cache {
    // Fifty of them on two cores: waiting for one's turn is no fault of the server's.
    let timeout = Duration::from_secs(4);
    let options = RedisOptions {
        timeout,
        ..RedisOptions::default()
    };
    let builder = Cache::builder("processes").memory(1 << 20).timeout(timeout);
    match Redis::new(url, options) {
        Ok(redis) => builder.tier(redis).build(),
        Err(error) => {
            say(&json!({ "error": error.to_string() }));
            builder.build()
        }
    }
}

/// Gets one value within an invocation of its own, as a function would.
async fn get(cache: &Cache, origin: &str, key: &str) {
    let space: Space<str, String> = cache.space(&VALUES);
    let begun = std::time::Instant::now();
    let origin = origin.to_owned();
    let load = async move |_: Load<String>| {
        let mut value = String::new();
        let mut origin = TcpStream::connect(&origin).await?;
        origin.read_to_string(&mut value).await?;
        if value.is_empty() {
            return Err(std::io::Error::other("the origin said nothing"));
        }
        Ok(Loaded::from(value))
    };
    let invocation = cache.invocation(Some(Duration::from_secs(30)));
    let (got, left) = invocation.run(space.get_or_load(key, load)).await;
    let took = begun.elapsed();
    let drained = left.drain(Duration::from_secs(1)).await;
    let errors: u64 = cache
        .snapshot()
        .tiers
        .iter()
        .map(|row| row.counts.errors)
        .sum();
    say(&match got {
        Ok(Some(cached)) => json!({
            "value": *cached.value,
            "source": match cached.source {
                Source::Memory => "memory",
                Source::Tier(name) => name,
                Source::Origin => "origin",
            },
            "state": format!("{:?}", cached.state),
            "ms": took.as_secs_f64() * 1e3,
            "errors": errors,
            "dropped": drained.dropped,
        }),
        Ok(None) => json!({ "value": null }),
        Err(error) => json!({ "error": error.to_string() }),
    });
}

/// Writes entries of all sizes, and says so when the first is written.
async fn fill(file: &str) {
    let cache = Cache::builder("processes")
        .tier(Sqlite::new(file, 4 << 20))
        .build();
    let space = cache.space(&VALUES);
    for n in 0_usize.. {
        let value = n.to_string().repeat(1 + n % 5_000);
        let receipt = space.put(&n.to_string(), value.into()).await;
        if n == 0 {
            say(&json!({ "written": receipt.is_ok_and(|receipt| receipt.is_complete()) }));
        }
    }
}

fn say(what: &serde_json::Value) {
    let mut stdout = std::io::stdout().lock();
    // Whoever reads this may be gone.
    let _ = writeln!(stdout, "{what}").and_then(|()| stdout.flush());
}
