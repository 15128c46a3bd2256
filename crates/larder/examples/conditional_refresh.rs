//! A document that rarely changes: asked for with its `ETag`, and kept where the answer is 304.
//!
//! `cargo run --example conditional_refresh`

use std::{
    io::{self, Write as _},
    time::Duration,
};

use larder::{Cache, Entry, Keyspace, Load, Loaded, Policy};

const POLICY: Policy = Policy::fresh(Duration::from_mins(1))
    .stale_on_error(Duration::from_hours(24), Duration::from_secs(30));
static DOCUMENTS: Keyspace<str, String> = Keyspace::new("documents", 1, POLICY);

/// Stands for a web server: the document, or 304.
async fn fetch(load: Load<String>) -> io::Result<Loaded<String>> {
    let current = "\"v1\"";
    if load.etag.as_deref() == Some(current) {
        return Ok(Loaded::NotModified);
    }
    Ok(Entry::new("a long document".to_owned())
        .etag(current)
        .into())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let cache = Cache::builder("example").memory(1 << 20).build();
    let documents = cache.space(&DOCUMENTS);
    for _ in 0..2 {
        let got = documents
            .get_or_load("prices", fetch)
            .await
            .map_err(io::Error::other)?;
        let text = got.map(|got| (*got.value).clone()).unwrap_or_default();
        writeln!(io::stdout(), "{text:?}, after {:?}", cache.snapshot().loads)?;
        // As if its minute were over: the next one asks with the `ETag`, and keeps what it has.
        let expired = documents.expire("prices").await.map_err(io::Error::other)?;
        writeln!(
            io::stdout(),
            "expired everywhere: {}",
            expired.is_complete()
        )?;
    }
    Ok(())
}
