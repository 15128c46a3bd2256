//! A report as the page of a PDF.

use crate::{
    drawing::{Page, Tile, Tone, chart_svg},
    indicators::Columns,
    narrative::{Author, Recommendation, phrases},
    report::Report,
    series::Series,
};

/// Indicators that have a tile, how they are called there, and with how many decimals they are printed.
const TILES: [(&str, &str, usize); 6] = [
    ("rsi_14", "RSI 14", 2),
    ("macd", "MACD 12 26 9", 4),
    ("atr_pct", "ATR 14, %", 2),
    ("vwap_pct", "VWAP, %", 2),
    ("volume_ratio", "Volume ×", 2),
    ("sma_50", "SMA 50", 2),
];

/// The page of `report`, whose prices are `series`.
pub(crate) fn page(report: &Report, series: &Series) -> Page {
    let words = phrases(report.language);
    let tone = match report.recommendation {
        Recommendation::Buy => Tone::Good,
        Recommendation::Hold => Tone::Neutral,
        Recommendation::Sell => Tone::Bad,
    };
    let mut footer = words.disclaimer.to_owned();
    if report.narrative == Author::Rules {
        footer.push(' ');
        footer.push_str(words.written_by_rules);
    }
    let sections = report.headed();
    Page {
        language: report.language,
        title: format!("{} ({})", report.name, report.ticker),
        subtitle: format!(
            "{} · {} · {} {}",
            report.symbol,
            report.price_line(),
            words.as_of,
            report.date
        ),
        badge: Some((report.advice().to_owned(), tone)),
        tiles: TILES
            .into_iter()
            .filter_map(|(name, label, decimals)| tile(report, name, (label, decimals)))
            .collect(),
        chart: chart_svg(series, &Columns::of(&series.bars)),
        sections: sections
            .map(|(heading, text)| (heading.to_owned(), text.to_owned()))
            .collect(),
        footer,
    }
}

fn tile(report: &Report, name: &str, (label, decimals): (&str, usize)) -> Option<Tile> {
    let reading = report.indicators.get(name)?;
    let value = reading.value?;
    let word = phrases(report.language).percentile;
    let note = match reading.percentile {
        Some(percentile) => format!("{word} {percentile:.1}"),
        None => format!("n = {}", reading.n),
    };
    Some(Tile {
        label: label.to_owned(),
        value: format!("{value:.decimals$}"),
        note,
    })
}
