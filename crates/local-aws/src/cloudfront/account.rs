//! What an account has: distributions, their invalidations, and the limits on both.

use std::{iter, time::Duration};

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::{
    Duplicates,
    batch::{Batch, Items, MAX_IN_PROGRESS},
    distribution::Distribution,
    refusal::Refusal,
};
use crate::edge::EdgeCache;

/// Half of all invalidations take less since 2026, nearly all the others up to 25 s.
const DELAY: Duration = Duration::from_secs(5);

/// All of it.
#[derive(Debug)]
pub(super) struct Account {
    distributions: Vec<Known>,
    pub(super) billed: usize,
    pub(super) delay: Duration,
    pub(super) duplicates: Duplicates,
    /// The most on a page, whatever is asked for.
    pub(super) page: Option<usize>,
    /// How often `CreateInvalidation` may be called, where that is limited.
    pub(super) calls: Option<Calls>,
}

/// A distribution with its invalidations, oldest first.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) distribution: Distribution,
    pub(super) invalidations: Vec<Invalidation>,
}

/// An invalidation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalidation {
    /// Its id.
    pub id: String,
    /// How far it is.
    pub status: Status,
    /// When it was created.
    pub created: Timestamp,
    /// The reference that its caller gave it.
    pub reference: String,
    /// Its items.
    pub items: Vec<String>,
    /// How many objects the edges held that it cleared.
    pub cleared: usize,
}

/// How far an invalidation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The edges still have what they had.
    InProgress,
    /// They have not.
    Completed,
}

impl Status {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "InProgress",
            Self::Completed => "Completed",
        }
    }
}

impl Default for Account {
    fn default() -> Self {
        Self {
            distributions: Vec::new(),
            billed: 0,
            delay: DELAY,
            duplicates: Duplicates::default(),
            page: None,
            calls: None,
        }
    }
}

impl Account {
    pub(super) fn add(&mut self, distribution: Distribution) {
        self.remove(&distribution.id);
        self.distributions.push(Known {
            distribution,
            invalidations: Vec::new(),
        });
    }

    pub(super) fn remove(&mut self, id: &str) {
        self.distributions
            .retain(|known| known.distribution.id != id);
    }

    pub(super) fn distributions(&self) -> &[Known] {
        &self.distributions
    }

    pub(super) fn known(&self, id: &str) -> Result<&Known, Refusal> {
        self.distributions
            .iter()
            .find(|known| known.distribution.id == id)
            .ok_or_else(Refusal::no_such_distribution)
    }

    fn known_mut(&mut self, id: &str) -> Result<&mut Known, Refusal> {
        self.distributions
            .iter_mut()
            .find(|known| known.distribution.id == id)
            .ok_or_else(Refusal::no_such_distribution)
    }

    pub(super) fn invalidations(&self, id: &str) -> Vec<Invalidation> {
        self.known(id)
            .map(|known| known.invalidations.clone())
            .unwrap_or_default()
    }

    /// Counts a call of `CreateInvalidation`. Fails if it is one too many.
    pub(super) fn call(&mut self) -> Result<(), Refusal> {
        let calls = self.calls.as_mut();
        if calls.is_none_or(|calls| calls.take(Instant::now())) {
            Ok(())
        } else {
            Err(Refusal::throttled())
        }
    }

    /// The invalidation that `batch` stands for, and whether it is a new one.
    pub(super) fn create(
        &mut self,
        distribution: &str,
        batch: Batch,
    ) -> Result<(Invalidation, bool), Refusal> {
        let duplicates = self.duplicates;
        let known = self.known_mut(distribution)?;
        batch.check(known.distribution.tags_header.is_some())?;
        if let Some(earlier) = known.used(&batch.reference) {
            let same = batch.has_same_items(&earlier.items);
            return match duplicates {
                Duplicates::First | Duplicates::Documented if same => Ok((earlier.clone(), false)),
                Duplicates::Documented => Err(Refusal::already_exists()),
                Duplicates::First | Duplicates::Observed => Err(Refusal::used_reference()),
            };
        }
        if Items::of(known.in_progress().chain(&batch.items)).exceed(MAX_IN_PROGRESS) {
            return Err(Refusal::too_many());
        }
        let invalidation = Invalidation {
            id: new_id(),
            status: Status::InProgress,
            created: Timestamp::now(),
            reference: batch.reference,
            items: batch.items,
            cleared: 0,
        };
        known.invalidations.push(invalidation.clone());
        self.billed += invalidation.items.len();
        Ok((invalidation, true))
    }

    /// What an invalidation is to clear, and where; nothing if it is gone.
    pub(super) fn to_clear(
        &self,
        distribution: &str,
        invalidation: &str,
    ) -> Option<(Vec<String>, Vec<EdgeCache>)> {
        let known = self.known(distribution).ok()?;
        let items = known.invalidation(invalidation).ok()?.items.clone();
        Some((items, known.distribution.edges.clone()))
    }

    pub(super) fn completed(&mut self, distribution: &str, invalidation: &str, cleared: usize) {
        let known = self.known_mut(distribution).ok();
        let mut all = known.into_iter().flat_map(|known| &mut known.invalidations);
        if let Some(one) = all.find(|one| one.id == invalidation) {
            one.status = Status::Completed;
            one.cleared = cleared;
        }
    }

    pub(super) fn seed_completed(
        &mut self,
        distribution: &str,
        invalidation: &str,
        items: &[&str],
    ) -> anyhow::Result<()> {
        let known = self.known_mut(distribution).ok();
        let known = known.with_context(|| format!("there is no distribution {distribution}"))?;
        // Before all others, so that the newest stays last.
        known.invalidations.insert(
            0,
            Invalidation {
                id: invalidation.to_owned(),
                status: Status::Completed,
                created: Timestamp::now() - SignedDuration::from_hours(1),
                reference: format!("seed-{invalidation}"),
                items: items.iter().map(|&item| item.to_owned()).collect(),
                cleared: 0,
            },
        );
        Ok(())
    }
}

impl Known {
    pub(super) fn invalidation(&self, id: &str) -> Result<&Invalidation, Refusal> {
        self.invalidations
            .iter()
            .find(|one| one.id == id)
            .ok_or_else(Refusal::no_such_invalidation)
    }

    fn used(&self, reference: &str) -> Option<&Invalidation> {
        self.invalidations
            .iter()
            .find(|one| one.reference == reference)
    }

    /// How many invalidations are in progress.
    pub(super) fn batches_in_progress(&self) -> usize {
        self.running().count()
    }

    fn running(&self) -> impl Iterator<Item = &Invalidation> {
        self.invalidations
            .iter()
            .filter(|one| one.status == Status::InProgress)
    }

    /// The items that are in progress.
    fn in_progress(&self) -> impl Iterator<Item = &String> {
        self.running().flat_map(|one| &one.items)
    }
}

/// As theirs look: `I2J0I21PCUYOIK`.
fn new_id() -> String {
    let letters = iter::repeat_with(|| fastrand::choice(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"));
    let letters = letters.flatten().copied().map(char::from);
    iter::once('I').chain(letters.take(13)).collect()
}

/// How often `CreateInvalidation` may still be called.
#[derive(Debug)]
pub(super) struct Calls {
    left: f64,
    at: Instant,
}

impl Calls {
    const A_SECOND: f64 = 0.5;
    const AT_FIRST: f64 = 6.0;

    pub(super) fn new() -> Self {
        Self {
            left: Self::AT_FIRST,
            at: Instant::now(),
        }
    }

    /// Whether there is one at `now`, which is taken.
    fn take(&mut self, now: Instant) -> bool {
        let since = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + since * Self::A_SECOND).min(Self::AT_FIRST);
        self.at = now;
        let may = self.left >= 1.0;
        if may {
            self.left -= 1.0;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_come_back_one_every_two_seconds_up_to_six() {
        let mut calls = Calls::new();
        let start = calls.at;
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut taken = |seconds| (0..10).filter(|_| calls.take(at(seconds))).count();
        assert_eq!(taken(0), 6);
        assert_eq!(taken(1), 0);
        assert_eq!(taken(2), 1);
        assert_eq!(taken(9), 3);
        assert_eq!(taken(3_600), 6);
    }

    #[test]
    fn ids_look_as_theirs_do() {
        let id = new_id();
        assert!(id.starts_with('I') && id.len() == 14, "{id}");
        let is_plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
        assert!(id.bytes().all(is_plain), "{id}");
    }
}
