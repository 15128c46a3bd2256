//! From what changed to an invalidation: planned within the room that there is, asked for once, and counted.

mod order;

use jiff::{SignedDuration, Timestamp};

use crate::{
    cloudfront::{CloudFront, Invalidation},
    error::{Error, ErrorKind},
    item::{Item, Kind},
    plan::{MAX_WILDCARDS, Plan, Room, plan},
    price::{Price, cost},
    reference::{order as order_hash, reference},
    usage::{Asked, BillingMonth, Footprint, Made, Sought, Usage, Which},
};

pub use order::{Done, Order, OrderError};

/// From so many paths on it is looked how many are in progress already; `CloudFront` refuses what is too much in any case.
const MANY: usize = 500;
/// An invalidation that was made so long before it was asked for is an earlier one, however clocks differ.
const EARLIER: SignedDuration = SignedDuration::from_secs(5);
/// What was asked for so long ago is asked for again: Lambda and queues repeat a request within minutes, and people run a build again.
const REPEATED: SignedDuration = SignedDuration::from_hours(1);
/// How often content that came back is asked for by the name of the time before; by one that was never used from then on.
const CAME_BACK: u32 = 3;

/// Who asks for invalidations.
#[derive(Debug)]
pub struct Invalidator {
    /// Where.
    pub cloudfront: CloudFront,
    /// What the month has had.
    pub usage: Usage,
    /// How many wildcards may be in progress, so that some are left for people.
    pub max_wildcards: usize,
    /// How many items of a month are free.
    pub free: u64,
}

/// An order that is being carried out.
struct Run<'a> {
    order: &'a Order<'a>,
    asked: Asked<'a>,
    /// How many items the month had before.
    month: u64,
    /// Invalidations that have nothing to do with it.
    passed: Vec<String>,
}

/// What there is before an order.
enum Before {
    /// The same, after which nothing else was cleared that it clears.
    Same(Invalidation),
    /// Something else, of this name, or nothing; and later invalidations that have nothing to do with it.
    After(Option<String>, Vec<String>),
}

/// What became of an invalidation since.
enum Since {
    /// Nothing was cleared that it clears.
    Nothing(Invalidation),
    /// This one has cleared some of the same: other content was there in between.
    Another(Invalidation),
    /// It is not among the newest, or these cannot be looked at.
    Unknown,
}

impl Invalidator {
    /// Has what an order says invalidated, unless the same was ordered before. There has to be something to invalidate.
    pub async fn carry_out(&self, order: &Order<'_>) -> Result<Done, OrderError> {
        let asked = Asked {
            distribution: order.distribution,
            items: order.changed,
            order: order_hash(order.changed, order.content),
            at: Timestamp::now(),
        };
        // Neither changes what the other finds. Three requests at once are much for a stack.
        let before = Box::pin(self.before(&asked));
        let (before, month) = tokio::join!(before, self.month(asked.at));
        let (after, passed) = match before {
            Before::Same(invalidation) => return Ok(done_before(invalidation, month)),
            Before::After(after, passed) => (after, passed),
        };
        let run = Run {
            order,
            asked,
            month,
            passed,
        };
        let plan = self.plan(&run).await?;
        self.takes_tags_of(&plan, order.distribution).await?;
        self.ask(&run, plan, after).await
    }

    /// What there is before an order, by the count and by `CloudFront` itself, which others ask as well. Notes first of all that it is
    /// asked for: if it fails, it was there nevertheless, and what comes after it is no repetition of what came before.
    async fn before(&self, asked: &Asked<'_>) -> Before {
        // Both at once: an attempt at the same is not what is looked for.
        let (latest, noted) = tokio::join!(self.usage.latest(asked), self.usage.asked(asked));
        if let Err(error) = noted {
            tracing::warn!(%error, "That an invalidation is asked for could not be noted");
        }
        let latest = match latest {
            Ok(Some(latest)) => latest,
            Ok(None) => return Before::After(None, Vec::new()),
            Err(error) => {
                tracing::warn!(%error, "What was invalidated last is not known");
                // A name that was never used: what only the table knows of may have come in between.
                return Before::After(Some(asked.at.to_string()), Vec::new());
            }
        };
        let (id, passed) = match latest.which {
            Which::Made(id) if latest.order == asked.order && latest.at >= asked.at - REPEATED => {
                (id, latest.passed)
            }
            Which::Made(name) | Which::Asked(name) => {
                return Before::After(Some(name), latest.passed);
            }
        };
        let is_it = |found: &Invalidation| found.id == id;
        let known = (Some(latest.asked), passed.as_slice());
        match self.since(asked, is_it, known).await {
            Since::Nothing(invalidation) => Before::Same(invalidation),
            Since::Another(other) => Before::After(Some(other.id), passed),
            Since::Unknown => Before::After(Some(id), passed),
        }
    }

    /// Asks for an invalidation `after` that one. One of the same name that something else came after, or that was made long ago,
    /// is no answer: what was there then has come back, and is asked for anew.
    async fn ask(
        &self,
        run: &Run<'_>,
        plan: Plan,
        mut after: Option<String>,
    ) -> Result<Done, OrderError> {
        let asked = &run.asked;
        for _ in 0..CAME_BACK {
            let found = self.named(run, &plan, after.as_deref()).await?;
            after = match found {
                (Since::Nothing(found), is_earlier) if found.created >= asked.at - REPEATED => {
                    return Ok(self.counted(run, plan, (found, is_earlier)).await);
                }
                (Since::Nothing(other) | Since::Another(other), _) => Some(other.id),
                (Since::Unknown, _) => break,
            };
        }
        // By a name that was never used.
        let (_, made) = self.create(run, &plan, Some(&asked.at.to_string())).await;
        Ok(self.counted(run, plan, (made?, false)).await)
    }

    /// The same; tells what came after the one of that name, and whether that was made earlier.
    async fn named(
        &self,
        run: &Run<'_>,
        plan: &Plan,
        after: Option<&str>,
    ) -> Result<(Since, bool), Error> {
        let asked = &run.asked;
        let (reference, created) = self.create(run, plan, after).await;
        match created {
            Ok(made) if made.created >= asked.at - EARLIER => {
                return Ok((Since::Nothing(made), false));
            }
            Err(error) if error.kind != ErrorKind::Duplicate => return Err(error),
            _ => {}
        }
        let is_it = |found: &Invalidation| found.reference == reference;
        let since = self.since(asked, is_it, (None, &run.passed));
        Ok((since.await, true))
    }

    /// Asks for an invalidation that is named after another one; tells its own name, too.
    async fn create(
        &self,
        Run { order, .. }: &Run<'_>,
        plan: &Plan,
        after: Option<&str>,
    ) -> (String, Result<Invalidation, Error>) {
        let reference = reference(order.distribution, (&plan.items, order.content), after);
        let create = self
            .cloudfront
            .create(order.distribution, &plan.items, &reference);
        let created = create.await;
        (reference, created)
    }

    /// What came after the invalidation that is looked for, or while it was asked for, which was from that moment on; of all that was
    /// not passed over.
    async fn since(
        &self,
        asked: &Asked<'_>,
        is_it: impl Fn(&Invalidation) -> bool,
        known: (Option<Timestamp>, &[String]),
    ) -> Since {
        let found = self.cloudfront.find(asked.distribution, is_it, known).await;
        let told =
            |error: &Error| tracing::warn!(%error, "An earlier invalidation could not be found");
        let Some((others, found)) = found.inspect_err(told).ok().flatten() else {
            return Since::Unknown;
        };
        let sought = Sought::new(asked.items);
        // The first that came after it: the last may be the same again, asked for after that one.
        let mut others = others.into_iter().rev();
        let another = others.find(|other| Footprint::of(&items_of(other)).touches(&sought));
        another.map_or(Since::Nothing(found), Since::Another)
    }

    /// Fails where there are tags, and the distribution knows of none.
    async fn takes_tags_of(&self, plan: &Plan, distribution: &str) -> Result<(), OrderError> {
        let mut items = plan.items.iter();
        let Some(tag) = items.find(|item| item.kind() == Kind::Tag) else {
            return Ok(());
        };
        if self.cloudfront.takes_tags(distribution).await? {
            return Ok(());
        }
        Err(OrderError::NoTags {
            distribution: distribution.to_owned(),
            tag: tag.clone(),
        })
    }

    /// The cheapest plan for an order, within the room beside what is in progress.
    async fn plan(&self, Run { order, month, .. }: &Run<'_>) -> Result<Plan, OrderError> {
        let free = self.free.saturating_sub(*month);
        let cheapest = |room: Room| {
            let plan = |price| plan(order.changed, order.known, price, room);
            let clearing_least = plan(Price::FREE)?;
            if u64::try_from(clearing_least.items.len()).unwrap_or(u64::MAX) <= free {
                return Ok(clearing_least);
            }
            plan(Price::PAID)
        };
        let room = Room {
            wildcards: self.max_wildcards.min(MAX_WILDCARDS),
            ..Room::ALL
        };
        let plan = cheapest(room).map_err(OrderError::TooLarge)?;
        if plan.wildcards() == 0 && plan.items.len() < MANY {
            return Ok(plan);
        }
        let mut room = match self.cloudfront.room(order.distribution).await {
            Ok(room) => room,
            Err(error) if error.kind == ErrorKind::NoDistribution => return Err(error.into()),
            // Whoever may not list invalidations may still ask for one.
            Err(error) => {
                tracing::warn!(%error, "What is in progress is not known");
                return Ok(plan);
            }
        };
        let for_people = MAX_WILDCARDS.saturating_sub(self.max_wildcards);
        room.wildcards = room.wildcards.saturating_sub(for_people);
        cheapest(room).map_err(|no_room| OrderError::NoRoom {
            distribution: order.distribution.to_owned(),
            no_room,
        })
    }

    async fn counted(
        &self,
        Run { asked, month, .. }: &Run<'_>,
        plan: Plan,
        (invalidation, is_earlier): (Invalidation, bool),
    ) -> Done {
        let made = Made {
            distribution: asked.distribution.to_owned(),
            invalidation: invalidation.id.clone(),
            at: invalidation.created,
            asked: asked.at,
            items: plan.items.clone(),
            order: asked.order,
            is_earlier,
        };
        let items = u64::try_from(plan.items.len()).unwrap_or(u64::MAX);
        let is_new = self.usage.count(&made).await.unwrap_or_else(|error| {
            tracing::warn!(%error, invalidation = invalidation.id, "An invalidation could not be counted");
            !is_earlier
        });
        let billed = if is_new { items } else { 0 };
        Done {
            cost: cost(*month, billed, self.free),
            plan,
            invalidation,
            is_new,
            billed,
            // What others have had in the meantime is in the count, and not here.
            month: month.saturating_add(billed),
        }
    }

    /// Whether the next item costs something.
    pub async fn is_paid(&self) -> bool {
        self.month(Timestamp::now()).await >= self.free
    }

    /// How many items the month of that moment has had; as if none where that is not known.
    pub async fn month(&self, at: Timestamp) -> u64 {
        self.usage
            .month(BillingMonth::of(at))
            .await
            .unwrap_or_else(|error| {
                tracing::warn!(%error, "How many paths the month has had is not known");
                0
            })
    }
}

/// What was asked for before, in a month that has had so many items.
fn done_before(invalidation: Invalidation, month: u64) -> Done {
    Done {
        plan: Plan {
            items: items_of(&invalidation),
            over_invalidated: 0,
        },
        invalidation,
        is_new: false,
        billed: 0,
        month,
        cost: 0.0,
    }
}

/// The items of an invalidation, as `CloudFront` has them.
fn items_of(invalidation: &Invalidation) -> Vec<Item> {
    let items = invalidation.items.iter();
    items.map(|text| Item::spelled(text)).collect()
}
