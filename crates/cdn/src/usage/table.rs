//! The count in a table of DynamoDB.
//!
//! | pk | sk | attributes |
//! |---|---|---|
//! | `month` | `2026-11` (UTC) | `paths`: items that were billed |
//! | a distribution's id | `2026-11-27T04:00:00.123Z#I2J0I21PCUYOIK` | `paths`; `asked`: when it was about to be asked for; `cleared`: hashes of its paths and tags, 8 bytes each; `stem`: what its paths begin with; `tags`: that there are any; `wildcards`; `order`: a hash of what was asked for, and because of what; `expires` |
//! | a distribution's id | `2026-11-27T04:00:00.123Z#asked-…` | the same of what was about to be asked for, without `paths` |

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::{
    Client,
    config::http::HttpResponse,
    error::{BuildError, SdkError},
    operation::{
        query::builders::QueryFluentBuilder, transact_write_items::TransactWriteItemsError,
    },
    primitives::Blob,
    types::{AttributeValue, Put, TransactWriteItem, Update},
};
use backon::{ExponentialBuilder, Retryable as _};
use jiff::{SignedDuration, Timestamp};

use super::{
    Asked, BillingMonth, Made,
    cleared::{Cleared, Footprint, Latest, Once, Search, Which},
};
use crate::{error::told, item::Item};

/// What changed may wait in a queue for two weeks at most.
const KEPT: SignedDuration = SignedDuration::from_hours(35 * 24);
/// What was asked for so long ago is not repeated any more.
const ASKED: SignedDuration = SignedDuration::from_hours(24);
/// The last one of the same items is among the first of these, mostly.
const A_PAGE: i32 = 25;
/// So many pages are looked through; whoever asks for what lies further back is told by its age.
const PAGES: usize = 8;
const HASH: usize = size_of::<u64>();

/// The table could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{operation} of the table {table} failed: {cause}")]
pub struct UsageError {
    operation: &'static str,
    table: String,
    cause: String,
}

/// A table with the partition key `pk` and the sort key `sk`, both Strings.
#[derive(Debug)]
pub struct Table {
    client: Client,
    name: String,
}

impl Table {
    pub(super) fn new(client: Client, name: String) -> Self {
        Self { client, name }
    }

    pub(super) async fn count(&self, made: &Made) -> Result<bool, UsageError> {
        let month = BillingMonth::of(made.at);
        let write = || async {
            let put = self.put(made).map_err(Failed::Incomplete)?;
            let add = self.add(month, made.billed()).map_err(Failed::Incomplete)?;
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
        match written {
            Ok(()) => Ok(true),
            Err(failed) if failed.is_there_already() => Ok(false),
            Err(failed) => Err(self.failed("TransactWriteItems", failed.told())),
        }
    }

    fn put(&self, made: &Made) -> Result<Put, BuildError> {
        let mut item = item(&made.distribution, Once::made(made), KEPT);
        item.insert("paths".to_owned(), number(&made.billed()));
        Put::builder()
            .table_name(&self.name)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)")
            .build()
    }

    pub(super) async fn asked(&self, asked: &Asked<'_>) -> Result<(), UsageError> {
        let item = item(asked.distribution, Once::asked(asked), ASKED);
        let put = self.client.put_item().table_name(&self.name);
        let written = put.set_item(Some(item)).send().await;
        written
            .map(drop)
            .map_err(|error| self.failed("PutItem", told(&error)))
    }

    fn add(&self, month: BillingMonth, items: u64) -> Result<Update, BuildError> {
        Update::builder()
            .table_name(&self.name)
            .key("pk", text("month"))
            .key("sk", text(&month))
            .update_expression("ADD paths :items")
            .expression_attribute_values(":items", number(&items))
            .build()
    }

    pub(super) async fn month(&self, month: BillingMonth) -> Result<u64, UsageError> {
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

    /// What was cleared of a distribution since then.
    pub(super) async fn cleared(
        &self,
        distribution: &str,
        since: Timestamp,
    ) -> Result<Cleared, UsageError> {
        let query = self.since(distribution, since);
        let mut pages = query.into_paginator().send();
        let mut all = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.failed("Query", told(&error)))?;
            all.extend(page.items().iter().filter_map(once));
        }
        Ok(all.into_iter().collect())
    }

    /// The latest order that had to do with any of the items.
    pub(super) async fn latest(&self, asked: &Asked<'_>) -> Result<Option<Latest>, UsageError> {
        let query = self
            .since(asked.distribution, Timestamp::UNIX_EPOCH)
            .scan_index_forward(false);
        let mut search = Search::new(asked);
        let mut pages = query.limit(A_PAGE).into_paginator().send();
        for _ in 0..PAGES {
            let Some(page) = pages.next().await else {
                break;
            };
            let page = page.map_err(|error| self.failed("Query", told(&error)))?;
            let mut latest = page.items().iter().filter_map(once);
            if let Some(found) = latest.find_map(|once| search.look(&once)) {
                return Ok(Some(found));
            }
        }
        Ok(search.end())
    }

    fn since(&self, distribution: &str, since: Timestamp) -> QueryFluentBuilder {
        let query = self
            .client
            .query()
            .table_name(&self.name)
            .consistent_read(true);
        query
            .key_condition_expression("pk = :pk AND sk >= :since")
            .expression_attribute_values(":pk", text(distribution))
            .expression_attribute_values(":since", text(&format!("{since:.3}")))
    }

    fn failed(&self, operation: &'static str, cause: String) -> UsageError {
        UsageError {
            operation,
            table: self.name.clone(),
            cause,
        }
    }
}

/// What is kept of an order, for so long.
fn item(distribution: &str, once: Once, kept: SignedDuration) -> HashMap<String, AttributeValue> {
    let Footprint {
        hashes,
        wildcards,
        stem,
        has_tags,
    } = once.items;
    let expires = once.at.saturating_add(kept).unwrap_or(once.at);
    let name = once.which.as_str();
    let hashes: Vec<u8> = hashes.into_iter().flat_map(u64::to_le_bytes).collect();
    let wildcards: Vec<_> = wildcards.iter().map(Item::to_string).collect();
    let always = [
        ("pk", text(distribution)),
        ("sk", text(&format!("{:.3}#{name}", once.at))),
        ("asked", text(&format!("{:.3}", once.asked))),
        ("order", number(&once.order)),
        ("expires", number(&expires.as_second())),
    ];
    // None of these may be empty.
    let perhaps = [
        (
            "cleared",
            (!hashes.is_empty()).then(|| AttributeValue::B(Blob::new(hashes))),
        ),
        (
            "wildcards",
            (!wildcards.is_empty()).then_some(AttributeValue::Ss(wildcards)),
        ),
        ("stem", stem.as_ref().map(text)),
        ("tags", has_tags.then_some(AttributeValue::Bool(true))),
    ];
    let perhaps = perhaps
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    let all = always.into_iter().chain(perhaps);
    all.map(|(name, value)| (name.to_owned(), value)).collect()
}

/// What an order's item says; nothing, if it is not as it is written here.
fn once(item: &HashMap<String, AttributeValue>) -> Option<Once> {
    let (at, name) = item.get("sk")?.as_s().ok()?.split_once('#')?;
    let order = item
        .get("order")
        .and_then(|order| order.as_n().ok()?.parse().ok());
    let hashes = item.get("cleared").and_then(|hashes| hashes.as_b().ok());
    let hashes = hashes.map(|blob| blob.as_ref().chunks_exact(HASH));
    let hashes = hashes
        .into_iter()
        .flatten()
        .filter_map(|bytes| bytes.try_into().ok());
    let wildcards = item
        .get("wildcards")
        .and_then(|wildcards| wildcards.as_ss().ok());
    let wildcards = wildcards.into_iter().flatten();
    let stem = item.get("stem").and_then(|stem| stem.as_s().ok());
    let at = at.parse().ok()?;
    let asked = item.get("asked").and_then(|asked| asked.as_s().ok());
    Some(Once {
        which: Which::of(name),
        order: order.unwrap_or_default(),
        at,
        asked: asked.and_then(|asked| asked.parse().ok()).unwrap_or(at),
        items: Footprint {
            hashes: hashes.map(u64::from_le_bytes).collect(),
            wildcards: wildcards.map(|text| Item::spelled(text)).collect(),
            stem: stem.cloned(),
            has_tags: item.contains_key("tags"),
        },
    })
}

/// A transaction failed.
enum Failed {
    Incomplete(BuildError),
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

fn text(value: &(impl ToString + ?Sized)) -> AttributeValue {
    AttributeValue::S(value.to_string())
}

fn number(value: &(impl ToString + ?Sized)) -> AttributeValue {
    AttributeValue::N(value.to_string())
}
