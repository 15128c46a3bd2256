//! What an account's month has had of invalidations, and which events have been seen to: in a table, so that all environments
//! count together and nothing counts twice; or in this process alone, where there is no table.
//!
//! | pk | sk | attributes |
//! |---|---|---|
//! | `month` | `2026-11` (UTC) | `paths`: items that were billed |
//! | a distribution's id | `2026-11-27T04:00:00Z#I2J0I21PCUYOIK` | `paths`; `handled`: hashes of the events, 8 bytes each; `expires` |
//!
//! The price counts by account, and `CloudFront` tells nobody how many there were: what others invalidate is not in this count.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use aws_sdk_dynamodb::{
    Client,
    config::http::HttpResponse,
    error::{DisplayErrorContext, SdkError},
    operation::transact_write_items::TransactWriteItemsError,
    primitives::Blob,
    types::{AttributeValue, Put, TransactWriteItem, Update},
};
use backon::{ExponentialBuilder, Retryable as _};
use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};

/// Events are delivered again within minutes, and stay in a queue for two weeks at most.
const KEPT: SignedDuration = SignedDuration::from_hours(35 * 24);
/// How far back it is looked for events that were delivered before.
pub const DELIVERED_AGAIN: SignedDuration = SignedDuration::from_hours(6);
/// How many invalidations this process remembers without a table.
const REMEMBERED: usize = 10_000;
const HASH: usize = size_of::<u64>();

/// A year and a month of UTC, as `2026-11`: the months that bills have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BillingMonth(Date);

impl BillingMonth {
    /// The one of that moment.
    #[must_use]
    pub fn of(at: Timestamp) -> Self {
        Self(at.to_zoned(TimeZone::UTC).date().first_of_month())
    }
}

impl std::fmt::Display for BillingMonth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.strftime("%Y-%m"))
    }
}

/// An invalidation that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Of which distribution.
    pub distribution: String,
    /// Its id.
    pub invalidation: String,
    /// When.
    pub at: Timestamp,
    /// How many items it has.
    pub items: u64,
    /// Hashes of the events that it is because of.
    pub handled: Vec<u64>,
}

/// What became of an invalidation in the count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Whether it is in the count for the first time.
    pub is_new: bool,
    /// How many items the month has had by now.
    pub month: u64,
}

/// The table could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{operation} of the table {table} failed: {cause}")]
pub struct UsageError {
    operation: &'static str,
    table: String,
    cause: String,
}

/// The count.
#[derive(Debug)]
pub enum Usage {
    /// Of all environments.
    Table(Table),
    /// Of this process.
    Process(Mutex<Process>),
}

/// A table with the partition key `pk` and the sort key `sk`, both Strings.
#[derive(Debug)]
pub struct Table {
    client: Client,
    name: String,
}

/// What this process has counted.
#[derive(Debug, Default)]
pub struct Process {
    months: HashMap<String, u64>,
    made: HashSet<(String, String)>,
    handled: Vec<(Timestamp, String, u64)>,
}

impl Usage {
    /// In a table, or in this process where none is named.
    #[must_use]
    pub fn new(table: Option<(Client, String)>) -> Self {
        match table {
            Some((client, name)) => Self::Table(Table { client, name }),
            None => Self::Process(Mutex::default()),
        }
    }

    /// Counts an invalidation, once.
    pub async fn count(&self, made: &Made) -> Result<Counted, UsageError> {
        match self {
            Self::Table(table) => table.count(made).await,
            Self::Process(process) => Ok(lock(process).count(made)),
        }
    }

    /// How many items a month has had.
    pub async fn month(&self, month: BillingMonth) -> Result<u64, UsageError> {
        match self {
            Self::Table(table) => table.month(month).await,
            Self::Process(process) => Ok(lock(process).month(month)),
        }
    }

    /// Hashes of the events because of which invalidations of a distribution were made since then.
    pub async fn handled(
        &self,
        distribution: &str,
        since: Timestamp,
    ) -> Result<HashSet<u64>, UsageError> {
        match self {
            Self::Table(table) => table.handled(distribution, since).await,
            Self::Process(process) => Ok(lock(process).handled(distribution, since)),
        }
    }
}

fn lock(process: &Mutex<Process>) -> std::sync::MutexGuard<'_, Process> {
    process.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Process {
    fn count(&mut self, made: &Made) -> Counted {
        if self.made.len() >= REMEMBERED {
            self.made.clear();
            self.handled.clear();
        }
        let is_new = self
            .made
            .insert((made.distribution.clone(), made.invalidation.clone()));
        let month = self
            .months
            .entry(BillingMonth::of(made.at).to_string())
            .or_default();
        if is_new {
            *month += made.items;
            let handled = made.handled.iter();
            self.handled
                .extend(handled.map(|hash| (made.at, made.distribution.clone(), *hash)));
        }
        Counted {
            is_new,
            month: *month,
        }
    }

    fn month(&self, month: BillingMonth) -> u64 {
        self.months
            .get(&month.to_string())
            .copied()
            .unwrap_or_default()
    }

    fn handled(&self, distribution: &str, since: Timestamp) -> HashSet<u64> {
        let handled = self.handled.iter();
        let handled = handled.filter(|(at, of, _)| *at >= since && of == distribution);
        handled.map(|(_, _, hash)| *hash).collect()
    }
}

impl Table {
    async fn count(&self, made: &Made) -> Result<Counted, UsageError> {
        let month = BillingMonth::of(made.at);
        let write = || async {
            let put = self.put(made).map_err(Failed::Incomplete)?;
            let add = self.add(month, made.items).map_err(Failed::Incomplete)?;
            let write = self.client.transact_write_items();
            let write = write
                .transact_items(TransactWriteItem::builder().put(put).build())
                .transact_items(TransactWriteItem::builder().update(add).build());
            let sent = write.send().await;
            sent.map(drop)
                .map_err(|error| Failed::Sent(Box::new(error)))
        };
        // Others count the same month at the same time.
        let backoff = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(50))
            .with_jitter()
            .with_max_times(6);
        let written = write.retry(backoff).when(Failed::is_conflict).await;
        let is_new = match written {
            Ok(()) => true,
            Err(failed) if failed.is_there_already() => false,
            Err(failed) => return Err(self.failed("TransactWriteItems", failed.told())),
        };
        let month = self.month(month).await?;
        Ok(Counted { is_new, month })
    }

    fn put(&self, made: &Made) -> Result<Put, aws_sdk_dynamodb::error::BuildError> {
        let hashes: Vec<u8> = made
            .handled
            .iter()
            .flat_map(|hash| hash.to_le_bytes())
            .collect();
        let expires = made.at.saturating_add(KEPT).unwrap_or(made.at);
        let put = Put::builder()
            .table_name(&self.name)
            .item("pk", text(&made.distribution))
            .item("sk", text(&format!("{:.0}#{}", made.at, made.invalidation)))
            .item("paths", number(&made.items))
            .item("expires", number(&expires.as_second()))
            .condition_expression("attribute_not_exists(pk)");
        if hashes.is_empty() {
            return put.build();
        }
        put.item("handled", AttributeValue::B(Blob::new(hashes)))
            .build()
    }

    fn add(
        &self,
        month: BillingMonth,
        items: u64,
    ) -> Result<Update, aws_sdk_dynamodb::error::BuildError> {
        Update::builder()
            .table_name(&self.name)
            .key("pk", text("month"))
            .key("sk", text(&month))
            .update_expression("ADD paths :items")
            .expression_attribute_values(":items", number(&items))
            .build()
    }

    async fn month(&self, month: BillingMonth) -> Result<u64, UsageError> {
        let get = self.client.get_item().table_name(&self.name);
        let get = get.key("pk", text("month")).key("sk", text(&month));
        let got = get.consistent_read(true).send().await;
        let item = got
            .map_err(|error| self.failed("GetItem", told(&error)))?
            .item;
        let paths = item.as_ref().and_then(|item| item.get("paths"));
        let paths = paths.and_then(|paths| paths.as_n().ok()?.parse().ok());
        Ok(paths.unwrap_or_default())
    }

    async fn handled(
        &self,
        distribution: &str,
        since: Timestamp,
    ) -> Result<HashSet<u64>, UsageError> {
        let query = self.client.query().table_name(&self.name);
        let query = query
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND sk >= :since")
            .expression_attribute_values(":pk", text(distribution))
            .expression_attribute_values(":since", text(&format!("{since:.0}")));
        let mut pages = query.into_paginator().send();
        let mut all = HashSet::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.failed("Query", told(&error)))?;
            for item in page.items() {
                let hashes = item.get("handled").and_then(|hashes| hashes.as_b().ok());
                let hashes = hashes.map(|blob| blob.as_ref().chunks_exact(HASH));
                let hashes = hashes
                    .into_iter()
                    .flatten()
                    .filter_map(|bytes| bytes.try_into().ok());
                all.extend(hashes.map(u64::from_le_bytes));
            }
        }
        Ok(all)
    }

    fn failed(&self, operation: &'static str, cause: String) -> UsageError {
        UsageError {
            operation,
            table: self.name.clone(),
            cause,
        }
    }
}

/// A transaction failed.
enum Failed {
    Incomplete(aws_sdk_dynamodb::error::BuildError),
    Sent(Box<SdkError<TransactWriteItemsError, HttpResponse>>),
}

impl Failed {
    fn has(&self, code: &str) -> bool {
        let Self::Sent(error) = self else {
            return false;
        };
        match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(canceled)) => {
                let mut reasons = canceled.cancellation_reasons().iter();
                reasons.any(|reason| reason.code() == Some(code))
            }
            _ => false,
        }
    }

    fn is_conflict(&self) -> bool {
        self.has("TransactionConflict") && !self.is_there_already()
    }

    fn is_there_already(&self) -> bool {
        self.has("ConditionalCheckFailed")
    }

    fn told(&self) -> String {
        match self {
            Self::Incomplete(error) => error.to_string(),
            Self::Sent(error) => told(error.as_ref()),
        }
    }
}

/// An error with all of its causes, cut where it would fill a log.
fn told(error: &(impl std::error::Error + 'static)) -> String {
    DisplayErrorContext(error)
        .to_string()
        .chars()
        .take(500)
        .collect()
}

fn text(value: &(impl ToString + ?Sized)) -> AttributeValue {
    AttributeValue::S(value.to_string())
}

fn number(value: &(impl ToString + ?Sized)) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(id: &str, at: &str, handled: &[u64]) -> Made {
        Made {
            distribution: "E1".to_owned(),
            invalidation: id.to_owned(),
            at: at.parse().unwrap(),
            items: 3,
            handled: handled.to_vec(),
        }
    }

    #[test]
    fn a_process_counts_each_once_and_by_the_month_of_utc() {
        let mut process = Process::default();
        let first = made("I1", "2026-11-30T23:59:59Z", &[7]);
        assert_eq!(
            process.count(&first),
            Counted {
                is_new: true,
                month: 3
            }
        );
        assert_eq!(
            process.count(&first),
            Counted {
                is_new: false,
                month: 3
            }
        );
        let second = made("I2", "2026-12-01T00:00:00Z", &[8]);
        assert_eq!(
            process.count(&second),
            Counted {
                is_new: true,
                month: 3
            }
        );
        assert_eq!(process.month(BillingMonth::of(first.at)), 3);
        assert_eq!(process.handled("E1", second.at), HashSet::from([8]));
        assert_eq!(process.handled("E1", first.at), HashSet::from([7, 8]));
        assert!(process.handled("E2", first.at).is_empty());
    }
}
