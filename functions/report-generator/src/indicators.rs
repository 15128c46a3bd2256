//! Bars → technical indicators, row by row. Pure: no clock, no I/O; the same bars give the same bits.
//!
//! RSI and ATR are Wilder's, EMA and MACD are seeded as TA-Lib seeds them, Bollinger's deviation is the population's.
//! A row is `None` where too few come before it, and where its value would be no number: nothing was traded, or a price
//! is 0. It never depends on a later row.

use crate::series::Bar;

pub use self::reading::{Reading, Readings};

mod averages;
mod reading;
#[cfg(test)]
mod tests;
mod volume;
mod wilder;

/// One value a bar; `None` where there is none.
pub type Column = Vec<Option<f64>>;

/// Every indicator of a series, each as long as that.
#[derive(Clone, Debug, PartialEq)]
pub struct Columns {
    /// Wilder's relative strength index: 100 where nothing fell, 50 where nothing moved at all.
    pub rsi_14: Column,
    /// EMA 12 less EMA 26, both seeded where the slower begins.
    pub macd: Column,
    /// EMA 9 of `macd`.
    pub macd_signal: Column,
    /// `macd` less `macd_signal`.
    pub macd_histogram: Column,
    /// Wilder's average true range.
    pub atr_14: Column,
    /// `atr_14` in per cent of the close.
    pub atr_pct: Column,
    /// The mean of 20 closes.
    pub sma_20: Column,
    /// The mean of 50 closes.
    pub sma_50: Column,
    /// The mean of 200 closes.
    pub sma_200: Column,
    /// The exponential mean of 12 closes, seeded by their simple one.
    pub ema_12: Column,
    /// The same of 26.
    pub ema_26: Column,
    /// `sma_20` and two population standard deviations of those closes.
    pub bollinger_upper: Column,
    /// `sma_20` less two of them.
    pub bollinger_lower: Column,
    /// The typical price of 20 bars, weighted by volume.
    pub vwap_20: Column,
    /// The same of all bars so far.
    pub vwap: Column,
    /// By how many per cent the close is above `vwap`.
    pub vwap_pct: Column,
    /// The volume in relation to its mean over 20 bars, this one included.
    pub volume_ratio: Column,
}

impl Columns {
    /// Those of `bars`, the oldest first.
    #[must_use]
    pub fn of(bars: &[Bar]) -> Self {
        let closes: Vec<_> = bars.iter().map(|bar| bar.close).collect();
        let macd = averages::macd(&closes);
        let atr = wilder::atr(bars, 14);
        let (upper, lower) = averages::bollinger(&closes, 20, 2.0);
        let vwap = volume::so_far(bars);
        let of_close = averages::both(&atr, &closes, |atr, close| atr / close * 100.0);
        let above = averages::both(&closes, &vwap, |close, vwap| (close / vwap - 1.0) * 100.0);
        let column = |rows: &[f64]| column(rows, bars.len());
        Self {
            rsi_14: column(&wilder::rsi(&closes, 14)),
            macd: column(&macd.line),
            macd_signal: column(&macd.signal),
            macd_histogram: column(&macd.histogram),
            atr_14: column(&atr),
            atr_pct: column(&of_close),
            sma_20: column(&averages::simple(&closes, 20)),
            sma_50: column(&averages::simple(&closes, 50)),
            sma_200: column(&averages::simple(&closes, 200)),
            ema_12: column(&averages::exponential(&closes, 12)),
            ema_26: column(&averages::exponential(&closes, 26)),
            bollinger_upper: column(&upper),
            bollinger_lower: column(&lower),
            vwap_20: column(&volume::rolling(bars, 20)),
            vwap: column(&vwap),
            vwap_pct: column(&above),
            volume_ratio: column(&volume::ratio(bars, 20)),
        }
    }

    /// Each with its name in answers.
    #[must_use]
    pub fn named(&self) -> [(&'static str, &Column); 17] {
        [
            ("rsi_14", &self.rsi_14),
            ("macd", &self.macd),
            ("macd_signal", &self.macd_signal),
            ("macd_histogram", &self.macd_histogram),
            ("atr_14", &self.atr_14),
            ("atr_pct", &self.atr_pct),
            ("sma_20", &self.sma_20),
            ("sma_50", &self.sma_50),
            ("sma_200", &self.sma_200),
            ("ema_12", &self.ema_12),
            ("ema_26", &self.ema_26),
            ("bollinger_upper", &self.bollinger_upper),
            ("bollinger_lower", &self.bollinger_lower),
            ("vwap_20", &self.vwap_20),
            ("vwap", &self.vwap),
            ("vwap_pct", &self.vwap_pct),
            ("volume_ratio", &self.volume_ratio),
        ]
    }

    /// The last row, and where it stands among all of them.
    #[must_use]
    pub fn readings(&self) -> Readings {
        let named = self.named().into_iter();
        named
            .map(|(name, column)| (name.to_owned(), Reading::last_of(column)))
            .collect()
    }
}

/// The last of `bars` rows are `rows`, where they are numbers.
fn column(rows: &[f64], bars: usize) -> Column {
    let missing = bars.saturating_sub(rows.len());
    let rows = rows
        .iter()
        .map(|row| Some(*row).filter(|row| row.is_finite()));
    std::iter::repeat_n(None, missing).chain(rows).collect()
}

/// How many, as a number to divide by.
fn number(count: usize) -> f64 {
    // No series has four thousand million bars.
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
