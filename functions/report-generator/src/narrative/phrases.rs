//! What rules say, in whatever language: a phrase a signal. Phrases have names for numbers, and no number of their own.

use super::{english::ENGLISH, thai::THAI};
use crate::language::Language;

/// The words of a language.
#[derive(Debug)]
pub(crate) struct Phrases {
    /// Headings of the five sections.
    pub(crate) headings: [&'static str; 5],
    /// Buy, hold, sell.
    pub(crate) recommendations: [&'static str; 3],
    pub(crate) news: &'static str,
    pub(crate) disclaimer: &'static str,
    pub(crate) written_by_rules: &'static str,
    /// Behind the date of prices.
    pub(crate) as_of: &'static str,
    pub(crate) percentile: &'static str,
    pub(super) story: Story,
    pub(super) know: Know,
    /// Why to buy, to hold, to sell.
    pub(super) action: [&'static str; 3],
    pub(super) risks: Risks,
    pub(super) percentiles: Percentiles,
}

#[derive(Debug)]
pub(super) struct Story {
    pub(super) close: &'static str,
    pub(super) change: &'static str,
    pub(super) range: &'static str,
    pub(super) up: &'static str,
    pub(super) down: &'static str,
    pub(super) mixed: &'static str,
    pub(super) young: &'static str,
}

#[derive(Debug)]
pub(super) struct Know {
    pub(super) overbought: &'static str,
    pub(super) strong: &'static str,
    pub(super) weak: &'static str,
    pub(super) oversold: &'static str,
    pub(super) macd_rises: &'static str,
    pub(super) macd_falls: &'static str,
    pub(super) above_vwap: &'static str,
    pub(super) below_vwap: &'static str,
    /// Much, usual, little.
    pub(super) volume: [&'static str; 3],
}

#[derive(Debug)]
pub(super) struct Risks {
    /// Much, usual, little.
    pub(super) volatility: [&'static str; 3],
    pub(super) overbought: &'static str,
    pub(super) oversold: &'static str,
    pub(super) thin: &'static str,
    pub(super) against_trend: &'static str,
    pub(super) always: &'static str,
}

#[derive(Debug)]
pub(super) struct Percentiles {
    pub(super) opening: &'static str,
    pub(super) rsi: &'static str,
    pub(super) macd: &'static str,
    pub(super) atr: &'static str,
    pub(super) vwap: &'static str,
    pub(super) volume: &'static str,
    pub(super) too_few: &'static str,
}

/// The words of `language`.
pub(crate) fn phrases(language: Language) -> &'static Phrases {
    match language {
        Language::Thai => &THAI,
        Language::English => &ENGLISH,
    }
}
