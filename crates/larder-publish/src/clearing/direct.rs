//! By this program itself, with permissions of its own.

use anyhow::Context as _;
use aws_types::SdkConfig;
use cdn::{CloudFront, ErrorKind, FREE_ITEMS, Invalidation, Invalidator, Item, Usage, by_alias};

use super::{Answer, OUR_WILDCARDS, Order, Status};

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
    pub(crate) fn new(config: &SdkConfig, which: Which) -> Self {
        let invalidator = Invalidator {
            cloudfront: CloudFront::new(config),
            usage: Usage::new(None),
            max_wildcards: OUR_WILDCARDS,
            free: FREE_ITEMS,
        };
        Self { invalidator, which }
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
        let done = self.invalidator.carry_out(&ordered).await?;
        let invalidation = match done.invalidation {
            Some(made) => Some(self.waited(&distribution, made, order).await),
            None => None,
        };
        let is_completed = invalidation.as_ref().is_some_and(|it| it.is_completed);
        Ok(Answer {
            status: match (done.is_new, is_completed) {
                (false, _) => Status::Skipped,
                (true, true) => Status::Completed,
                (true, false) => Status::Submitted,
            },
            distribution_id: Some(distribution),
            invalidation_id: invalidation.map(|it| it.id),
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
        if made.is_completed || order.wait.is_zero() {
            return made;
        }
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
            status: if found.is_completed {
                Status::Completed
            } else {
                Status::Submitted
            },
            distribution_id: Some(distribution),
            invalidation_id: Some(found.id),
            paths: found.items,
            ..Answer::default()
        })
    }
}
