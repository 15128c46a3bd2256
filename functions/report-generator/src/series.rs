//! Prices, day by day: what every other stage is made of.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// What was traded of a symbol, adjusted for splits and dividends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// What the exchange calls it: `D05.SI`.
    pub symbol: String,
    /// What people call it: `DBS Group Holdings Ltd`.
    pub name: String,
    /// ISO 4217, in major units: `SGD`. Pence and cents are converted.
    pub currency: String,
    /// The exchange's time zone, by its IANA name: `Asia/Singapore`.
    pub zone: String,
    /// How many decimals its prices are quoted with.
    pub decimals: u8,
    /// One a trading day, the oldest first, dates strictly ascending; at least one.
    pub bars: Vec<Bar>,
}

/// One trading day, of the exchange's own calendar.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bar {
    /// The day.
    pub date: Date,
    /// The first price.
    pub open: f64,
    /// The highest.
    pub high: f64,
    /// The lowest.
    pub low: f64,
    /// The last price, or the present one while the exchange is open.
    pub close: f64,
    /// How many shares changed hands; 0 where that is not counted, as of currencies.
    pub volume: f64,
}
