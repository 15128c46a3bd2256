//! Keyspaces: what a kind of value is called, which edition its type is in, and how long it lives.

use std::{fmt, marker::PhantomData};

use twox_hash::XxHash3_64;

use crate::{
    key::{Key, KeyTooLong, KeyWriter},
    policy::Policy,
};

/// Values of type `V` under keys of type `K`, stated once, as a constant:
///
/// ```
/// use std::time::Duration;
/// use larder::{Keyspace, Policy};
///
/// struct Report;
///
/// const POLICY: Policy = Policy::fresh(Duration::from_hours(4));
/// static REPORTS: Keyspace<(&str, &str), Report> = Keyspace::new("reports", 1, POLICY);
///
/// let key = REPORTS.key("larder", &("D05.SI", "2026-11-21")).unwrap();
/// assert!(key.starts_with("larder:reports:") && key.ends_with(":D05.SI:2026-11-21"));
/// ```
pub struct Keyspace<K: ?Sized, V> {
    name: &'static str,
    edition: u32,
    policy: Policy,
    types: PhantomData<fn(&K) -> V>,
}

impl<K: ?Sized, V> Keyspace<K, V> {
    /// A keyspace called `name`. `edition` goes up whenever `V` changes what it is encoded as: two
    /// versions of a program that run side by side then keep their entries apart.
    #[must_use]
    pub const fn new(name: &'static str, edition: u32, policy: Policy) -> Self {
        Self {
            name,
            edition,
            policy,
            types: PhantomData,
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

    /// What its entries' frames bear: the same for the same name and edition, on every machine.
    #[must_use]
    pub fn schema(&self) -> u64 {
        let edition = u64::from(self.edition);
        XxHash3_64::oneshot_with_seed(edition, self.name.as_bytes())
    }
}

impl<K: Key + ?Sized, V> Keyspace<K, V> {
    /// What `key` is called in every tier of the application `app`.
    pub fn key(&self, app: &str, key: &K) -> Result<String, KeyTooLong> {
        let mut writer = KeyWriter::new(app, self.name, self.schema());
        key.write(&mut writer);
        writer.finish()
    }
}

impl<K: ?Sized, V> fmt::Debug for Keyspace<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyspace")
            .field("name", &self.name)
            .field("edition", &self.edition)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const POLICY: Policy = Policy::fresh(Duration::from_mins(5));

    #[test]
    fn another_edition_or_name_has_another_schema_and_other_keys() {
        let first = Keyspace::<str, ()>::new("reports", 1, POLICY);
        let second = Keyspace::<str, ()>::new("reports", 2, POLICY);
        let other = Keyspace::<str, ()>::new("tokens", 1, POLICY);
        assert_ne!(first.schema(), second.schema());
        assert_ne!(first.schema(), other.schema());
        assert_ne!(first.key("app", "x"), second.key("app", "x"));
        assert_eq!(
            first.key("app", "x"),
            Keyspace::<str, u8>::new("reports", 1, POLICY).key("app", "x")
        );
    }

    #[test]
    fn the_schema_is_the_same_on_every_machine() {
        let keyspace = Keyspace::<str, ()>::new("reports", 1, POLICY);
        // As Python's xxhash says: xxh3_64_hexdigest(b"reports", seed=1).
        assert_eq!(
            keyspace.key("app", "x").unwrap(),
            "app:reports:968ee33c8ae04821:x"
        );
    }
}
