//! Many values at once: each tier is asked in one trip, and what is missing is loaded in one call.
//!
//! `cargo run --example batch`

use std::{
    io::{self, Write as _},
    time::Duration,
};

use larder::{Cache, Keyspace, Loaded, Policy, tier::sqlite::Sqlite};

const POLICY: Policy = Policy::fresh(Duration::from_mins(5)).negative(Duration::from_secs(30));
static USERS: Keyspace<u64, String> = Keyspace::new("users", 1, POLICY);

/// Stands for a database: every third user is gone.
async fn select(ids: Vec<u64>) -> io::Result<Vec<(u64, Loaded<String>)>> {
    writeln!(io::stdout(), "SELECT … WHERE id IN {ids:?}")?;
    let there = ids.into_iter().filter(|id| id % 3 != 0);
    Ok(there.map(|id| (id, format!("user {id}").into())).collect())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let file = std::env::temp_dir().join("larder-example.db");
    let cache = Cache::builder("example")
        .memory(1 << 20)
        .tier(Sqlite::new(file, 1 << 20))
        .build();
    let users = cache.space(&USERS);
    for wanted in [vec![1, 2, 3], vec![2, 3, 4, 5]] {
        let got = users
            .get_many(&wanted, select)
            .await
            .map_err(io::Error::other)?;
        let names = got
            .iter()
            .map(|user| user.as_ref().map(|user| user.value.as_str()));
        writeln!(io::stdout(), "{wanted:?} → {:?}", names.collect::<Vec<_>>())?;
    }
    Ok(())
}
