//! What the model has cost, until the metrics have it.

use std::sync::{Mutex, PoisonError};

use crate::narrative::Spent;

/// A sum that is added to by loads, whichever invocation they end in.
#[derive(Debug, Default)]
pub(crate) struct Bill(Mutex<Spent>);

impl Bill {
    pub(crate) fn add(&self, spent: &Spent) {
        let mut sum = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sum.calls += spent.calls;
        sum.prompt_tokens = sum.prompt_tokens.saturating_add(spent.prompt_tokens);
        sum.completion_tokens = sum
            .completion_tokens
            .saturating_add(spent.completion_tokens);
        sum.usd += spent.usd;
    }

    /// The sum so far; it begins anew.
    pub(crate) fn take(&self) -> Spent {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
