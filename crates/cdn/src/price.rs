//! What an invalidation costs, in money and in objects that have to be fetched again.
//!
//! Source: "Amazon `CloudFront` pricing": the first 1,000 paths of an account's month are free, and each further one is 0.005 $,
//! be it one path, a wildcard or a tag.

/// Items of a month that cost nothing, in an account.
pub const FREE_ITEMS: u64 = 1_000;
/// Thousandths of a dollar for each further one.
const MILLIDOLLARS: u64 = 5;

/// What a plan weighs against each other. Only the ratio counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    /// For an item.
    pub item: u64,
    /// For an object that is cleared without need.
    pub object: u64,
}

impl Price {
    /// Where items are free: none is worth an object, and of plans that clear the same the one with fewer items is taken, since
    /// what is free is limited.
    pub const FREE: Self = Self {
        item: 1,
        object: 1 << 32,
    };
    /// Where they are paid, in nanodollars: 0.005 $ for an item. An object that is cleared is fetched again by each of the 13
    /// regional edge caches that viewers come by, at 0.0004 $ for a thousand requests of S3 ("Amazon S3 pricing"), which is 5,200;
    /// S3 sends it to `CloudFront` for nothing. Ten times that is our estimate, not a bill: the rest stands for readers who wait. So
    /// an item is worth about a hundred objects.
    pub const PAID: Self = Self {
        item: 5_000_000,
        object: 10 * 13 * 400,
    };
}

/// What `items` more cost in a month that has had `before` of them, in dollars.
#[must_use]
pub fn cost(before: u64, items: u64, free: u64) -> f64 {
    let paid = |count: u64| count.saturating_sub(free);
    let paid = paid(before.saturating_add(items)) - paid(before);
    let millidollars = paid.saturating_mul(MILLIDOLLARS);
    f64::from(u32::try_from(millidollars).unwrap_or(u32::MAX)) / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_thousand_of_a_month_are_free() {
        for (before, items, dollars) in [
            (0, 1_000, 0.0),
            (999, 1, 0.0),
            (999, 2, 0.005),
            (1_000, 3, 0.015),
            (5_000, 0, 0.0),
            (0, 3_000, 10.0),
        ] {
            let said = cost(before, items, FREE_ITEMS);
            assert!((said - dollars).abs() < 1e-12, "{before} {items}: {said}");
        }
        assert!(
            (cost(0, 2, 0) - 0.01).abs() < 1e-12,
            "another account has used them up"
        );
    }
}
