//! The port to the ledger's table: what is known of the past, so that CloudTrail is asked for it once.
//!
//! | `pk` | `sk` | what |
//! |---|---|---|
//! | `transitions#{region}#{month in UTC}` | `{instance}#{moment}#{id}` | a transition; the same twice is the same item |
//! | `watermark` | `{region}` | up to where CloudTrail was asked, and what is still to be |
//! | `server#{instance}` | `month#{month}` | a server's total, by days |
//! | `reads#{day}` | `{instance}` | how often a server's minutes were read |

mod rows;

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    Client,
    types::{AttributeValue, KeysAndAttributes},
};
use futures_util::{StreamExt as _, TryStreamExt as _, future::try_join_all, stream};
use jiff::{Timestamp, civil::Date, tz::TimeZone};

use crate::{
    account::Looks,
    instance::InstanceId,
    item::{Item, TableError, number, parsed, pauses, put_all, text, text_of},
    month::Month,
    observation::{Observation, Power, Transition},
    total::{Quality, Total},
};
use rows::{
    expiry, gap_text, keyed, month_key, observation, partition, power, reads_expiry, reads_key,
    server, sort_key, total, watermark,
};

/// The most keys in one `BatchGetItem`.
const BATCH: usize = 100;
/// How many of these are asked at a time.
const AT_A_TIME: usize = 8;

/// A client of the table. Its keys are `pk` and `sk`, Strings; `expires` is its TTL attribute.
#[derive(Clone, Debug)]
pub struct Ledger {
    client: Client,
    table: String,
}

/// Up to where CloudTrail was asked in a Region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watermark {
    /// All events since then are known, but for `gaps`.
    pub from: Timestamp,
    /// All events up to then.
    pub until: Timestamp,
    /// What could not be asked in time.
    pub gaps: Vec<Gap>,
    /// The last month whose totals are final.
    pub closed: Option<Month>,
}

/// A range that is still to be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The events' name.
    pub name: String,
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
}

/// A server's total of a month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonthTotal {
    /// Which month.
    pub month: Month,
    /// How long it ran.
    pub total: Total,
    /// When it begins, and what the server was then, if that is known.
    pub opening: Option<(Timestamp, Power)>,
    /// What it was when it was looked at.
    pub looks: Looks,
    /// Whether it was seen without its tag since: it is no server any more.
    pub left: bool,
}

/// Observations of each instance.
pub type Observations = HashMap<InstanceId, Vec<Observation>>;

impl Ledger {
    /// Of the table with this name.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self {
            client,
            table: table.into(),
        }
    }

    /// Records transitions in `region`. What is recorded already stays as it is.
    pub async fn record(&self, region: &str, transitions: &[Transition]) -> Result<(), TableError> {
        // A batch may not name a key twice.
        let mut items: HashMap<_, Item> = HashMap::new();
        for transition in transitions {
            let observed = transition.observed;
            let month = Month::of(observed.at, &TimeZone::UTC);
            let (pk, sk) = (partition(region, month), sort_key(transition));
            let mut item = keyed(&pk, &sk);
            item.insert("after".to_owned(), text(power(observed.after)));
            if let Some(before) = observed.before {
                item.insert("before".to_owned(), text(power(before)));
            }
            if observed.launched {
                item.insert("launched".to_owned(), AttributeValue::Bool(true));
            }
            item.insert("expires".to_owned(), expiry(observed.at));
            items.insert((pk, sk), item);
        }
        put_all(&self.client, &self.table, items.into_values()).await
    }

    /// What was recorded in `region` between two moments, of each instance or of `only` one.
    pub async fn observations(
        &self,
        region: &str,
        (from, until): (Timestamp, Timestamp),
        only: Option<&InstanceId>,
    ) -> Result<Observations, TableError> {
        let mut all = Observations::new();
        let months = Month::of(from, &TimeZone::UTC).to(Month::of(until, &TimeZone::UTC));
        for month in months {
            let prefix = only.map(|instance| format!("{instance}#"));
            let pages = self.query(&partition(region, month), prefix.as_deref());
            let mut pages = pages.items().send();
            while let Some(item) = pages.next().await {
                let item = item.map_err(|error| TableError::of("Query", &self.table, &error))?;
                if let Some((instance, observed)) = observation(&item) {
                    all.entry(instance).or_default().push(observed);
                }
            }
        }
        Ok(all)
    }

    fn query(
        &self,
        pk: &str,
        prefix: Option<&str>,
    ) -> aws_sdk_dynamodb::operation::query::paginator::QueryPaginator {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            // What was recorded just now is among it.
            .consistent_read(true)
            .expression_attribute_values(":pk", text(pk));
        let query = match prefix {
            None => query.key_condition_expression("pk = :pk"),
            Some(prefix) => query
                .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
                .expression_attribute_values(":prefix", text(prefix)),
        };
        query.into_paginator()
    }

    /// Up to where CloudTrail was asked in `region`, if it ever was.
    pub async fn watermark(&self, region: &str) -> Result<Option<Watermark>, TableError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(keyed("watermark", region)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| TableError::of("GetItem", &self.table, &error))?;
        Ok(answer.item.and_then(|item| watermark(&item)))
    }

    /// Sets it, if it is still what `read` was: otherwise another run has gone on meanwhile, and knows better.
    pub async fn set_watermark(
        &self,
        region: &str,
        read: Option<&Watermark>,
        mark: &Watermark,
    ) -> Result<(), TableError> {
        let mut item = keyed("watermark", region);
        item.insert("from".to_owned(), text(mark.from));
        item.insert("until".to_owned(), text(mark.until));
        let gaps = mark.gaps.iter().map(|gap| text(gap_text(gap))).collect();
        item.insert("gaps".to_owned(), AttributeValue::L(gaps));
        if let Some(closed) = mark.closed {
            item.insert("closed".to_owned(), text(closed));
        }
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .expression_attribute_names("#until", "until");
        let put = match read {
            None => put.condition_expression("attribute_not_exists(#until)"),
            Some(read) => put
                .condition_expression("#until = :read")
                .expression_attribute_values(":read", text(read.until)),
        };
        match put.send().await {
            Ok(_) => Ok(()),
            Err(error) => {
                let error = TableError::of("PutItem", &self.table, &error);
                if error.is_refused_by_condition() {
                    tracing::info!(region, "Another run has gone on meanwhile");
                    Ok(())
                } else {
                    Err(error)
                }
            }
        }
    }

    /// The totals of `instances` in `month`, of those that have one.
    pub async fn totals(
        &self,
        instances: &[InstanceId],
        month: Month,
    ) -> Result<HashMap<InstanceId, MonthTotal>, TableError> {
        let batches = stream::iter(instances.chunks(BATCH).map(<[InstanceId]>::to_vec));
        let batches = batches.map(|batch| self.totals_of(batch, month));
        let batches: Vec<_> = batches.buffer_unordered(AT_A_TIME).try_collect().await?;
        Ok(batches.into_iter().flatten().collect())
    }

    /// The same, of as many as fit into one request.
    async fn totals_of(
        &self,
        batch: Vec<InstanceId>,
        month: Month,
    ) -> Result<Vec<(InstanceId, MonthTotal)>, TableError> {
        let mut all = Vec::with_capacity(batch.len());
        let keys = batch.iter().map(|it| keyed(&server(it), &month_key(month)));
        let mut keys: Vec<_> = keys.collect();
        let mut pauses = pauses();
        while !keys.is_empty() {
            let asked = KeysAndAttributes::builder()
                .set_keys(Some(keys))
                .build()
                .ok();
            let asked = asked.map(|asked| (self.table.clone(), asked));
            let asked = Some(asked.into_iter().collect());
            let answer = self
                .client
                .batch_get_item()
                .set_request_items(asked)
                .send()
                .await;
            let answer =
                answer.map_err(|error| TableError::of("BatchGetItem", &self.table, &error))?;
            let found = answer.responses.unwrap_or_default().remove(&self.table);
            for item in found.unwrap_or_default() {
                let instance = text_of(&item, "pk").and_then(|pk| pk.strip_prefix("server#"));
                let instance = instance.and_then(|id| id.parse().ok());
                all.extend(instance.zip(total(&item)));
            }
            let left = answer
                .unprocessed_keys
                .unwrap_or_default()
                .remove(&self.table);
            keys = left.map(|left| left.keys).unwrap_or_default();
            if !keys.is_empty() {
                let busy = || TableError::busy("BatchGetItem", &self.table);
                tokio::time::sleep(pauses.next().ok_or_else(busy)?).await;
            }
        }
        Ok(all)
    }

    /// Keeps totals.
    pub async fn set_totals(&self, totals: &[(InstanceId, MonthTotal)]) -> Result<(), TableError> {
        let items = totals.iter().map(|(instance, of)| {
            let mut item = keyed(&server(instance), &month_key(of.month));
            let days = of.total.days.iter().map(number).collect();
            item.extend([
                ("seconds".to_owned(), number(of.total.seconds)),
                ("doubtful".to_owned(), number(of.total.doubtful)),
                ("days".to_owned(), AttributeValue::L(days)),
                ("power".to_owned(), text(power(of.looks.power))),
                ("since".to_owned(), text(of.looks.first)),
                ("seen".to_owned(), text(of.looks.last)),
                ("expires".to_owned(), expiry(of.looks.last)),
            ]);
            if of.left {
                item.insert("left".to_owned(), AttributeValue::Bool(true));
            }
            if let Some((at, was)) = of.opening {
                item.insert("opened".to_owned(), text(at));
                item.insert("opening".to_owned(), text(power(was)));
            }
            item
        });
        put_all(&self.client, &self.table, items).await
    }

    /// Adds to how often servers' minutes were read on `day`.
    pub async fn count_reads(
        &self,
        day: Date,
        reads: HashMap<InstanceId, u32>,
    ) -> Result<(), TableError> {
        let add = reads.into_iter().map(async |(instance, times)| {
            let added = self
                .client
                .update_item()
                .table_name(&self.table)
                .set_key(Some(keyed(&reads_key(day), instance.as_str())))
                .update_expression("ADD times :times SET expires = :expires")
                .expression_attribute_values(":times", number(times))
                .expression_attribute_values(":expires", reads_expiry(day))
                .send()
                .await;
            added.map_err(|error| TableError::of("UpdateItem", &self.table, &error))
        });
        try_join_all(add).await.map(drop)
    }

    /// The servers whose minutes were read most on `day`, `most` of them at most; most often first.
    pub async fn most_read(&self, day: Date, most: usize) -> Result<Vec<InstanceId>, TableError> {
        let mut items = self.query(&reads_key(day), None).items().send();
        let mut reads: Vec<(u64, InstanceId)> = Vec::new();
        while let Some(item) = items.next().await {
            let item = item.map_err(|error| TableError::of("Query", &self.table, &error))?;
            reads.extend(parsed(&item, "times").zip(parsed(&item, "sk")));
        }
        reads.sort_unstable_by(|a, b| b.cmp(a));
        reads.truncate(most);
        Ok(reads.into_iter().map(|(_, instance)| instance).collect())
    }

    /// The totals of `instance` from one month to another, both included, in their order.
    pub async fn history(
        &self,
        instance: &InstanceId,
        (from, to): (Month, Month),
    ) -> Result<Vec<MonthTotal>, TableError> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
            .expression_attribute_values(":pk", text(server(instance)))
            .expression_attribute_values(":from", text(month_key(from)))
            .expression_attribute_values(":to", text(month_key(to)));
        let mut items = query.into_paginator().items().send();
        let mut totals = Vec::new();
        while let Some(item) = items.next().await {
            let item = item.map_err(|error| TableError::of("Query", &self.table, &error))?;
            totals.extend(total(&item));
        }
        Ok(totals)
    }
}

impl MonthTotal {
    /// How good it is.
    #[must_use]
    pub const fn quality(&self) -> Quality {
        self.total.quality()
    }

    /// Whether something may still become of a server that EC2 has forgotten: it ran when it was looked at, or something was recorded later.
    #[must_use]
    pub fn is_open(&self, recorded: Option<&Vec<Observation>>) -> bool {
        let later = |it: &Observation| it.at > self.looks.last;
        let open = self.looks.power == Power::Up
            || recorded.is_some_and(|recorded| recorded.iter().any(later));
        open && !self.left
    }
}
