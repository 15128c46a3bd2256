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

    /// The distributions that serve a bucket: those that have it as an origin, and the one of the domain that the settings name for it,
    /// as behind a proxy; of which settings may allow for one alone.
    pub(crate) async fn distributions_of(&self, bucket: &str) -> Result<Vec<Served>, Failed> {
        let only = self.config.distribution.as_ref();
        let mut served = match self.directory.of_bucket(bucket).await {
            Ok(found) => found,
            Err(LookupError::NotFound(none))
                if only.is_none() && self.domain_over(bucket).is_none() =>
            {
                return Err(LookupError::NotFound(none).into());
            }
            Err(LookupError::NotFound(_)) => Vec::new(),
            // Whoever names one need not be allowed to look for others.
            Err(LookupError::Refused(error))
                if only.is_some() && error.kind == ErrorKind::Denied =>
            {
                Vec::new()
            }
            Err(error) => return Err(error.into()),
        };
        let named = match self.domain_over(bucket) {
            Some(domain) => match self.distribution_of(domain).await {
                // It need not have the alias, if it is found without.
                Err(failed) if failed.kind() == ErrorKind::NoDistribution && !served.is_empty() => {
                    None
                }
                named => Some(named?),
            },
            None => only.filter(|_| served.is_empty()).cloned(),
        };
        if only.is_some() && named.is_some() {
            served.retain(|served| named.as_ref() == Some(&served.distribution));
        }
        let missing = named.filter(|id| served.iter().all(|served| served.distribution != *id));
        served.extend(missing.map(Served::whole));
        Ok(served)
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
