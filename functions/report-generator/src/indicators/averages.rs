//! Means, and what is made of them. Inside these modules rows are plain numbers, and as many as there are: the last is
//! that of the last bar, and what is no number becomes `None` when they are made a column.

use super::number;

/// What [`macd`] makes.
pub(super) struct Macd {
    /// The faster mean less the slower one.
    pub(super) line: Vec<f64>,
    /// The mean of that.
    pub(super) signal: Vec<f64>,
    /// The one less the other.
    pub(super) histogram: Vec<f64>,
}

/// 12, 26, 9, as TA-Lib seeds it: both means begin on the same bar, the faster with the 12 closes that end there.
/// TA-Lib shows nothing before the signal begins; here the line is shown from its own first row, eight earlier.
pub(super) fn macd(closes: &[f64]) -> Macd {
    let (fast, slow, signal) = (12, 26, 9);
    let late = closes.get(slow - fast..).unwrap_or_default();
    let (fast, slow) = (exponential(late, fast), exponential(closes, slow));
    let line = both(&fast, &slow, |fast, slow| fast - slow);
    let signal = exponential(&line, signal);
    Macd {
        histogram: both(&line, &signal, |line, signal| line - signal),
        line,
        signal,
    }
}

/// The bands above and below the mean of `period`, `width` standard deviations of the population away.
pub(super) fn bollinger(closes: &[f64], period: usize, width: f64) -> (Vec<f64>, Vec<f64>) {
    let bands = closes.windows(period).map(|window| {
        // In two passes: the mean of squares less the square of the mean loses what a quiet stock has.
        let mean = mean(window);
        let squares = window.iter().map(|close| (close - mean).powi(2));
        let deviation = (squares.sum::<f64>() / number(period)).sqrt();
        (mean + width * deviation, mean - width * deviation)
    });
    bands.unzip()
}

/// The mean of each `period` values. Every window is summed anew: a running sum keeps the errors of what has left it.
pub(super) fn simple(values: &[f64], period: usize) -> Vec<f64> {
    values.windows(period).map(mean).collect()
}

/// The exponential mean, whose weights fall as those of `period` values do.
pub(super) fn exponential(values: &[f64], period: usize) -> Vec<f64> {
    let weight = 2.0 / (number(period) + 1.0);
    smoothed(values, period, |last, value| last + (value - last) * weight)
}

/// Begins with the mean of the first `period` values, and goes on by `step` from what was to what comes.
pub(super) fn smoothed(values: &[f64], period: usize, step: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    let Some((first, rest)) = values.split_at_checked(period) else {
        return Vec::new();
    };
    let seed = mean(first);
    let steps = rest.iter().scan(seed, |last, value| {
        *last = step(*last, *value);
        Some(*last)
    });
    std::iter::once(seed).chain(steps).collect()
}

/// `of` the rows that both have.
pub(super) fn both(a: &[f64], b: &[f64], of: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    let rows = a.len().min(b.len());
    let a = a.iter().skip(a.len() - rows);
    let b = b.iter().skip(b.len() - rows);
    a.zip(b).map(|(a, b)| of(*a, *b)).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / number(values.len())
}
