//! Secrets from the parameter store, kept in this process's memory alone, whatever tiers the cache has.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use larder_lambda::{ParameterError, Parameters};
use reqwest::{Client, RequestBuilder, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    outside::{Answer, Limits, Outside, Unanswered},
    recently::Recently,
};

/// Long enough to cost nothing, short enough for a secret that was changed.
const KNOWN: SignedDuration = SignedDuration::from_mins(30);
/// One that was read so lately is not read again because somebody refuses it: whoever sends rubbish could have it read all day.
const READ_AGAIN: SignedDuration = SignedDuration::from_mins(1);

/// Where secrets are.
#[derive(Clone, Debug)]
pub(crate) struct Secrets {
    parameters: Parameters,
    kept: Arc<Recently<String, SecretString>>,
}

/// A secret cannot be had.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct NoSecret(#[from] ParameterError);

impl Secrets {
    pub(crate) fn new(parameters: Parameters) -> Self {
        Self {
            parameters,
            kept: Arc::new(Recently::new(KNOWN)),
        }
    }

    /// The value of the parameter `name`, and when it was read.
    pub(crate) async fn get(&self, name: &str) -> Result<(SecretString, Timestamp), NoSecret> {
        if let Some(kept) = self.kept.get(&name.to_owned(), Timestamp::now()) {
            return Ok(kept);
        }
        self.read(name).await
    }

    /// Reads the parameter `name`. A failure leaves the kept value in place.
    async fn read(&self, name: &str) -> Result<(SecretString, Timestamp), NoSecret> {
        let now = Timestamp::now();
        let secret = self.parameters.get(name).await?;
        // Editors put a line's end behind it.
        let secret = SecretString::from(secret.expose_secret().trim());
        self.kept.learn(name.to_owned(), secret.clone(), now);
        Ok((secret, now))
    }

    /// Asks with the secret `name` as a bearer token, and once more where that is answered with one of `refusals` and the secret
    /// may have been changed since it was read.
    pub(crate) async fn ask_as_bearer<E: From<NoSecret> + From<Unanswered>>(
        &self,
        (name, refusals): (&str, &[StatusCode]),
        outside: &Outside,
        (server, limits): (&'static str, Limits),
        request: impl Fn(&Client) -> RequestBuilder,
    ) -> Result<Answer, E> {
        loop {
            let (secret, read) = self.get(name).await?;
            let signed = |client: &Client| request(client).bearer_auth(secret.expose_secret());
            let answer = outside.ask(server, limits, signed).await?;
            if !refusals.contains(&answer.status) || !self.refused(name, read) {
                return Ok(answer);
            }
        }
    }

    /// Reads the parameter `name` again, if it may have been changed since it was read.
    pub(crate) async fn changed(&self, name: &str) -> Result<Option<SecretString>, NoSecret> {
        let (_, read) = self.get(name).await?;
        if !is_old(read) {
            return Ok(None);
        }
        let (secret, _) = self.read(name).await?;
        Ok(Some(secret))
    }

    /// What was read at that time was refused. Whether it will be read again.
    fn refused(&self, name: &str, read: Timestamp) -> bool {
        let is_old = is_old(read);
        if is_old {
            self.kept.forget(&name.to_owned());
        }
        is_old
    }
}

/// Checks that a value read at that time may be read again.
fn is_old(read: Timestamp) -> bool {
    Timestamp::now().duration_since(read) >= READ_AGAIN
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::config::{Credentials, Region};
    use aws_types::{SdkConfig, sdk_config::SharedCredentialsProvider};

    use super::*;

    #[tokio::test]
    async fn keeps_a_secret_that_cannot_be_read_again() {
        let credentials = Credentials::new("local", "local", None, None, "tests");
        let aws = SdkConfig::builder()
            .region(Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .endpoint_url("http://127.0.0.1:9")
            .build();
        let secrets = Secrets::new(Parameters::new(&aws).unwrap());
        let name = "/larder/secret";
        let read = Timestamp::now() - SignedDuration::from_mins(2);
        secrets.kept.learn(name.to_owned(), "old".into(), read);
        assert!(secrets.changed(name).await.is_err(), "nothing is there");
        let (secret, at) = secrets.get(name).await.unwrap();
        assert_eq!((secret.expose_secret(), at), ("old", read));
    }
}
