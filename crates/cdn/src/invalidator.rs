//! From what changed to an invalidation: planned within the room that there is, asked for once, and counted.

use jiff::{SignedDuration, Timestamp};

use crate::{
    cloudfront::{CloudFront, Invalidation},
    error::{Error, ErrorKind},
    item::{Item, Kind},
    known::Known,
    plan::{MAX_WILDCARDS, NoRoom, Plan, Room, plan},
    price::{Price, cost},
    reference::{order as order_hash, reference},
    usage::{Asked, BillingMonth, Counted, Footprint, Latest, Made, Sought, Usage, Which},
};

/// From so many paths on it is looked how many are in progress already; `CloudFront` refuses what is too much in any case.
const MANY: usize = 500;
/// An invalidation that was made so long before it was asked for is an earlier one, however clocks differ.
const EARLIER: SignedDuration = SignedDuration::from_secs(5);
/// What was asked for so long ago is asked for again: Lambda and queues repeat a request within minutes, and people run a build again.
const REPEATED: SignedDuration = SignedDuration::from_hours(1);
/// How often content that came back is asked for by the name of the time before.
const CAME_BACK: u32 = 4;

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

/// What is to be invalidated.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// Of which distribution.
    pub distribution: &'a str,
    /// What changed.
    pub changed: &'a [Item],
    /// What else there may be.
    pub known: Known<'a>,
    /// Because of what: versions of objects, or of a deployment. The same items because of the same are one invalidation.
    pub content: &'a [String],
}

/// What an order came to.
#[derive(Clone, Debug)]
pub struct Done {
    /// The items that were asked for.
    pub plan: Plan,
    /// The invalidation; none if it was made earlier and is no longer among the newest.
    pub invalidation: Option<Invalidation>,
    /// Whether it was made now, and not earlier.
    pub is_new: bool,
    /// How many items are billed for it: none if it was made earlier.
    pub billed: u64,
    /// How many the month has had by now, as far as it is known.
    pub month: u64,
    /// What it cost, in dollars.
    pub cost: f64,
}

/// An order could not be carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OrderError {
    /// It is more than a distribution takes at a time, however empty.
    #[error("{0}: name fewer paths, or wildcards for them")]
    TooLarge(NoRoom),
    /// There is no room beside what is in progress.
    #[error("too much is in progress on {distribution}: {no_room}")]
    NoRoom {
        /// Of which distribution.
        distribution: String,
        /// What there is room for.
        no_room: NoRoom,
    },
    /// There are tags, and the distribution knows of none.
    #[error(
        "{tag} is a tag, and {distribution} has no cache tags: set its CacheTagConfig, or name paths"
    )]
    NoTags {
        /// Of which distribution.
        distribution: String,
        /// One of the tags.
        tag: Item,
    },
    /// `CloudFront` has refused it, or cannot be asked.
    #[error(transparent)]
    CloudFront(#[from] Error),
}

impl OrderError {
    /// What it means.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::TooLarge(_) | Self::NoTags { .. } => ErrorKind::Invalid,
            Self::NoRoom { .. } => ErrorKind::TooManyInProgress,
            Self::CloudFront(error) => error.kind,
        }
    }

    /// Whether the same may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.kind().is_retryable()
    }
}

/// An invalidation of the same name.
enum Earlier {
    /// Nothing was cleared since that it clears: the same was asked for already, if that was not long ago.
    Still(Invalidation),
    /// It came before this one, which has cleared some of the same: other content was there in between.
    Before(Invalidation),
    /// It is not among the newest, or these cannot be looked at.
    Unknown,
}

impl Invalidator {
    /// Has what an order says invalidated, unless the same was ordered before. There has to be something to invalidate.
    pub async fn carry_out(&self, order: &Order<'_>) -> Result<Done, OrderError> {
        let Order { distribution, .. } = *order;
        let plan = self.plan(order).await?;
        if let Some(tag) = plan.items.iter().find(|item| item.kind() == Kind::Tag)
            && !self.cloudfront.takes_tags(distribution).await?
        {
            return Err(OrderError::NoTags {
                distribution: distribution.to_owned(),
                tag: tag.clone(),
            });
        }
        let asked = Asked {
            distribution,
            items: &plan.items,
            order: order_hash(&plan.items, order.content),
            at: Timestamp::now(),
        };
        // Both at once: an attempt at the same is not what is looked for.
        let (latest, noted) = tokio::join!(self.usage.latest(&asked), self.usage.asked(&asked));
        if let Err(error) = noted {
            tracing::warn!(%error, "That an invalidation is asked for could not be noted");
        }
        let latest = latest.unwrap_or_else(|error| {
            tracing::warn!(%error, "What was invalidated last is not known");
            None
        });
        if let Some(Latest {
            which: Which::Made(id),
            at,
            order,
        }) = &latest
            && *order == asked.order
            && *at >= asked.at - REPEATED
        {
            let earlier = self.cloudfront.get(distribution, id).await;
            let at = asked.at;
            return Ok(self.done_before(plan, earlier.ok(), at).await);
        }
        let after = latest.map(|latest| latest.which.as_str().to_owned());
        let asked = (asked.order, asked.at);
        self.ask(order, (plan, asked), after).await
    }

    /// Asks for an invalidation `after` that one. One of the same name that something else came after, or that was made long ago,
    /// is no answer: what was there then has come back, and is asked for anew.
    async fn ask(
        &self,
        order: &Order<'_>,
        (plan, (hash, began)): (Plan, (u64, Timestamp)),
        mut after: Option<String>,
    ) -> Result<Done, OrderError> {
        let distribution = order.distribution;
        for attempt in 1..=CAME_BACK {
            let named = (plan.items.as_slice(), order.content);
            let reference = reference(distribution, named, after.as_deref());
            let created = self
                .cloudfront
                .create(distribution, &plan.items, &reference)
                .await;
            let is_earlier = match &created {
                Ok(made) => made.created < began - EARLIER,
                Err(error) => error.kind == ErrorKind::Duplicate,
            };
            let found = if is_earlier {
                self.earlier(distribution, &reference, &plan.items).await
            } else {
                Earlier::Still(created?)
            };
            match found {
                Earlier::Still(found) if found.created >= began - REPEATED => {
                    let made = Made {
                        distribution: distribution.to_owned(),
                        invalidation: found.id.clone(),
                        at: found.created,
                        items: plan.items.clone(),
                        order: hash,
                        is_earlier,
                    };
                    return Ok(self.counted(plan, &made, found).await);
                }
                Earlier::Still(other) | Earlier::Before(other) if attempt < CAME_BACK - 1 => {
                    after = Some(other.id);
                }
                // A name that was never used.
                _ => after = Some(began.to_string()),
            }
        }
        Ok(self.done_before(plan, None, began).await)
    }

    /// What became of the invalidation of that reference, which there is.
    async fn earlier(&self, distribution: &str, reference: &str, items: &[Item]) -> Earlier {
        let found = self.cloudfront.find(distribution, reference).await;
        let told =
            |error: &Error| tracing::warn!(%error, "An earlier invalidation could not be found");
        let Some((newer, found)) = found.inspect_err(told).ok().flatten() else {
            return Earlier::Unknown;
        };
        let sought = Sought::new(items);
        // The first that came after it: the last may be the same again, asked for after that one.
        let mut newer = newer.into_iter().rev();
        let touched = newer.find(|other| {
            let items: Vec<_> = other.items.iter().map(|text| Item::stored(text)).collect();
            Footprint::of(&items).touches(&sought)
        });
        touched.map_or(Earlier::Still(found), Earlier::Before)
    }

    /// What was asked for before.
    async fn done_before(
        &self,
        plan: Plan,
        invalidation: Option<Invalidation>,
        at: Timestamp,
    ) -> Done {
        Done {
            plan,
            invalidation,
            is_new: false,
            billed: 0,
            month: self.month(at).await,
            cost: 0.0,
        }
    }

    /// The cheapest plan for an order, within the room beside what is in progress.
    async fn plan(&self, order: &Order<'_>) -> Result<Plan, OrderError> {
        let free = match order.known {
            // Nothing is weighed.
            Known::Nothing => self.free,
            _ => self.free.saturating_sub(self.month(Timestamp::now()).await),
        };
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

    async fn counted(&self, plan: Plan, made: &Made, invalidation: Invalidation) -> Done {
        let items = u64::try_from(plan.items.len()).unwrap_or(u64::MAX);
        let counted = self.usage.count(made).await.unwrap_or_else(|error| {
            tracing::warn!(%error, invalidation = invalidation.id, "An invalidation could not be counted");
            Counted {
                is_new: !made.is_earlier,
                month: items,
            }
        });
        let billed = if counted.is_new { items } else { 0 };
        Done {
            cost: cost(counted.month.saturating_sub(billed), billed, self.free),
            plan,
            invalidation: Some(invalidation),
            is_new: counted.is_new,
            billed,
            month: counted.month,
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
