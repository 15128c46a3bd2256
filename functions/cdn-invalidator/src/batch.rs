//! What S3 tells of, and what waits in a queue: all that concerns one distribution becomes one invalidation.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Instant,
};

use cdn::{Cleared, Known, Listing, Order, Served, Standing, release::TEMPLATES};
use jiff::Timestamp;
use larder_lambda::milliseconds;

use crate::{
    App, Call,
    answer::{BatchAnswer, Failure, Outcome},
    event::{Body, Message, Object},
    failed::Failed,
    gather::{Changed, Gathered, Orders, first, gather},
    target::changes_of,
};

/// From so many changed objects on it pays to know what else is there.
const LIST_FROM: usize = 20;
/// A folder with more objects is not listed: that would be more than 20 requests.
const LIST_MOST: usize = 20_000;

impl App {
    /// One object's change. Lambda calls again after an error.
    pub(crate) async fn object(
        &self,
        object: Object,
        call: &mut Call<'_>,
    ) -> Result<Outcome, Failed> {
        let mut outcomes = Vec::new();
        if !self.is_nobodys(&object) {
            let distributions = self.distributions_of(&object.bucket).await;
            let changes = distributions.and_then(|of| changes_of(&object, 0, &of));
            let changes = changes.inspect_err(|failed| call.metrics.failed(failed))?;
            for (distribution, changed) in changes {
                let outcome = self.together(&distribution, &[changed], call).await;
                outcomes.push(outcome.map_err(|(failed, _)| failed)?);
            }
        }
        let mut outcomes = outcomes.into_iter();
        let Some(first) = outcomes.next() else {
            call.metrics.skipped += 1;
            return Ok(Outcome::nothing(Standing::Skipped));
        };
        Ok(Outcome {
            others: outcomes.collect(),
            ..first
        })
    }

    /// All messages of a queue that came together. Those that failed, and no others, come again; those that cannot succeed reach the
    /// dead-letter queue that way, for somebody to look at.
    pub(crate) async fn batch(&self, messages: Vec<Message>, call: &mut Call<'_>) -> BatchAnswer {
        let began = Instant::now();
        let ids: Vec<_> = messages.iter().map(|message| message.id.clone()).collect();
        let (orders, mut failed) = self.orders(messages, call).await;
        let mut invalidations = Vec::new();
        for (distribution, changes) in orders {
            match self.together(&distribution, &changes, call).await {
                Ok(outcome) => invalidations.push(outcome),
                Err((_, messages)) => failed.extend(messages),
            }
        }
        for outcome in &mut invalidations {
            outcome.duration_ms = milliseconds(began.elapsed());
        }
        let again = failed.iter().filter_map(|at| ids.get(*at));
        BatchAnswer {
            failures: again.map(|id| Failure { id: id.clone() }).collect(),
            invalidations,
        }
    }

    /// What the messages mean, a list a distribution; and those that mean nothing, or of which nobody knows whom they concern.
    async fn orders(
        &self,
        messages: Vec<Message>,
        call: &mut Call<'_>,
    ) -> (Orders, BTreeSet<usize>) {
        let (mut orders, mut failed): (Orders, _) = (BTreeMap::new(), BTreeSet::new());
        // Asked about once, however many objects have changed.
        let mut buckets: HashMap<String, Option<Vec<Served>>> = HashMap::new();
        for (at, message) in messages.into_iter().enumerate() {
            let changes = match message.body {
                Ok(Body::Object(object)) if self.is_nobodys(&object) => Ok(Vec::new()),
                Ok(Body::Object(object)) => {
                    if !buckets.contains_key(&object.bucket) {
                        let found = self.distributions_of(&object.bucket).await;
                        let found = found.inspect_err(|problem| told(&message.id, problem, call));
                        buckets.insert(object.bucket.clone(), found.ok());
                    }
                    let Some(Some(distributions)) = buckets.get(&object.bucket) else {
                        failed.insert(at);
                        continue;
                    };
                    changes_of(&object, at, distributions)
                }
                Ok(Body::Direct(direct)) => {
                    self.changes_of_direct(&direct, (at, &message.id)).await
                }
                Err(problem) => Err(Failed::Invalid(problem)),
            };
            match changes {
                Ok(changes) => {
                    call.metrics.skipped += u64::from(changes.is_empty());
                    for (distribution, changed) in changes {
                        orders.entry(distribution).or_default().push(changed);
                    }
                }
                Err(problem) => {
                    told(&message.id, &problem, call);
                    failed.insert(at);
                }
            }
        }
        (orders, failed)
    }

    /// All changes of one distribution as one invalidation; or why not, and which messages wait for it.
    async fn together(
        &self,
        distribution: &str,
        changes: &[Changed],
        call: &mut Call<'_>,
    ) -> Result<Outcome, (Failed, BTreeSet<usize>)> {
        let cleared = match first(changes) {
            Some(since) => self.invalidator.usage.cleared(distribution, since).await,
            None => Ok(Cleared::default()),
        };
        let cleared = cleared.unwrap_or_else(|error| {
            tracing::warn!(%error, "What was cleared before is not known");
            Cleared::default()
        });
        let gathered = gather(changes, &cleared);
        if gathered.items.is_empty() {
            call.metrics.skipped += 1;
            return Ok(Outcome {
                distribution_id: Some(distribution.to_owned()),
                month_billable_paths: self.invalidator.month(Timestamp::now()).await,
                ..Outcome::nothing(Standing::Skipped)
            });
        }
        let listing = self.listing(&gathered).await;
        let owned = format!("/{TEMPLATES}");
        let known = match (&listing, gathered.place.folder()) {
            (Some(listing), _) => Known::Listed(listing),
            (None, Some((_, _, folder))) if folder.starts_with(TEMPLATES) => Known::Owned(&owned),
            _ => Known::Nothing,
        };
        let changed: Vec<_> = gathered.items.iter().cloned().collect();
        let content: Vec<_> = gathered.content.iter().cloned().collect();
        let order = Order {
            distribution,
            changed: &changed,
            known,
            content: &content,
        };
        match self.carry_out(&order, call).await {
            Ok(done) => Ok(Outcome::of_order(distribution, &done)),
            Err(failed) => {
                let messages = gathered.messages;
                tracing::error!(distribution, messages = messages.len(), error = %failed, "An invalidation failed");
                call.metrics.failed(&failed);
                Err((failed, messages))
            }
        }
    }

    /// What else is in the folder of all that changed, where that may be worth knowing.
    async fn listing(&self, gathered: &Gathered) -> Option<Listing> {
        let (bucket, cut, folder) = gathered
            .place
            .folder()
            .filter(|_| gathered.items.len() >= LIST_FROM)?;
        let listing = cdn::bucket::list(&self.s3, bucket, (folder, cut), LIST_MOST).await;
        listing
            .inspect_err(
                |error| tracing::warn!(bucket, folder, %error, "What else is there is not known"),
            )
            .ok()
    }
}

/// Says and counts what is wrong with a message.
fn told(message: &str, problem: &Failed, call: &mut Call<'_>) {
    tracing::error!(message, error = %problem, "A message failed");
    call.metrics.failed(problem);
}
