//! A value that takes long to compute: once for all who ask, stale while it is computed anew.
//!
//! `cargo run --example computed_value`

use std::{
    io::{self, Write as _},
    time::{Duration, Instant},
};

use larder::{Cache, Keyspace, Load, Loaded, Policy};

const POLICY: Policy =
    Policy::fresh(Duration::from_mins(5)).stale_while_revalidate(Duration::from_mins(1));
static PRIMES: Keyspace<u64, u64> = Keyspace::new("primes", 1, POLICY);

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let cache = Cache::builder("example").memory(1 << 20).build();
    let primes = cache.space(&PRIMES);
    for _ in 0..2 {
        let begun = Instant::now();
        let count = async |_: Load<u64>| Ok::<_, io::Error>(Loaded::from(primes_below(20_000)));
        let counted = primes
            .get_or_load(&20_000, count)
            .await
            .map_err(io::Error::other)?;
        if let Some(counted) = counted {
            let (value, source) = (counted.value, counted.source);
            let took = begun.elapsed();
            writeln!(io::stdout(), "{value} primes, from {source:?}, in {took:?}")?;
        }
    }
    Ok(())
}

fn primes_below(limit: u64) -> u64 {
    let is_prime = |n: &u64| {
        (2..*n)
            .take_while(|d| d * d <= *n)
            .all(|d| !n.is_multiple_of(d))
    };
    (2..limit).filter(is_prime).fold(0, |count, _| count + 1)
}
