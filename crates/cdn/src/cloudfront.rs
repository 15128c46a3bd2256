//! The port to `CloudFront`: the operations that invalidations take, in terms of this crate.
//!
//! Source: "Amazon `CloudFront` API Reference", version 2020-05-31.

use std::time::Duration;

use aws_sdk_cloudfront::{
    Client,
    config::{retry::RetryConfig, timeout::TimeoutConfig},
    types::{self, DistributionSummary, InvalidationBatch, Paths},
};
use aws_types::SdkConfig;
use jiff::Timestamp;

use crate::{
    distribution::{Distribution, Origin},
    error::{Error, ErrorKind},
    item::Item,
    plan::Room,
};

/// An account may ask for one invalidation in two seconds, and 503 is common at peaks: tried again for about half a minute.
const ATTEMPTS: u32 = 6;
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(8);
const ATTEMPT: Duration = Duration::from_secs(10);
const ALL_ATTEMPTS: Duration = Duration::from_secs(45);

/// More distributions than an account may have (200, and some thousands on request): whoever pages on for ever is not believed.
const MAX_PAGES: usize = 1_000;
/// Of the newest invalidations so many are looked at for what is in progress: it is done in less than a minute, and there are
/// thirty in that time at most.
const NEWEST: i32 = 50;
/// So many of them are asked for their reference and their items.
const LOOKED_AT: usize = 10;

/// A client of `CloudFront`.
#[derive(Clone, Debug)]
pub struct CloudFront {
    client: Client,
}

/// An invalidation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalidation {
    /// Its id, such as `I2J0I21PCUYOIK`.
    pub id: String,
    /// Whether all edges have carried it out.
    pub is_completed: bool,
    /// When it was made.
    pub created: Timestamp,
    /// What it is called by whoever asked for it.
    pub reference: String,
    /// Its items, as `CloudFront` has them.
    pub items: Vec<String>,
}

/// An invalidation, as far as a list tells.
struct Listed {
    id: String,
    is_completed: bool,
    created: Timestamp,
}

impl CloudFront {
    /// With the endpoint and the credentials of `config`. Connects to nothing yet.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        let retries = RetryConfig::standard()
            .with_max_attempts(ATTEMPTS)
            .with_initial_backoff(FIRST_BACKOFF)
            .with_max_backoff(LONGEST_BACKOFF);
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(2))
            .operation_attempt_timeout(ATTEMPT)
            .operation_timeout(ALL_ATTEMPTS)
            .build();
        let config = aws_sdk_cloudfront::config::Builder::from(config)
            .retry_config(retries)
            .timeout_config(timeouts);
        Self {
            client: Client::from_conf(config.build()),
        }
    }

    /// Has the items of a distribution invalidated. The same items with the same reference are the invalidation that there is, as
    /// long as `CloudFront` remembers it; or an error of the kind [`ErrorKind::Duplicate`].
    pub async fn create(
        &self,
        distribution: &str,
        items: &[Item],
        reference: &str,
    ) -> Result<Invalidation, Error> {
        const OPERATION: &str = "CreateInvalidation";
        let texts: Vec<_> = items.iter().map(Item::to_string).collect();
        let paths = Paths::builder()
            // Beside the items themselves: the API wants both.
            .quantity(i32::try_from(texts.len()).unwrap_or(i32::MAX))
            .set_items(Some(texts))
            .build();
        let incomplete = |_| Error::no_answer(OPERATION, distribution);
        let batch = InvalidationBatch::builder()
            .paths(paths.map_err(incomplete)?)
            .caller_reference(reference)
            .build()
            .map_err(incomplete)?;
        let create = self
            .client
            .create_invalidation()
            .distribution_id(distribution);
        let created = create.invalidation_batch(batch).send().await;
        let created = created.map_err(|error| Error::of(OPERATION, distribution, error))?;
        let invalidation = created.invalidation().and_then(of_answer);
        invalidation.ok_or_else(|| Error::no_answer(OPERATION, distribution))
    }

    /// How an invalidation stands.
    pub async fn get(&self, distribution: &str, invalidation: &str) -> Result<Invalidation, Error> {
        const OPERATION: &str = "GetInvalidation";
        let on = format!("{invalidation} of {distribution}");
        let get = self.client.get_invalidation().distribution_id(distribution);
        let found = get.id(invalidation).send().await;
        let found = found.map_err(|error| Error::of(OPERATION, &on, error))?;
        let invalidation = found.invalidation().and_then(of_answer);
        invalidation.ok_or_else(|| Error::no_answer(OPERATION, &on))
    }

    /// The same; none if it was forgotten meanwhile, as old ones are.
    async fn get_if_there(
        &self,
        distribution: &str,
        invalidation: &str,
    ) -> Result<Option<Invalidation>, Error> {
        match self.get(distribution, invalidation).await {
            Ok(invalidation) => Ok(Some(invalidation)),
            Err(error) if error.kind == ErrorKind::NoInvalidation => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// How much room there is for a new invalidation beside those in progress, whoever asked for them.
    pub async fn room(&self, distribution: &str) -> Result<Room, Error> {
        let mut room = Room::ALL;
        for one in self.newest(distribution).await? {
            if one.is_completed {
                continue;
            }
            let Some(invalidation) = self.get_if_there(distribution, &one.id).await? else {
                continue;
            };
            let wildcards = invalidation
                .items
                .iter()
                .filter(|item| item.ends_with('*'))
                .count();
            room.wildcards = room.wildcards.saturating_sub(wildcards);
            room.exact = room
                .exact
                .saturating_sub(invalidation.items.len() - wildcards);
        }
        Ok(room)
    }

    /// Of the newest invalidations the one that is looked for, if it is among them; behind all others that were made since a moment
    /// or since that one, the newest first. Those of the ids `passed` are not looked at.
    pub async fn find(
        &self,
        distribution: &str,
        is_it: impl Fn(&Invalidation) -> bool,
        (since, passed): (Option<Timestamp>, &[String]),
    ) -> Result<Option<(Vec<Invalidation>, Invalidation)>, Error> {
        let (mut others, mut found) = (Vec::new(), None);
        let newest = self.newest(distribution).await?;
        let unknown = newest.into_iter().filter(|one| !passed.contains(&one.id));
        for one in unknown.take(LOOKED_AT) {
            if found.is_some() && since.is_none_or(|since| one.created < since) {
                break;
            }
            let Some(invalidation) = self.get_if_there(distribution, &one.id).await? else {
                continue;
            };
            if found.is_none() && is_it(&invalidation) {
                found = Some(invalidation);
            } else {
                others.push(invalidation);
            }
        }
        Ok(found.map(|found| (others, found)))
    }

    /// The newest invalidations. One page: there may be thousands.
    async fn newest(&self, distribution: &str) -> Result<Vec<Listed>, Error> {
        let list = self
            .client
            .list_invalidations()
            .distribution_id(distribution);
        let listed = list.max_items(NEWEST).send().await;
        let listed = listed.map_err(|error| Error::of("ListInvalidations", distribution, error))?;
        let items = listed
            .invalidation_list()
            .map(types::InvalidationList::items);
        let items = items.unwrap_or_default().iter();
        Ok(items
            .map(|it| Listed {
                id: it.id().to_owned(),
                is_completed: is_completed(it.status()),
                created: moment(it.create_time()).unwrap_or(Timestamp::MAX),
            })
            .collect())
    }

    /// All distributions of the account.
    pub async fn distributions(&self) -> Result<Vec<Distribution>, Error> {
        const OPERATION: &str = "ListDistributions";
        let mut all = Vec::new();
        let mut marker: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let list = self.client.list_distributions().set_marker(marker.take());
            let page = list.send().await;
            let page = page.map_err(|error| Error::of(OPERATION, "the account", error))?;
            let Some(page) = page.distribution_list() else {
                return Err(Error::no_answer(OPERATION, "the account"));
            };
            all.extend(page.items().iter().map(of_summary));
            marker = page
                .next_marker()
                .filter(|marker| !marker.is_empty())
                .map(str::to_owned);
            if !page.is_truncated() || marker.is_none() {
                break;
            }
        }
        Ok(all)
    }

    /// Whether objects of a distribution can be invalidated by their tags.
    pub async fn takes_tags(&self, distribution: &str) -> Result<bool, Error> {
        let get = self.client.get_distribution().id(distribution);
        let found = get.send().await;
        let found = found.map_err(|error| Error::of("GetDistribution", distribution, error))?;
        let config = found
            .distribution()
            .and_then(types::Distribution::distribution_config);
        let tags = config.and_then(types::DistributionConfig::cache_tag_config);
        Ok(tags.is_some())
    }
}

/// Whatever is not in progress is done: there is no third state by now.
fn is_completed(status: &str) -> bool {
    !status.eq_ignore_ascii_case("InProgress")
}

fn moment(time: &aws_sdk_cloudfront::primitives::DateTime) -> Option<Timestamp> {
    let nanos = i32::try_from(time.subsec_nanos()).ok()?;
    Timestamp::new(time.secs(), nanos).ok()
}

fn of_answer(answer: &types::Invalidation) -> Option<Invalidation> {
    let batch = answer.invalidation_batch()?;
    Some(Invalidation {
        id: answer.id().to_owned(),
        is_completed: is_completed(answer.status()),
        created: moment(answer.create_time())?,
        reference: batch.caller_reference().to_owned(),
        items: batch
            .paths()
            .map(|paths| paths.items().to_vec())
            .unwrap_or_default(),
    })
}

fn of_summary(summary: &DistributionSummary) -> Distribution {
    let aliases = summary.aliases().map(|aliases| aliases.items().to_vec());
    let origins = summary
        .origins()
        .map(types::Origins::items)
        .unwrap_or_default();
    Distribution {
        id: summary.id().to_owned(),
        domain_name: summary.domain_name().to_owned(),
        aliases: aliases.unwrap_or_default(),
        origins: origins
            .iter()
            .map(|origin| Origin {
                domain_name: origin.domain_name().to_owned(),
                path: origin.origin_path().unwrap_or_default().to_owned(),
            })
            .collect(),
        is_staging: summary.staging(),
    }
}
