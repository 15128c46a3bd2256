//! Where an indicator stands now, among all that it was.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::number;

/// With fewer rows than these a percentile says nothing.
const ENOUGH: usize = 20;

/// What each indicator says now, by its name.
pub type Readings = BTreeMap<String, Reading>;

/// What an indicator says now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// Of the last bar; `None` if that has none.
    pub value: Option<f64>,
    /// How many per cent of all rows with a value are at most this one, itself included; `None` of fewer than 20 rows.
    pub percentile: Option<f64>,
    /// How many rows have a value.
    pub n: usize,
}

impl Reading {
    /// The last row of `column`.
    pub(super) fn last_of(column: &[Option<f64>]) -> Self {
        let rows = || column.iter().flatten();
        let n = rows().count();
        let value = column.last().copied().flatten();
        let percentile = value.filter(|_| n >= ENOUGH).map(|value| {
            let up_to = rows().filter(|row| **row <= value).count();
            100.0 * number(up_to) / number(n)
        });
        Self {
            value,
            percentile,
            n,
        }
    }
}
