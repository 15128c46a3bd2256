//! What an account's month has had of invalidations, and what was cleared when: in a table, so that all environments count
//! together and nothing counts twice; or in this process alone, where there is no table.
//!
//! The price counts by account, and `CloudFront` tells nobody how many there were: what others invalidate is not in this count.

mod cleared;
mod table;

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{Mutex, PoisonError},
};

use aws_sdk_dynamodb::Client;
use jiff::{Timestamp, civil::Date, tz::TimeZone};

use cleared::Once;
pub use cleared::{Cleared, Latest, SETTLED, Which};
pub(crate) use cleared::{Footprint, Sought};
pub use table::{Table, UsageError};

use crate::item::Item;

/// How many invalidations, and attempts, this process remembers without a table.
const REMEMBERED: usize = 2_000;

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

impl fmt::Display for BillingMonth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
    /// When it was about to be asked for: what was there then is what was ordered.
    pub asked: Timestamp,
    /// What it clears.
    pub items: Vec<Item>,
    /// A hash of what was asked for, and because of what.
    pub order: u64,
    /// Whether it was there before it was asked for: then only a table knows whether it was counted.
    pub is_earlier: bool,
}

impl Made {
    /// How many items are billed for it.
    fn billed(&self) -> u64 {
        u64::try_from(self.items.len()).unwrap_or(u64::MAX)
    }
}

/// An order that is about to be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked<'a> {
    /// Of which distribution.
    pub distribution: &'a str,
    /// What it clears.
    pub items: &'a [Item],
    /// A hash of it, and because of what.
    pub order: u64,
    /// When.
    pub at: Timestamp,
}

/// The count.
#[derive(Debug)]
pub enum Usage {
    /// Of all environments.
    Table(Table),
    /// Of this process.
    Process(Mutex<Process>),
}

/// What this process has counted.
#[derive(Debug, Default)]
pub struct Process {
    months: HashMap<String, u64>,
    made: HashSet<(String, String)>,
    cleared: HashMap<String, Cleared>,
}

impl Usage {
    /// In a table with the partition key `pk` and the sort key `sk`, both Strings; or in this process where none is named.
    #[must_use]
    pub fn new(table: Option<(Client, String)>) -> Self {
        match table {
            Some((client, name)) => Self::Table(Table::new(client, name)),
            None => Self::Process(Mutex::default()),
        }
    }

    /// Counts an invalidation, once; tells whether it is in the count for the first time.
    pub async fn count(&self, made: &Made) -> Result<bool, UsageError> {
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

    /// What was cleared of a distribution since then.
    pub async fn cleared(
        &self,
        distribution: &str,
        since: Timestamp,
    ) -> Result<Cleared, UsageError> {
        match self {
            Self::Table(table) => table.cleared(distribution, since).await,
            Self::Process(process) => Ok(lock(process).cleared(distribution)),
        }
    }

    /// Notes that an order is about to be asked for: whatever becomes of it, what was there before may be in caches no longer.
    pub async fn asked(&self, asked: &Asked<'_>) -> Result<(), UsageError> {
        match self {
            Self::Table(table) => table.asked(asked).await,
            Self::Process(process) => {
                lock(process).add(asked.distribution, Once::asked(asked));
                Ok(())
            }
        }
    }

    /// The latest order of a distribution that had to do with any of the items, if it is among the latest two hundred; attempts
    /// at the same order, of which nothing came, aside.
    pub async fn latest(&self, asked: &Asked<'_>) -> Result<Option<Latest>, UsageError> {
        match self {
            Self::Table(table) => table.latest(asked).await,
            Self::Process(process) => Ok(lock(process).latest(asked)),
        }
    }
}

fn lock(process: &Mutex<Process>) -> std::sync::MutexGuard<'_, Process> {
    process.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Process {
    fn count(&mut self, made: &Made) -> bool {
        let which = (made.distribution.clone(), made.invalidation.clone());
        let is_new = !made.is_earlier && self.made.insert(which);
        if is_new {
            let month = BillingMonth::of(made.at).to_string();
            *self.months.entry(month).or_default() += made.billed();
            self.add(&made.distribution, Once::made(made));
        }
        is_new
    }

    fn add(&mut self, distribution: &str, once: Once) {
        if self.cleared.values().map(Cleared::len).sum::<usize>() >= REMEMBERED {
            self.made.clear();
            self.cleared.clear();
        }
        let cleared = self.cleared.entry(distribution.to_owned()).or_default();
        cleared.add(once);
    }

    /// What was cleared of a distribution.
    fn cleared(&self, distribution: &str) -> Cleared {
        self.cleared.get(distribution).cloned().unwrap_or_default()
    }

    fn latest(&self, asked: &Asked<'_>) -> Option<Latest> {
        let cleared = self.cleared.get(asked.distribution)?;
        cleared.latest(asked)
    }

    fn month(&self, month: BillingMonth) -> u64 {
        self.months
            .get(&month.to_string())
            .copied()
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(id: &str, when: &str, items: &[&str]) -> Made {
        Made {
            distribution: "E1".to_owned(),
            invalidation: id.to_owned(),
            at: when.parse().unwrap(),
            asked: when.parse().unwrap(),
            items: items
                .iter()
                .map(|text| Item::parse(text).unwrap())
                .collect(),
            order: 7,
            is_earlier: false,
        }
    }

    #[test]
    fn a_process_counts_each_once_and_by_the_month_of_utc() {
        let mut process = Process::default();
        let first = made("I1", "2026-11-30T23:59:59Z", &["/a", "/b*", "#c"]);
        let november = BillingMonth::of(first.at);
        assert!(process.count(&first) && !process.count(&first));
        let second = made("I2", "2026-12-01T00:00:00Z", &["/a"]);
        assert!(process.count(&second));
        let mut earlier = made("I0", "2026-12-01T00:00:00Z", &["/a"]);
        earlier.is_earlier = true;
        assert!(!process.count(&earlier));
        let december = BillingMonth::of(second.at);
        assert_eq!((process.month(november), process.month(december)), (3, 1));
    }
}
