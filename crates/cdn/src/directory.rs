//! Which distribution serves what, looked up once and kept: an account has pages of them, and they change once a year.

use std::{sync::Arc, time::Duration};

use larder::{Cache, Keyspace, LoadError, Loaded, Policy, Refresh, Space};

use crate::{
    cloudfront::CloudFront,
    distribution::{Distribution, NotFound, Served, by_alias, by_bucket},
    error::Error,
};

/// Kept for an hour, and for a day where `CloudFront` cannot be asked.
const POLICY: Policy = Policy::fresh(Duration::from_hours(1))
    .stale_on_error(Duration::from_hours(24), Duration::from_secs(30))
    .refresh(Refresh::Never);

/// All of an account's, under the one key that there is: one answer serves every domain and every bucket.
static DISTRIBUTIONS: Keyspace<(), Vec<Distribution>> = Keyspace::new("distributions", 1, POLICY);

/// The distributions of an account.
#[derive(Debug)]
pub struct Directory {
    cloudfront: CloudFront,
    kept: Space<(), Vec<Distribution>>,
}

/// A distribution could not be found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// There is none, or more than one.
    #[error(transparent)]
    NotFound(#[from] NotFound),
    /// `CloudFront` could not be asked.
    #[error("which distributions there are is not known")]
    Unknown(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// `CloudFront` has refused to tell.
    #[error(
        "which distributions there are is not known: give DISTRIBUTION_ID, or permission to list them"
    )]
    Refused(#[source] Arc<Error>),
}

impl LookupError {
    /// Whether the same may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::NotFound(_) => false,
            Self::Unknown(_) => true,
            Self::Refused(error) => error.is_retryable(),
        }
    }
}

impl Directory {
    /// Kept in `cache`.
    #[must_use]
    pub fn new(cloudfront: CloudFront, cache: &Cache) -> Self {
        Self {
            cloudfront,
            kept: cache.space(&DISTRIBUTIONS),
        }
    }

    /// The id of the distribution that serves `domain`.
    pub async fn of_domain(&self, domain: &str) -> Result<String, LookupError> {
        let found = self.find(|all| by_alias(all, domain).map(|it| it.id.clone()));
        found.await
    }

    /// The distributions that serve `bucket`, which is known to be served at these domains.
    pub async fn of_bucket(
        &self,
        bucket: &str,
        domains: &[&str],
    ) -> Result<Vec<Served>, LookupError> {
        self.find(|all| by_bucket(all, bucket, domains)).await
    }

    /// A distribution is not there any more: what is kept is not believed from now on.
    pub async fn forget(&self) {
        if let Err(error) = self.kept.remove(&()).await {
            tracing::warn!(%error, "The list of distributions could not be forgotten");
        }
    }

    /// What is found among those that are kept; where nothing is, the list is asked for once more, since one may be new.
    async fn find<T>(
        &self,
        pick: impl Fn(&[Distribution]) -> Result<T, NotFound>,
    ) -> Result<T, LookupError> {
        let (all, is_new) = self.all().await?;
        match pick(&all) {
            Err(NotFound::NoAlias { .. } | NotFound::NoOrigin(_)) if !is_new => {
                self.forget().await;
                let (all, _) = self.all().await?;
                Ok(pick(&all)?)
            }
            found => Ok(found?),
        }
    }

    /// All distributions, and whether they were asked for just now.
    async fn all(&self) -> Result<(Arc<Vec<Distribution>>, bool), LookupError> {
        let cloudfront = self.cloudfront.clone();
        let load = async move |_| Ok::<_, Error>(Loaded::from(cloudfront.distributions().await?));
        match self.kept.get_or_load(&(), load).await {
            Ok(Some(cached)) => {
                let is_new = cached.source == larder::Source::Origin;
                Ok((cached.value, is_new))
            }
            Ok(None) => Ok((Arc::default(), true)),
            Err(LoadError::Origin(error)) => Err(LookupError::Refused(error)),
            Err(error) => Err(LookupError::Unknown(Arc::new(error))),
        }
    }
}
