//! Sections by rules: for each signal its phrase. The same prices always make the same words.

use super::{
    Narrative, Recommendation, Sections,
    phrases::{Phrases, phrases},
    signals::{Level, Momentum, Signals, Trend},
};
use crate::{
    facts::{Facts, Refused},
    indicators::Readings,
    language::Language,
    series::Series,
};

/// The words for `series` in `language`.
pub(crate) fn by_rules(
    (series, readings): (&Series, &Readings),
    facts: &Facts,
    language: Language,
) -> Result<Narrative, Refused> {
    let phrases = phrases(language);
    let signals = Signals::of(series, readings);
    let recommendation = signals.recommendation();
    let sections = Sections {
        stock_story: story(phrases, signals, facts),
        what_to_know: know(phrases, signals),
        what_to_do: pick(&phrases.action, recommendation).to_owned(),
        risks: risks(phrases, signals),
        percentile_analysis: percentiles(phrases, facts),
    };
    Ok(Narrative {
        sections: sections.fill(facts)?,
        recommendation,
    })
}

/// The one of three that goes with `recommendation`.
pub(crate) fn pick(three: &[&'static str; 3], recommendation: Recommendation) -> &'static str {
    let [buy, hold, sell] = *three;
    match recommendation {
        Recommendation::Buy => buy,
        Recommendation::Hold => hold,
        Recommendation::Sell => sell,
    }
}

fn level(three: &[&'static str; 3], level: Level) -> &'static str {
    let [high, usual, low] = *three;
    match level {
        Level::High => high,
        Level::Usual => usual,
        Level::Low => low,
    }
}

fn story(phrases: &Phrases, signals: Signals, facts: &Facts) -> String {
    let words = &phrases.story;
    let trend = match signals.trend {
        Some(Trend::Up) => words.up,
        Some(Trend::Down) => words.down,
        Some(Trend::Mixed) => words.mixed,
        None => words.young,
    };
    let all = [words.close, words.change, words.range, trend];
    let known = all.into_iter().filter(|text| facts.have_all_of(text));
    known.collect::<Vec<_>>().join(" ")
}

fn know(phrases: &Phrases, signals: Signals) -> String {
    let words = &phrases.know;
    let momentum = signals.momentum.map(|momentum| match momentum {
        Momentum::Overbought => words.overbought,
        Momentum::Strong => words.strong,
        Momentum::Weak => words.weak,
        Momentum::Oversold => words.oversold,
    });
    let macd = signals.macd_rises.map(|rises| {
        if rises {
            words.macd_rises
        } else {
            words.macd_falls
        }
    });
    let vwap = signals.above_vwap.map(|above| {
        if above {
            words.above_vwap
        } else {
            words.below_vwap
        }
    });
    let volume = signals.volume.map(|much| level(&words.volume, much));
    let known = lines([momentum, macd, vwap, volume]);
    if known.is_empty() {
        phrases.story.young.to_owned()
    } else {
        known
    }
}

fn risks(phrases: &Phrases, signals: Signals) -> String {
    let words = &phrases.risks;
    let volatility = signals
        .volatility
        .map(|much| level(&words.volatility, much));
    let momentum = match signals.momentum {
        Some(Momentum::Overbought) => Some(words.overbought),
        Some(Momentum::Oversold) => Some(words.oversold),
        _ => None,
    };
    let thin = (signals.volume == Some(Level::Low)).then_some(words.thin);
    let lagging = signals.trend.map(|_| words.against_trend);
    lines([volatility, momentum, thin, lagging, Some(words.always)])
}

fn percentiles(phrases: &Phrases, facts: &Facts) -> String {
    let words = &phrases.percentiles;
    let all = [words.rsi, words.macd, words.atr, words.vwap, words.volume];
    let known = all.map(|text| facts.have_all_of(text).then_some(text));
    if known.iter().all(Option::is_none) {
        return words.too_few.to_owned();
    }
    format!("{}\n{}", words.opening, lines(known))
}

fn lines<const N: usize>(lines: [Option<&'static str>; N]) -> String {
    lines.into_iter().flatten().collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{indicators::Columns, series::Bar};

    fn series(closes: impl Iterator<Item = f64>) -> Series {
        let first: jiff::civil::Date = "2025-11-20".parse().unwrap();
        let bar = |(day, close): (i64, f64)| Bar {
            date: first + jiff::Span::new().days(day),
            open: close,
            high: close * 1.01,
            low: close * 0.99,
            close,
            volume: 1e6,
        };
        Series {
            symbol: "D05.SI".to_owned(),
            name: "DBS & Co <3".to_owned(),
            currency: "SGD".to_owned(),
            zone: "Asia/Singapore".to_owned(),
            decimals: 2,
            bars: (0..).zip(closes).map(bar).collect(),
        }
    }

    fn written(series: &Series, language: Language) -> Narrative {
        let readings = Columns::of(&series.bars).readings();
        let facts = Facts::of(&"DBS19".parse().unwrap(), series, &readings);
        by_rules((series, &readings), &facts, language).unwrap()
    }

    #[test]
    fn every_section_is_written_in_both_languages_whatever_the_prices_do() {
        let rising = series((0..250).map(|day| 50.0 + f64::from(day) * 0.1));
        let falling = series((0..250).map(|day| 90.0 - f64::from(day) * 0.1));
        let waves = series((0..250).map(|day| 50.0 + (f64::from(day) * 0.3).sin()));
        let young = series((0..12).map(|day| 50.0 + f64::from(day)));
        let single = series(std::iter::once(50.0));
        for prices in [rising, falling, waves, young, single] {
            for language in Language::ALL {
                let narrative = written(&prices, language);
                for text in narrative.sections.texts() {
                    assert!(!text.is_empty() && !text.contains("{{"), "{text}");
                }
                let is_thai = |letter: char| ('\u{e00}'..='\u{e7f}').contains(&letter);
                let thai = narrative.sections.risks.contains(is_thai);
                assert_eq!(thai, language == Language::Thai);
            }
        }
    }

    #[test]
    fn what_to_do_follows_from_what_the_signals_agree_on() {
        let up =
            (0..250).map(|day| 50.0 + f64::from(day) * 0.05 + (f64::from(day) * 0.9).sin() * 2.0);
        let narrative = written(&series(up), Language::English);
        assert_ne!(narrative.recommendation, Recommendation::Sell);
        let down =
            (0..250).map(|day| 90.0 - f64::from(day * day) * 0.001 + (f64::from(day) * 0.9).sin());
        let narrative = written(&series(down), Language::English);
        assert_ne!(narrative.recommendation, Recommendation::Buy);
    }

    #[test]
    fn no_phrase_has_a_number_of_its_own() {
        for language in Language::ALL {
            let said = format!("{:?}", phrases(language)).replace("SMA_50", "");
            // Debug writes Thai vowels as escapes.
            let plain = said
                .split("\\u{")
                .map(|part| part.split_once('}').map_or(part, |(_, rest)| rest));
            let plain: String = plain.collect();
            assert!(!plain.contains(char::is_numeric), "{plain}");
        }
    }
}
