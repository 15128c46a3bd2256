//! The port to the servers' table, which is somebody else's: two attributes of its items are ours.

use std::time::Duration;

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    instance::InstanceId,
    item::{TableError, number, parsed, text},
    total::Minutes,
};

/// The attribute that the minutes are in.
pub const MINUTES: &str = "runningMinutesCache";
/// The attribute that says when they were computed.
pub const TIMESTAMP: &str = "runningMinutesCacheTimestamp";
const ID: &str = "id";

/// A client of the table. Its partition key is `id`, a String; it has no sort key.
#[derive(Clone, Debug)]
pub struct Servers {
    client: Client,
    table: String,
}

/// What is cached of a server.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CachedMinutes {
    /// Its running minutes in the month of `at`, up to then.
    pub minutes: f64,
    /// When they were computed.
    pub at: Timestamp,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is there.
    Yes,
    /// A newer value was there, or no server; that stays.
    Refused,
}

impl Servers {
    /// Of the table with this name.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self {
            client,
            table: table.into(),
        }
    }

    /// What is cached of `instance`, by one `GetItem`. What is there and cannot be read counts as nothing.
    pub async fn get(&self, instance: &InstanceId) -> Result<Option<CachedMinutes>, TableError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .key(ID, text(instance))
            .projection_expression("#minutes, #at")
            .expression_attribute_names("#minutes", MINUTES)
            .expression_attribute_names("#at", TIMESTAMP)
            .send()
            .await
            .map_err(|error| TableError::of("GetItem", &self.table, &error))?;
        Ok(answer.item.and_then(|item| {
            let minutes = parsed(&item, MINUTES);
            Some(CachedMinutes {
                minutes: minutes.filter(|minutes: &f64| minutes.is_finite() && *minutes >= 0.0)?,
                at: parsed(&item, TIMESTAMP)?,
            })
        }))
    }

    /// Writes `minutes`, computed at `at`, unless something newer is there. Of the item's other attributes none is touched.
    /// Where there is no item, it makes one if `create` says so: not for a server that is gone, whose item may have been deleted.
    pub async fn set(
        &self,
        instance: &InstanceId,
        minutes: Minutes,
        at: Timestamp,
        create: bool,
    ) -> Result<Written, TableError> {
        let newer = "(attribute_not_exists(#at) OR #at <= :at)";
        let condition = if create {
            newer.to_owned()
        } else {
            format!("attribute_exists(#id) AND {newer}")
        };
        let names = (!create).then_some(("#id".to_owned(), ID.to_owned()));
        let names = [("#minutes", MINUTES), ("#at", TIMESTAMP)]
            .map(|(short, name)| (short.to_owned(), name.to_owned()))
            .into_iter()
            .chain(names)
            .collect();
        let written = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(ID, text(instance))
            .update_expression("SET #minutes = :minutes, #at = :at")
            .condition_expression(condition)
            .set_expression_attribute_names(Some(names))
            .expression_attribute_values(":minutes", number(minutes))
            .expression_attribute_values(":at", timestamp(at))
            .send()
            .await;
        match written {
            Ok(_) => Ok(Written::Yes),
            Err(error) => {
                let error = TableError::of("UpdateItem", &self.table, &error);
                if error.is_refused_by_condition() {
                    Ok(Written::Refused)
                } else {
                    Err(error)
                }
            }
        }
    }
}

/// RFC 3339 in UTC to the second, so that texts compare as their moments do.
fn timestamp(at: Timestamp) -> AttributeValue {
    text(format!("{at:.0}"))
}

/// How old a moment is; nothing if it lies ahead.
#[must_use]
pub fn age(at: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(at)).unwrap_or_default()
}
