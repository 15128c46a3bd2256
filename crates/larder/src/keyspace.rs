//! Keyspaces: what a kind of value is called, which edition its type is in, and how long it lives.

use std::{fmt, marker::PhantomData};

use serde::{Serialize, de::DeserializeOwned};
use twox_hash::XxHash3_64;

use crate::{codec::Codec, key::Key, policy::Policy, scope::Scope};

/// Values of type `V` under keys of type `K`, stated once, as a constant:
///
/// ```
/// use std::time::Duration;
/// use larder::{Keyspace, Policy};
///
/// const POLICY: Policy = Policy::fresh(Duration::from_hours(4));
/// static REPORTS: Keyspace<(String, String), String> = Keyspace::new("reports", 1, POLICY);
/// assert_eq!(REPORTS.name(), "reports");
/// ```
pub struct Keyspace<K: ?Sized, V> {
    name: &'static str,
    edition: u32,
    policy: Policy,
    codec: Codec<V>,
    secrecy: Secrecy,
    types: PhantomData<fn(&K) -> V>,
}

/// Who may read a keyspace's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Secrecy {
    /// Whoever may read the tier.
    Open,
    /// Whoever has the cache's key.
    #[cfg(feature = "seal")]
    Sealed,
    /// This process alone.
    MemoryOnly,
}

impl<K: ?Sized, V: Serialize + DeserializeOwned> Keyspace<K, V> {
    /// A keyspace called `name`. `edition` goes up whenever `V` changes what it is encoded as: two
    /// versions of a program that run side by side then keep their entries apart.
    #[must_use]
    pub const fn new(name: &'static str, edition: u32, policy: Policy) -> Self {
        Self::with_codec(name, edition, policy, Codec::postcard())
    }
}

impl<K: ?Sized, V> Keyspace<K, V> {
    /// The same, with values written by `codec`.
    #[must_use]
    pub const fn with_codec(
        name: &'static str,
        edition: u32,
        policy: Policy,
        codec: Codec<V>,
    ) -> Self {
        Self {
            name,
            edition,
            policy,
            codec,
            secrecy: Secrecy::Open,
            types: PhantomData,
        }
    }

    /// The same, kept nowhere but in memory: for secrets.
    #[must_use]
    pub const fn memory_only(self) -> Self {
        Self {
            secrecy: Secrecy::MemoryOnly,
            ..self
        }
    }

    /// The same, encrypted wherever it leaves this process: for secrets that are dear to get. In a cache without
    /// a [key](crate::CacheBuilder::sealing_key) it is as [`Keyspace::memory_only`].
    #[cfg(feature = "seal")]
    #[must_use]
    pub const fn sealed(self) -> Self {
        Self {
            secrecy: Secrecy::Sealed,
            ..self
        }
    }

    /// What it is called, in keys and in metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// How long its entries live.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    pub(crate) const fn codec(&self) -> &Codec<V> {
        &self.codec
    }

    pub(crate) const fn secrecy(&self) -> Secrecy {
        self.secrecy
    }

    /// What its entries' frames bear: the same for the same name, edition and codec on every machine.
    #[must_use]
    pub fn schema(&self) -> u64 {
        let edition = u64::from(self.edition);
        let text = format!("{}/{}", self.name, self.codec.name());
        XxHash3_64::oneshot_with_seed(edition, text.as_bytes())
    }

    /// All of its entries, of whatever edition.
    #[must_use]
    pub fn scope(&self) -> Scope {
        Scope::keyspace(self.name)
    }

    /// Those of its entries whose keys begin with the parts of `prefix`.
    #[must_use]
    pub fn under(&self, prefix: &(impl Key + ?Sized)) -> Scope {
        Scope::under(self.name, prefix)
    }
}

impl<K: ?Sized, V> fmt::Debug for Keyspace<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyspace")
            .field("name", &self.name)
            .field("edition", &self.edition)
            .field("codec", &self.codec)
            .field("secrecy", &self.secrecy)
            .field("policy", &self.policy)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const POLICY: Policy = Policy::fresh(Duration::from_mins(5));

    #[test]
    fn another_edition_name_or_codec_has_another_schema() {
        let schema = |name, edition| Keyspace::<str, String>::new(name, edition, POLICY).schema();
        assert_ne!(schema("reports", 1), schema("reports", 2));
        assert_ne!(schema("reports", 1), schema("tokens", 1));
        let bytes = Keyspace::<str, _>::with_codec("reports", 1, POLICY, Codec::bytes());
        assert_ne!(schema("reports", 1), bytes.schema());
    }

    #[test]
    fn the_schema_is_the_same_on_every_machine() {
        let keyspace = Keyspace::<str, ()>::new("reports", 1, POLICY);
        // As Python's xxhash says: xxh3_64_hexdigest(b"reports/postcard", seed=1).
        assert_eq!(format!("{:016x}", keyspace.schema()), "10970a9334f1d278");
    }
}
