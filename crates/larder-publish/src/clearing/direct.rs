//! By this program itself, with permissions of its own.

use anyhow::Context as _;
use aws_types::SdkConfig;
use cdn::{CloudFront, ErrorKind, FREE_ITEMS, Invalidation, Invalidator, Item, Usage, by_alias};

use super::{Answer, Order};

/// A distribution of this account.
#[derive(Debug)]
pub(crate) struct Direct {
    invalidator: Invalidator,
    which: Which,
}

/// Which distribution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// The one of this id.
    Id(String),
    /// The one that serves this domain.
    Domain(String),
}

impl Direct {
    /// With the credentials and the endpoint of `config`. Connects to nothing yet.
    pub(crate) fn new(config: &SdkConfig, which: Which, wildcards: usize) -> Self {
        let invalidator = Invalidator {
            cloudfront: CloudFront::new(config),
            usage: Usage::new(None),
            max_wildcards: wildcards,
            free: FREE_ITEMS,
        };
        Self { invalidator, which }
    }

    pub(super) fn wildcards(&self) -> usize {
        self.invalidator.max_wildcards
    }

    pub(super) async fn clear(&self, order: &Order<'_>) -> anyhow::Result<Answer> {
        let distribution = self.distribution().await?;
        let content = [order.content.to_owned()];
        let ordered = cdn::Order {
            distribution: &distribution,
            changed: order.changed,
            known: order.known,
            content: &content,
        };
        let mut done = self.invalidator.carry_out(&ordered).await?;
        done.invalidation = self.waited(&distribution, done.invalidation, order).await;
        Ok(Answer {
            status: done.standing(),
            distribution_id: Some(distribution),
            invalidation_id: Some(done.invalidation.id),
            paths: done.plan.items.iter().map(Item::to_string).collect(),
            billable_paths: done.billed,
            // Of what others had of the month nothing is known here.
            month_billable_paths: None,
            estimated_cost_usd: done.cost,
            ..Answer::default()
        })
    }

    /// That it cannot be waited for changes nothing of it.
    async fn waited(
        &self,
        distribution: &str,
        made: Invalidation,
        order: &Order<'_>,
    ) -> Invalidation {
        let cloudfront = &self.invalidator.cloudfront;
        let waited = cdn::wait(cloudfront, distribution, made.clone(), order.wait).await;
        waited.unwrap_or_else(|error| {
            tracing::warn!(%error, "The invalidation could not be waited for");
            made
        })
    }

    async fn distribution(&self) -> anyhow::Result<String> {
        let domain = match &self.which {
            Which::Id(id) => return Ok(id.clone()),
            Which::Domain(domain) => domain,
        };
        let all = self.invalidator.cloudfront.distributions().await;
        let all = all.map_err(|error| {
            let remedy = match error.kind {
                ErrorKind::Denied => ": give --distribution, or permission to list them",
                _ => "",
            };
            let what = format!("which distributions there are is not known{remedy}");
            anyhow::Error::from(error).context(what)
        })?;
        let found = by_alias(&all, domain);
        let found = found.context("give --distribution, or --domain if it is served as another")?;
        Ok(found.id.clone())
    }

    /// How an invalidation stands.
    pub(crate) async fn status(&self, invalidation: &str) -> anyhow::Result<Answer> {
        let distribution = self.distribution().await?;
        let cloudfront = &self.invalidator.cloudfront;
        let found = cloudfront.get(&distribution, invalidation).await?;
        Ok(Answer {
            status: found.standing(),
            distribution_id: Some(distribution),
            invalidation_id: Some(found.id),
            paths: found.items,
            ..Answer::default()
        })
    }
}
