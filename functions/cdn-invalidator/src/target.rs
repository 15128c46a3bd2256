//! Which distribution serves what has changed.

use cdn::{Item, Served, release};

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

    /// The distributions that serve a bucket.
    pub(crate) async fn distributions_of(&self, bucket: &str) -> Result<Vec<Served>, Failed> {
        let config = &self.config;
        let whole = |distribution| {
            let cut = String::new();
            vec![Served { distribution, cut }]
        };
        if config.releases_bucket.as_deref() == Some(bucket) {
            return Ok(whole(self.distribution_of(&config.releases_domain).await?));
        }
        if let Some(domain) = &config.templates_domain
            && config.templates_bucket.as_deref() == Some(bucket)
        {
            return Ok(whole(self.distribution_of(domain).await?));
        }
        if let Some(id) = &config.distribution {
            return Ok(whole(id.clone()));
        }
        Ok(self.directory.of_bucket(bucket).await?)
    }

    /// Whether nobody can have cached what was there before: a version of a monitor is written once, and what a publisher notes for
    /// itself is read by nobody else.
    pub(crate) fn is_nobodys(&self, object: &Object) -> bool {
        let is_new = object.change == Change::Created;
        let is_first = is_new && release::is_immutable(&object.key, &self.config.prefix);
        is_first || object.key.ends_with(release::PENDING)
    }
}

/// What is to be invalidated of `distributions` because an object of theirs has changed, a change a distribution.
pub(crate) fn changes_of(
    object: &Object,
    message: usize,
    distributions: &[Served],
) -> Result<Vec<(String, Changed)>, Failed> {
    let served = distributions.iter().filter_map(|served| {
        let path = object.key.strip_prefix(served.cut.as_str())?;
        Some((served, path))
    });
    let change = |(served, path): (&Served, &str)| {
        let changed = Changed {
            message,
            identity: object.identity.clone(),
            items: vec![Item::of_key(path).map_err(Failed::Rejected)?],
            at: object.at,
            object: Some(Located {
                bucket: object.bucket.clone(),
                cut: served.cut.clone(),
                key: object.key.clone(),
            }),
        };
        Ok((served.distribution.clone(), changed))
    };
    served.map(change).collect()
}
