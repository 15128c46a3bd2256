//! The function's answers.

use cdn::{Done, Invalidation, Item, Standing};
use serde::Serialize;

use crate::failed::Failed;

/// The answer to an event.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// What became of what somebody wants, or asks.
    One(Outcome),
    /// What became of a queue's messages.
    Batch(BatchAnswer),
}

/// What became of one invalidation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// How it stands.
    pub status: Standing,
    /// Of which distribution.
    pub distribution_id: Option<String>,
    /// Its id, where there is one.
    pub invalidation_id: Option<String>,
    /// Its items.
    pub paths: Vec<String>,
    /// How many of them are billed because of this call.
    pub billable_paths: u64,
    /// How many the month has had by now.
    pub month_billable_paths: u64,
    /// What this call costs, beyond what is free in a month.
    pub estimated_cost_usd: f64,
    /// How long the call took.
    pub duration_ms: f64,
    /// Why it failed, or is put off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Those of other distributions that serve the same object.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Outcome>,
}

/// What became of a queue's messages: in Lambda's own words, and in ours.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct BatchAnswer {
    /// Those that are to come again.
    #[serde(rename = "batchItemFailures")]
    pub failures: Vec<Failure>,
    /// The invalidations that were asked for.
    pub invalidations: Vec<Outcome>,
}

/// A message that is to come again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Its id.
    #[serde(rename = "itemIdentifier")]
    pub id: String,
}

impl Outcome {
    /// Of nothing that was done.
    pub(crate) fn nothing(status: Standing) -> Self {
        Self {
            status,
            distribution_id: None,
            invalidation_id: None,
            paths: Vec::new(),
            billable_paths: 0,
            month_billable_paths: 0,
            estimated_cost_usd: 0.0,
            duration_ms: 0.0,
            error: None,
            others: Vec::new(),
        }
    }

    /// Of an order that was carried out.
    pub(crate) fn of_order(distribution: &str, done: &Done) -> Self {
        Self {
            distribution_id: Some(distribution.to_owned()),
            invalidation_id: Some(done.invalidation.id.clone()),
            paths: done.plan.items.iter().map(Item::to_string).collect(),
            billable_paths: done.billed,
            month_billable_paths: done.month,
            estimated_cost_usd: done.cost,
            ..Self::nothing(done.standing())
        }
    }

    /// Of an invalidation that somebody asks about.
    pub(crate) fn of_status(distribution: &str, invalidation: Invalidation) -> Self {
        let status = invalidation.standing();
        Self {
            distribution_id: Some(distribution.to_owned()),
            invalidation_id: Some(invalidation.id),
            paths: invalidation.items,
            ..Self::nothing(status)
        }
    }

    /// Of something that could not be done.
    pub(crate) fn of_failure(failed: &Failed) -> Self {
        Self {
            error: Some(failed.to_string()),
            ..Self::nothing(Standing::Failed)
        }
    }
}
