//! What J. Welles Wilder defined, with his own smoothing: `(13 · last + value) / 14`.

use super::{
    averages::{both, smoothed},
    number,
};
use crate::series::Bar;

/// The relative strength index: the share of gains in all that moved, in per cent.
pub(super) fn rsi(closes: &[f64], period: usize) -> Vec<f64> {
    let changes = closes.iter().zip(closes.iter().skip(1));
    let (gains, losses): (Vec<_>, Vec<_>) = changes
        .map(|(before, close)| ((close - before).max(0.0), (before - close).max(0.0)))
        .unzip();
    let (gains, losses) = (average(&gains, period), average(&losses, period));
    both(&gains, &losses, |gain, loss| {
        if gain + loss == 0.0 {
            // Nothing moved: neither side is the stronger. TA-Lib says 0, which reads as a crash.
            50.0
        } else {
            100.0 * (gain / (gain + loss))
        }
    })
}

/// The average true range. The first bar has none, for nothing was before it.
pub(super) fn atr(bars: &[Bar], period: usize) -> Vec<f64> {
    let ranges = bars.iter().zip(bars.iter().skip(1)).map(|(before, bar)| {
        let up = (bar.high - before.close).abs();
        let down = (bar.low - before.close).abs();
        (bar.high - bar.low).max(up).max(down)
    });
    average(&ranges.collect::<Vec<_>>(), period)
}

fn average(values: &[f64], period: usize) -> Vec<f64> {
    let (kept, all) = (number(period) - 1.0, number(period));
    smoothed(values, period, |last, value| (last * kept + value) / all)
}
