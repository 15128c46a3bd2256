//! What is kept: keys as a function may have in use, and values that cannot be compressed.

use std::time::Duration;

use larder::{Cache, Codec, Keyspace, Policy, Refresh, Space};

pub(crate) const HOUR: Duration = Duration::from_hours(1);
const POLICY: Policy = Policy::fresh(HOUR).refresh(Refresh::Never);

/// Values by text.
pub(crate) static TEXTS: Keyspace<str, Vec<u8>> =
    Keyspace::with_codec("texts", 1, POLICY, Codec::bytes());

/// The same, asked for many at a time.
pub(crate) static MANY: Keyspace<String, Vec<u8>> =
    Keyspace::with_codec("many", 1, POLICY, Codec::bytes());

/// A value that cannot be compressed.
pub(crate) fn value(size: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(1);
    std::iter::repeat_with(|| random.u8(..))
        .take(size)
        .collect()
}

/// A thousand keys.
pub(crate) fn keys() -> Vec<String> {
    (0..1_000).map(|n| format!("deployment-{n:06}")).collect()
}

/// The values of `keys` in `cache`.
pub(crate) async fn filled(
    cache: &Cache,
    keys: &[String],
    size: usize,
) -> anyhow::Result<Space<str, Vec<u8>>> {
    let space = cache.space(&TEXTS);
    for key in keys {
        let receipt = space.put(key, value(size).into()).await?;
        anyhow::ensure!(receipt.is_complete(), "{receipt:?}");
    }
    Ok(space)
}
