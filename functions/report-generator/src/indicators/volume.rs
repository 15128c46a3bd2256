//! Where it was traded, and how much. Without any volume these are no numbers.

use super::number;
use crate::series::Bar;

/// The mean price of each `period` bars, weighted by volume.
pub(super) fn rolling(bars: &[Bar], period: usize) -> Vec<f64> {
    let windows = bars.windows(period);
    let sums = windows.map(|window| window.iter().fold((0.0, 0.0), traded));
    sums.map(|(value, volume)| value / volume).collect()
}

/// The same of all bars so far.
pub(super) fn so_far(bars: &[Bar]) -> Vec<f64> {
    let sums = bars.iter().scan((0.0, 0.0), |sums, bar| {
        *sums = traded(*sums, bar);
        Some(*sums)
    });
    sums.map(|(value, volume)| value / volume).collect()
}

/// The volume in relation to the mean of `period` bars that end with it.
pub(super) fn ratio(bars: &[Bar], period: usize) -> Vec<f64> {
    let windows = bars.windows(period);
    let ratios = windows.map(|window| {
        let sum: f64 = window.iter().map(|bar| bar.volume).sum();
        let last = window.last().map_or(0.0, |bar| bar.volume);
        last / (sum / number(period))
    });
    ratios.collect()
}

/// The value and the volume of what was traded, `bar` included.
fn traded((value, volume): (f64, f64), bar: &Bar) -> (f64, f64) {
    let typical = (bar.high + bar.low + bar.close) / 3.0;
    (value + typical * bar.volume, volume + bar.volume)
}
