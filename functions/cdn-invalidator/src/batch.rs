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
    in_time,
};

/// From so many changed objects on it pays to know what else is there.
const LIST_FROM: usize = 20;
/// The same once items are paid: a page of a listing costs a thousandth of one.
const LIST_FROM_PAID: usize = 2;
/// A folder with more objects is not listed: that would be more than 20 requests.
const LIST_MOST: usize = 20_000;
/// How often what was refused together is parted, in search of what is refused.
const MOST_PARTINGS: usize = 40;

impl App {
    /// One object's change. Lambda calls again after an error.
    pub(crate) async fn object(
        &self,
        object: Object,
        call: &mut Call<'_>,
    ) -> Result<Outcome, Failed> {
        let (mut outcomes, mut problems) = (Vec::new(), Vec::new());
        let distributions = in_time(call.deadline, self.distributions_of(&object.bucket)).await;
        let changes = distributions.and_then(|of| self.changes_of(&object, 0, &of));
        let changes = changes.inspect_err(|failed| call.metrics.failed(failed))?;
        for (distribution, changed) in changes {
            match self.together(&distribution, &[changed], call).await {
                Ok(outcome) => outcomes.push(outcome),
                Err((problem, _)) => {
                    call.metrics.failed(&problem);
                    problems.push(problem);
                }
            }
        }
        // After all were asked, whichever of them fails: those that were done are done the next time.
        if let Some(problem) = problems.into_iter().next() {
            return Err(problem);
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
            let (outcomes, messages) = self.in_parts(&distribution, changes, call).await;
            invalidations.extend(outcomes);
            failed.extend(messages);
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

    /// All changes of one distribution as one invalidation; or, where what some messages want cannot be had now, as the few that clear
    /// what the others want, as far as these are found. With them, which messages wait.
    async fn in_parts(
        &self,
        distribution: &str,
        mut changes: Vec<Changed>,
        call: &mut Call<'_>,
    ) -> (Vec<Outcome>, BTreeSet<usize>) {
        let (mut outcomes, mut waiting) = (Vec::new(), BTreeSet::new());
        changes.sort_by_key(Changed::is_wide);
        let (mut parts, mut partings) = (vec![changes.as_slice()], 0);
        while let Some(part) = parts.pop() {
            let (problem, messages) = match self.together(distribution, part, call).await {
                Ok(outcome) => {
                    outcomes.push(outcome);
                    continue;
                }
                Err(problem) => problem,
            };
            if let Some(at) = problem.parting(part).filter(|_| partings < MOST_PARTINGS) {
                tracing::warn!(distribution, messages = part.len(), error = %problem, "What came together is asked for in parts");
                partings += 1;
                let (first, second) = part.split_at(at);
                parts.extend([second, first]);
            } else {
                tracing::error!(distribution, messages = messages.len(), error = %problem, "An invalidation failed");
                call.metrics.failed(&problem);
                waiting.extend(messages);
            }
        }
        (outcomes, waiting)
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
                Ok(Body::Object(object)) => {
                    if !buckets.contains_key(&object.bucket) {
                        let found = self.distributions_of(&object.bucket);
                        let found = in_time(call.deadline, found).await;
                        let found = found.inspect_err(|problem| told(&message.id, problem, call));
                        buckets.insert(object.bucket.clone(), found.ok());
                    }
                    let Some(Some(distributions)) = buckets.get(&object.bucket) else {
                        failed.insert(at);
                        continue;
                    };
                    self.changes_of(&object, at, distributions)
                }
                Ok(Body::Direct(direct)) => {
                    let message = (at, message.id.as_str(), message.sent);
                    let changes = self.changes_of_direct(&direct, message);
                    in_time(call.deadline, changes).await
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

    /// All of these changes of one distribution as one invalidation; or why not, and which messages wait for it.
    async fn together(
        &self,
        distribution: &str,
        changes: &[Changed],
        call: &mut Call<'_>,
    ) -> Result<Outcome, (Failed, BTreeSet<usize>)> {
        let all = || changes.iter().map(|change| change.message).collect();
        let prepared = async {
            let gathered = gather(changes, &self.cleared(distribution, changes).await);
            let listing = self.listing(&gathered).await;
            Ok((gathered, listing))
        };
        let prepared = in_time(call.deadline, prepared).await;
        let (gathered, listing) = prepared.map_err(|late| (late, all()))?;
        if gathered.items.is_empty() {
            call.metrics.skipped += 1;
            let month = async { Ok(self.invalidator.month(Timestamp::now()).await) };
            return Ok(Outcome {
                distribution_id: Some(distribution.to_owned()),
                month_billable_paths: in_time(call.deadline, month).await.unwrap_or_default(),
                ..Outcome::nothing(Standing::Skipped)
            });
        }
        let owned = format!("/{TEMPLATES}");
        let is_much = gathered.items.len() >= LIST_FROM;
        let known = match (&listing, gathered.place.folder()) {
            (Some(listing), _) => Known::Listed(listing),
            (None, Some((_, served, folder))) if is_much && served.is_below(folder, TEMPLATES) => {
                Known::Owned(&owned)
            }
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
        let done = self.carry_out(&order, call).await;
        let done = done.map_err(|failed| (failed, gathered.messages))?;
        Ok(Outcome::of_order(distribution, &done))
    }

    /// What was cleared since the first of these changed.
    async fn cleared(&self, distribution: &str, changes: &[Changed]) -> Cleared {
        let cleared = match first(changes) {
            Some(since) => self.invalidator.usage.cleared(distribution, since).await,
            None => Ok(Cleared::default()),
        };
        cleared.unwrap_or_else(|error| {
            tracing::warn!(%error, "What was cleared before is not known");
            Cleared::default()
        })
    }

    /// What else is in the folder of all that changed, where that may be worth knowing. Of a whole bucket it is not, if the
    /// distribution has others: what begins alike may be theirs.
    async fn listing(&self, gathered: &Gathered) -> Option<Listing> {
        let (bucket, served, folder) = gathered.place.folder()?;
        let (is_all, count) = (folder == served.cut, gathered.items.len());
        if (is_all && served.has_others) || count < LIST_FROM_PAID {
            return None;
        }
        if count < LIST_FROM && !self.invalidator.is_paid().await {
            return None;
        }
        let place = (folder, served.cut.as_str());
        let listing = cdn::bucket::list(&self.s3, bucket, place, LIST_MOST).await;
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
