//! Figures with their spread, and the goals of ratios.

use std::time::Duration;

pub use crate::page::Page;

/// Repeated measurements of one thing.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// None yet.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a duration, kept in milliseconds.
    pub fn push(&mut self, duration: Duration) {
        self.0.push(duration.as_secs_f64() * 1e3);
    }

    /// Adds a figure as it is.
    pub fn push_value(&mut self, value: f64) {
        self.0.push(value);
    }

    /// The value under which `share` of the samples lie.
    pub fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().saturating_sub(1);
        let skip = (0..=last)
            .find(|at| fraction(*at, last) >= share)
            .unwrap_or(last);
        sorted.get(skip).copied().unwrap_or(f64::NAN)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The middle one.
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// Median, and the range that holds the middle eight of ten.
    pub(crate) fn told(&self, unit: &str) -> String {
        let (low, high) = (self.quantile(0.1), self.quantile(0.9));
        format!("{:.2} {unit} ({low:.2} to {high:.2})", self.median())
    }
}

fn fraction(at: usize, last: usize) -> f64 {
    let part = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    if last == 0 {
        1.0
    } else {
        part(at) / part(last)
    }
}

/// What a ratio should be.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    /// This or less.
    AtMost(f64),
    /// This or more.
    AtLeast(f64),
}
