//! A token of an API: never served past its own expiry, in memory alone, and replaced once it is refused.
//!
//! `cargo run --example api_token`

use std::{
    io::{self, Write as _},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use larder::{Cache, Clock as _, Entry, Keyspace, Load, Policy, SystemClock};

const POLICY: Policy = Policy::fresh(Duration::from_hours(1));
static TOKENS: Keyspace<str, String> = Keyspace::new("tokens", 1, POLICY).memory_only();

/// Stands for the API that hands out tokens, each for ten minutes.
async fn ask_for_token(_: Load<String>) -> io::Result<larder::Loaded<String>> {
    static ISSUED: AtomicU32 = AtomicU32::new(0);
    let number = ISSUED.fetch_add(1, Ordering::Relaxed);
    // A minute early, so that it does not end on its way.
    let expiry = SystemClock.now().plus(Duration::from_mins(9));
    Ok(Entry::new(format!("token-{number}")).until(expiry).into())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let cache = Cache::builder("example").memory(1 << 20).build();
    let tokens = cache.space(&TOKENS);
    let get = async || {
        let token = tokens.get_or_load("installation-7", ask_for_token).await;
        token
            .map_err(io::Error::other)?
            .ok_or_else(|| io::Error::other("no token"))
    };
    let token = get().await?;
    writeln!(io::stdout(), "{} works", token.value)?;
    // The API says 401. Only this version is given up: another caller may have replaced it already.
    let refused = tokens
        .refresh_after_failure("installation-7", token.version)
        .await;
    let told = refused.map_err(io::Error::other)?.is_complete();
    writeln!(
        io::stdout(),
        "it was refused (told everywhere: {told}); {} is next",
        get().await?.value
    )
}
