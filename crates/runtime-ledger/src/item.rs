//! Items of DynamoDB, read and written.

use std::{collections::HashMap, hash::BuildHasher, str::FromStr, time::Duration};

use aws_sdk_dynamodb::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    types::{AttributeValue, PutRequest, WriteRequest},
};
use backon::{BackoffBuilder as _, ExponentialBuilder};

/// An item, by its attributes' names.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// The most writes in one `BatchWriteItem`.
const BATCH: usize = 25;
/// How often those are written again that the table had no room for.
const RETRIES: usize = 8;

/// A table could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{call} of table {table} failed: {cause}")]
pub struct TableError {
    call: &'static str,
    table: String,
    cause: String,
    code: Option<String>,
    transient: bool,
}

impl TableError {
    /// What `call` of `table` has come to.
    pub(crate) fn of<E, R>(call: &'static str, table: &str, error: &SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        R: std::fmt::Debug,
        SdkError<E, R>: std::error::Error,
    {
        let code = error
            .as_service_error()
            .and_then(ProvideErrorMetadata::code);
        let refused = code.is_some_and(|code| {
            let transient = [
                "Throttl",
                "LimitExceeded",
                "InternalServer",
                "Unavailable",
                "Conflict",
            ];
            !transient.iter().any(|part| code.contains(part))
        });
        Self {
            call,
            table: table.to_owned(),
            cause: aws_sdk_dynamodb::error::DisplayErrorContext(error).to_string(),
            code: code.map(str::to_owned),
            transient: !refused && !matches!(error, SdkError::ConstructionFailure(_)),
        }
    }

    /// That it has no capacity left for `call`, however often it is asked.
    pub(crate) fn busy(call: &'static str, table: &str) -> Self {
        Self {
            call,
            table: table.to_owned(),
            cause: "it had no capacity left for some items, in several tries".to_owned(),
            code: None,
            transient: true,
        }
    }

    /// Whether another try may succeed.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        self.transient
    }

    /// Whether the condition of a write did not hold.
    #[must_use]
    pub fn is_refused_by_condition(&self) -> bool {
        self.code.as_deref() == Some("ConditionalCheckFailedException")
    }
}

/// Writes items, 25 at a time, made as they are written: thousands of them at once would take more memory than all else. What
/// a table had no room for is written again. Each overwrites what has its key.
pub(crate) async fn put_all(
    client: &Client,
    table: &str,
    items: impl Iterator<Item = Item>,
) -> Result<(), TableError> {
    let mut items = items.map(put);
    loop {
        let mut batch: Vec<_> = items.by_ref().take(BATCH).collect();
        if batch.is_empty() {
            return Ok(());
        }
        let mut pauses = pauses();
        loop {
            let request = client.batch_write_item().request_items(table, batch);
            let answer = request.send().await;
            let answer = answer.map_err(|error| TableError::of("BatchWriteItem", table, &error))?;
            let left = answer.unprocessed_items.unwrap_or_default().remove(table);
            batch = left.unwrap_or_default();
            if batch.is_empty() {
                break;
            }
            let pause = pauses
                .next()
                .ok_or_else(|| TableError::busy("BatchWriteItem", table))?;
            tokio::time::sleep(pause).await;
        }
    }
}

pub(crate) fn pauses() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(2))
        .with_max_times(RETRIES)
        .with_jitter()
        .build()
}

fn put(item: Item) -> WriteRequest {
    let put = PutRequest::builder().set_item(Some(item)).build().ok();
    WriteRequest::builder().set_put_request(put).build()
}

#[expect(clippy::needless_pass_by_value, reason = "most are made for it")]
pub(crate) fn text(value: impl ToString) -> AttributeValue {
    AttributeValue::S(value.to_string())
}

#[expect(clippy::needless_pass_by_value, reason = "most are made for it")]
pub(crate) fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// The text of an attribute, if it is one.
pub(crate) fn text_of<'a, S: BuildHasher>(
    item: &'a HashMap<String, AttributeValue, S>,
    name: &str,
) -> Option<&'a str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

/// What an attribute's text or number stands for, if it is one.
pub(crate) fn parsed<T: FromStr>(item: &Item, name: &str) -> Option<T> {
    let value = item.get(name)?;
    let text = value.as_s().or_else(|_| value.as_n()).ok()?;
    text.parse().ok()
}
