//! Which distribution serves what has changed.

use cdn::{Item, LookupError, Served, release};

use crate::{
    App,
    domain::Domain,
    event::{Change, Object},
    failed::Failed,
    gather::{Changed, Located},
};

impl App {
    /// The distribution that serves a domain. One that the settings name stands for the domains that they name, and for no other:
    /// what is meant for one distribution is never sent to another one.
    pub(crate) async fn distribution_of(&self, domain: &Domain) -> Result<String, Failed> {
        let config = &self.config;
        let is_own =
            *domain == config.releases_domain || config.templates_domain.as_ref() == Some(domain);
        match &config.distribution {
            Some(id) if is_own => Ok(id.clone()),
            _ => Ok(self.directory.of_domain(domain.as_str()).await?),
        }
    }

    /// The distributions that serve a bucket: whichever have it as an origin, of which settings may allow for one alone. Where none
    /// has, as behind a proxy, the settings say which one.
    pub(crate) async fn distributions_of(&self, bucket: &str) -> Result<Vec<Served>, Failed> {
        let found = self.directory.of_bucket(bucket).await;
        if let Some(id) = &self.config.distribution {
            let mut served = match found {
                Err(error) if error.is_retryable() => return Err(error.into()),
                // Its id is known, whatever else cannot be looked up.
                found => found.unwrap_or_default(),
            };
            served.retain(|served| served.distribution == *id);
            if served.is_empty() {
                served.push(Served::whole(id.clone()));
            }
            return Ok(served);
        }
        match (found, self.domain_over(bucket)) {
            (Err(LookupError::NotFound(_)), Some(domain)) => {
                Ok(vec![Served::whole(self.distribution_of(domain).await?)])
            }
            (found, _) => Ok(found?),
        }
    }

    /// The domain that serves a bucket by the settings.
    fn domain_over(&self, bucket: &str) -> Option<&Domain> {
        let config = &self.config;
        let is = |named: &Option<String>| named.as_deref() == Some(bucket);
        if is(&config.releases_bucket) {
            return Some(&config.releases_domain);
        }
        config
            .templates_domain
            .as_ref()
            .filter(|_| is(&config.templates_bucket))
    }

    /// What is to be invalidated of `distributions` because an object of theirs has changed, a change a distribution.
    pub(crate) fn changes_of(
        &self,
        object: &Object,
        message: usize,
        distributions: &[Served],
    ) -> Result<Vec<(String, Changed)>, Failed> {
        let served = distributions.iter().filter_map(|served| {
            let path = object.key.strip_prefix(served.cut.as_str())?;
            (!self.is_nobodys(object.change, path)).then_some((served, path))
        });
        let change = |(served, path): (&Served, &str)| {
            let changed = Changed {
                message,
                identity: object.identity.clone(),
                items: vec![Item::of_key(path).map_err(Failed::Rejected)?],
                at: object.at,
                object: Some(Located {
                    bucket: object.bucket.clone(),
                    served: served.clone(),
                    key: object.key.clone(),
                }),
            };
            Ok((served.distribution.clone(), changed))
        };
        served.map(change).collect()
    }

    /// Whether nobody can have cached what is there no more: a version of a monitor is written once, what a rule of the bucket prunes
    /// was served no longer, and what a publisher notes for itself is read by nobody else.
    fn is_nobodys(&self, change: Change, path: &str) -> bool {
        let is_new = change == Change::Created;
        let is_first = is_new && release::is_immutable(path, &self.config.prefix);
        is_first || change == Change::Pruned || path.ends_with(release::PENDING)
    }
}
