//! Which distribution serves what has changed.

use cdn::{ErrorKind, Item, LookupError, Served, release};

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

    /// The distributions that serve a bucket: those that have it as an origin, and those of the domains that the settings name for it.
    /// Of all of them settings may allow for one alone.
    pub(crate) async fn distributions_of(&self, bucket: &str) -> Result<Vec<Served>, Failed> {
        let domains = self.domains_over(bucket);
        let found = self.directory.of_bucket(bucket, &domains).await;
        let Some(only) = &self.config.distribution else {
            return Ok(found?);
        };
        let mut served = match found {
            Ok(found) => found,
            Err(LookupError::NotFound(_)) => Vec::new(),
            // Whoever names one need not be allowed to look for others.
            Err(LookupError::Refused(error)) if error.kind == ErrorKind::Denied => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        served.retain(|served| served.distribution == *only);
        if served.is_empty() {
            served.push(Served::whole(only.clone()));
        }
        Ok(served)
    }

    /// The domains that serve a bucket by the settings.
    fn domains_over(&self, bucket: &str) -> Vec<&str> {
        let config = &self.config;
        let both = [
            (&config.releases_bucket, Some(&config.releases_domain)),
            (&config.templates_bucket, config.templates_domain.as_ref()),
        ];
        let named = both
            .into_iter()
            .filter(|(named, _)| named.as_deref() == Some(bucket));
        named
            .filter_map(|(_, domain)| domain.map(Domain::as_str))
            .collect()
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
                items: Item::clearing(path).map_err(Failed::Rejected)?,
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
