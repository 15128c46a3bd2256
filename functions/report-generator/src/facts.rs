//! The numbers of a report, as they are printed, each under the name that texts call it by: `{{CLOSE}}`.
//!
//! Texts are written by rules or by a model; numbers never are. A text that bears a number, or asks for one that there is not,
//! is refused.

use std::collections::BTreeMap;

use crate::{indicators::Readings, series::Series, ticker::Ticker};

/// Names and what they stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts(BTreeMap<&'static str, String>);

/// A text that may not be printed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It has a number that nobody gave it.
    #[error("it has the number {0:?}, which it was not given")]
    Number(String),
    /// It has braces that stand for nothing.
    #[error("it has braces that belong to no name: {0:?}")]
    Brace(String),
    /// It would make another number of one that it was given.
    #[error("it puts {{{{{0}}}}} right behind another name or a sign")]
    Joined(String),
    /// It asks for something that there is not.
    #[error("it asks for {{{{{0}}}}}, which there is not")]
    Unknown(String),
}

/// Indicators that texts may speak of, and what they call them.
const NAMED: [(&str, &str, &str); 5] = [
    ("rsi_14", "RSI", "RSI_PERCENTILE"),
    ("macd", "MACD", "MACD_PERCENTILE"),
    ("atr_pct", "ATR_PCT", "ATR_PCT_PERCENTILE"),
    ("vwap_pct", "VWAP_PCT", "VWAP_PCT_PERCENTILE"),
    ("volume_ratio", "VOLUME_RATIO", "VOLUME_RATIO_PERCENTILE"),
];
/// Prices that texts may speak of.
const LEVELS: [(&str, &str); 3] = [
    ("sma_20", "SMA_20"),
    ("sma_50", "SMA_50"),
    ("sma_200", "SMA_200"),
];

impl Facts {
    /// Of what was traded, and what was made of it.
    pub(crate) fn of(ticker: &Ticker, series: &Series, readings: &Readings) -> Self {
        let mut facts = BTreeMap::new();
        facts.insert("NAME", series.name.clone());
        facts.insert("TICKER", ticker.to_string());
        facts.insert("CURRENCY", series.currency.clone());
        facts.insert("DAYS", series.bars.len().to_string());
        let price = |value: f64| price(value, series.decimals);
        if let Some(last) = series.bars.last() {
            facts.insert("DATE", last.date.to_string());
            facts.insert("CLOSE", price(last.close));
        }
        if let Some(change) = change_pct(series) {
            facts.insert("CHANGE_PCT", format!("{change:+.2}"));
        }
        let highs = series.bars.iter().map(|bar| bar.high);
        let lows = series.bars.iter().map(|bar| bar.low);
        facts.insert("HIGH", price(highs.fold(f64::MIN, f64::max)));
        facts.insert("LOW", price(lows.fold(f64::MAX, f64::min)));
        for (indicator, name, rank) in NAMED {
            let Some(reading) = readings.get(indicator) else {
                continue;
            };
            if let Some(value) = reading.value {
                facts.insert(name, value_of(name, value));
            }
            if let Some(percentile) = reading.percentile {
                facts.insert(rank, format!("{percentile:.1}"));
            }
        }
        for (indicator, name) in LEVELS {
            let value = readings.get(indicator).and_then(|reading| reading.value);
            if let Some(value) = value {
                facts.insert(name, price(value));
            }
        }
        Self(facts)
    }

    /// What `name` stands for.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// Whether all that `template` asks for is there.
    pub(crate) fn have_all_of(&self, template: &str) -> bool {
        pieces(template).all(|piece| match piece {
            Piece::Text(_) => true,
            Piece::Name(name) => self.get(name).is_some(),
        })
    }

    /// `template` with its numbers.
    pub(crate) fn fill(&self, template: &str) -> Result<String, Refused> {
        let mut text = String::with_capacity(template.len() + 64);
        // Whether a number that came next would become a part of another one.
        let mut joins = false;
        for piece in pieces(template) {
            match piece {
                Piece::Text(plain) => {
                    if let Some(number) = number_in(plain) {
                        return Err(Refused::Number(number));
                    }
                    if let Some(at) = plain.find(['{', '}']) {
                        let from = plain.get(at..).unwrap_or_default();
                        return Err(Refused::Brace(larder_lambda::event::shown(from)));
                    }
                    text.push_str(plain);
                    joins = text.ends_with(['-', '+', '.', ',', '−', '±', '~']);
                }
                Piece::Name(name) => {
                    let shown = || larder_lambda::event::shown(name);
                    let value = self.get(name).ok_or_else(|| Refused::Unknown(shown()))?;
                    if joins {
                        return Err(Refused::Joined(shown()));
                    }
                    text.push_str(value);
                    joins = true;
                }
            }
        }
        Ok(text)
    }
}

/// How the last close stands to the one before, in percent.
pub(crate) fn change_pct(series: &Series) -> Option<f64> {
    let [.., before, last] = series.bars.as_slice() else {
        return None;
    };
    let change = (last.close / before.close - 1.0) * 100.0;
    change.is_finite().then_some(change)
}

/// As an indicator is printed.
fn value_of(name: &str, value: f64) -> String {
    match name {
        "VWAP_PCT" => format!("{value:+.2}"),
        "MACD" => format!("{value:.4}"),
        _ => format!("{value:.2}"),
    }
}

/// A price with the decimals that it is quoted with, and commas between thousands.
pub(crate) fn price(value: f64, decimals: u8) -> String {
    let text = format!("{value:.*}", usize::from(decimals));
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.as_str()),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let mut out = sign.to_owned();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if !fraction.is_empty() {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

enum Piece<'a> {
    Text(&'a str),
    Name(&'a str),
}

/// A template as texts and names, in their order. A brace that is not closed is text.
fn pieces(template: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = template;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let opened = rest.split_once("{{");
        let named = opened.and_then(|(text, after)| Some((text, after.split_once("}}")?)));
        match named {
            Some(("", (name, after))) => {
                rest = after;
                Some(Piece::Name(name.trim()))
            }
            Some((text, _)) => {
                rest = rest.get(text.len()..).unwrap_or_default();
                Some(Piece::Text(text))
            }
            None => Some(Piece::Text(std::mem::take(&mut rest))),
        }
    })
}

/// The first number that stands in `text`, in whatever script, or as a picture.
fn number_in(text: &str) -> Option<String> {
    let from = text.find(|letter: char| letter.is_numeric() || letter == '🔟')?;
    let number = text.get(from..).unwrap_or_default();
    let is_part = |letter: &char| letter.is_numeric() || matches!(letter, '.' | ',' | '%');
    Some(number.chars().take_while(is_part).take(20).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts(
            [
                ("CLOSE", "53.90".to_owned()),
                ("SMA_20", "51.00".to_owned()),
            ]
            .into(),
        )
    }

    #[test]
    fn numbers_come_only_by_their_names() {
        let filled = facts().fill("It closed at {{CLOSE}}, above {{ SMA_20 }}.");
        assert_eq!(filled.as_deref(), Ok("It closed at 53.90, above 51.00."));
        for (text, number) in [
            ("It will rise 20% soon", "20%"),
            ("{{CLOSE}} and 1,234.5 more", "1,234.5"),
            ("ราคา ๕๓.๙ บาท", "๕๓.๙"),
            ("half: ½", "½"),
        ] {
            assert_eq!(facts().fill(text), Err(Refused::Number(number.to_owned())));
        }
        for text in ["{{CLOSE", "{CLOSE}", "a } b"] {
            let refused = facts().fill(text);
            assert!(matches!(refused, Err(Refused::Brace(_))), "{refused:?}");
        }
        for text in ["{{CLOSE}}{{SMA_20}}", "-{{CLOSE}}", "a.{{CLOSE}}"] {
            let refused = facts().fill(text);
            assert!(matches!(refused, Err(Refused::Joined(_))), "{refused:?}");
        }
        let unknown = facts().fill("{{PROFIT}}").unwrap_err().to_string();
        assert_eq!(unknown, "it asks for {{PROFIT}}, which there is not");
        assert!(facts().have_all_of("{{CLOSE}} {{SMA_20}}") && !facts().have_all_of("{{RSI}}"));
    }

    #[test]
    fn prices_have_commas_and_their_own_decimals() {
        assert_eq!(price(1_234_567.0, 0), "1,234,567");
        assert_eq!(price(-1_234.5, 2), "-1,234.50");
        assert_eq!(price(0.4849, 4), "0.4849");
        assert_eq!(price(999.999, 2), "1,000.00");
    }
}
