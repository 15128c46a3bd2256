//! What the indicators point to, without any words.

use crate::{indicators::Readings, narrative::Recommendation, series::Series};

/// Where the price stands to its longer averages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trend {
    Up,
    Down,
    Mixed,
}

/// How fast it got there, by RSI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Momentum {
    Overbought,
    Strong,
    Weak,
    Oversold,
}

/// How much there is of something, against what is usual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    High,
    Usual,
    Low,
}

/// All of it; what cannot be known yet is `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Signals {
    pub(super) trend: Option<Trend>,
    pub(super) momentum: Option<Momentum>,
    /// Whether MACD is above its signal.
    pub(super) macd_rises: Option<bool>,
    pub(super) volatility: Option<Level>,
    pub(super) volume: Option<Level>,
    /// Whether the close is above what was paid on average.
    pub(super) above_vwap: Option<bool>,
}

impl Signals {
    pub(super) fn of(series: &Series, readings: &Readings) -> Self {
        let value = |name: &str| readings.get(name).and_then(|reading| reading.value);
        let close = series.bars.last().map(|bar| bar.close);
        let above = |level: Option<f64>| Some(close? > level?);
        // A young listing has no long average yet: then the middle one has to do.
        let long = value("sma_200").or_else(|| value("sma_20"));
        let trend = above(value("sma_50")).zip(above(long));
        let volatility = readings
            .get("atr_pct")
            .and_then(|reading| reading.percentile);
        Self {
            trend: trend.map(|averages| match averages {
                (true, true) => Trend::Up,
                (false, false) => Trend::Down,
                _ => Trend::Mixed,
            }),
            momentum: value("rsi_14").map(|rsi| match rsi {
                70.0.. => Momentum::Overbought,
                50.0.. => Momentum::Strong,
                30.0.. => Momentum::Weak,
                _ => Momentum::Oversold,
            }),
            macd_rises: value("macd_histogram").map(|histogram| histogram > 0.0),
            volatility: volatility.map(|rank| level(rank, 20.0, 80.0)),
            volume: value("volume_ratio").map(|ratio| level(ratio, 0.7, 1.5)),
            above_vwap: value("vwap_pct").map(|percent| percent > 0.0),
        }
    }

    /// Trend and MACD say where it goes, RSI where it has gone too far. Two of three have to agree.
    pub(super) fn recommendation(self) -> Recommendation {
        let trend = match self.trend {
            Some(Trend::Up) => 1,
            Some(Trend::Down) => -1,
            Some(Trend::Mixed) | None => 0,
        };
        let macd = match self.macd_rises {
            Some(true) => 1,
            Some(false) => -1,
            None => 0,
        };
        let momentum = match self.momentum {
            Some(Momentum::Oversold) => 1,
            Some(Momentum::Overbought) => -1,
            _ => 0,
        };
        match trend + macd + momentum {
            2.. => Recommendation::Buy,
            ..=-2 => Recommendation::Sell,
            _ => Recommendation::Hold,
        }
    }
}

fn level(value: f64, low: f64, high: f64) -> Level {
    if value >= high {
        Level::High
    } else if value <= low {
        Level::Low
    } else {
        Level::Usual
    }
}
