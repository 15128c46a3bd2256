//! Monitors' secrets in the parameter store, read when they are first needed and kept in this process's memory alone.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context as _;
use larder::{Cache, Codec, CodecError, Keyspace, Load, LoadError, Loaded, Policy, Space};
use larder_lambda::{ParameterError, Parameters};
use secrecy::{ExposeSecret as _, SecretString};

/// Long enough to cost nothing, short enough for a secret that was changed. While the parameter store is away, the last
/// value is used for a day.
const POLICY: Policy = Policy::fresh(Duration::from_mins(30))
    .stale_on_error(Duration::from_hours(24), Duration::from_secs(30));

static SECRETS: Keyspace<str, SecretString> =
    Keyspace::with_codec("monitor-secrets", 1, POLICY, text()).memory_only();

/// The text of a secret, of which only the length is used: what is kept in memory alone is not written.
const fn text() -> Codec<SecretString> {
    Codec::new(
        "secret",
        |secret: &SecretString| Ok(secret.expose_secret().as_bytes().to_vec()),
        |bytes| match std::str::from_utf8(bytes) {
            Ok(text) => Ok(SecretString::from(text)),
            Err(_) => Err(CodecError::new("not UTF-8")),
        },
    )
}

/// The secrets that monitors are given.
#[derive(Debug)]
pub(crate) struct Secrets {
    /// By the name of the variable that a monitor finds it in, the name of the parameter.
    names: BTreeMap<String, String>,
    parameters: Parameters,
    values: Space<str, SecretString>,
}

impl Secrets {
    pub(crate) fn new(
        names: BTreeMap<String, String>,
        parameters: Parameters,
        memory: &Cache,
    ) -> Self {
        Self {
            names,
            parameters,
            values: memory.space(&SECRETS),
        }
    }

    /// All of them, by the name of their variable.
    pub(crate) async fn read(&self) -> anyhow::Result<BTreeMap<String, SecretString>> {
        let mut all = BTreeMap::new();
        for (variable, parameter) in &self.names {
            let secret = self.get(parameter).await;
            let secret = secret.with_context(|| format!("failed to read the secret {variable}"))?;
            all.insert(variable.clone(), secret);
        }
        Ok(all)
    }

    async fn get(&self, parameter: &str) -> anyhow::Result<SecretString> {
        let (parameters, name) = (self.parameters.clone(), parameter.to_owned());
        let load = async move |_: Load<SecretString>| {
            let secret = parameters.get(&name).await?;
            // Editors put a line's end behind it.
            let secret = SecretString::from(secret.expose_secret().trim());
            Ok::<_, ParameterError>(Loaded::from(secret))
        };
        let got = self.values.get_or_load(parameter, load).await;
        let got = got.map_err(|error| match error {
            LoadError::Origin(cause) => anyhow::anyhow!(larder_artifact::chain(cause.as_ref())),
            other => anyhow::anyhow!("{other}"),
        })?;
        let secret = got.context("the parameter has no value")?;
        Ok(SecretString::clone(&secret.value))
    }
}
