//! A report: what is kept of it, and how it reads as one text.

use std::fmt::Write as _;

use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

use crate::{
    facts::{change_pct, price},
    indicators::Readings,
    language::Language,
    narrative::{Author, Narrative, Recommendation, Sections, phrases, pick},
    news::Article,
    series::Series,
    ticker::{Known, Ticker},
};

/// A report on a ticker on a trading day, in one language.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// What people ask for.
    pub(crate) ticker: Ticker,
    /// What the exchange calls it.
    pub(crate) symbol: Ticker,
    /// What it is.
    pub(crate) name: String,
    /// The exchange's trading date.
    pub(crate) date: Date,
    /// What it is written in.
    pub(crate) language: Language,
    /// What prices are in.
    pub(crate) currency: String,
    /// The last price, as it is printed.
    pub(crate) close: String,
    /// Against the session before, in percent.
    pub(crate) change_pct: Option<f64>,
    /// What it comes to.
    pub(crate) recommendation: Recommendation,
    /// All of it, as one text.
    pub(crate) text: String,
    /// Its parts.
    pub(crate) sections: Sections,
    /// The last value of each indicator, and how usual it is.
    pub(crate) indicators: Readings,
    /// Who wrote it.
    pub(crate) narrative: Author,
    /// Why rules wrote it, where a model was asked.
    pub(crate) narrative_note: Option<String>,
    /// When it was written.
    pub(crate) generated_at: Timestamp,
    /// Until when it is fresh.
    pub(crate) expires_at: Timestamp,
}

/// Who wrote the words, and why if it was not who was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) by: Author,
    pub(crate) note: Option<String>,
}

impl Report {
    /// Puts it together.
    pub(crate) fn new(
        (known, language): (&Known, Language),
        (series, indicators): (&Series, Readings),
        (narrative, written): (Narrative, Written),
        news: &[Article],
        (generated_at, expires_at): (Timestamp, Timestamp),
    ) -> Option<Self> {
        let last = series.bars.last()?;
        let mut report = Self {
            ticker: known.ticker.clone(),
            symbol: known.symbol.clone(),
            name: series.name.clone(),
            date: last.date,
            language,
            currency: series.currency.clone(),
            close: price(last.close, series.decimals),
            change_pct: change_pct(series),
            recommendation: narrative.recommendation,
            text: String::new(),
            sections: narrative.sections,
            indicators,
            narrative: written.by,
            narrative_note: written.note,
            generated_at,
            expires_at,
        };
        report.text = report.as_text(news);
        Some(report)
    }

    /// Headings and texts, in the order in which they are read.
    pub(crate) fn headed(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let headings = phrases(self.language).headings;
        headings.into_iter().zip(self.sections.texts())
    }

    /// The recommendation as a word.
    pub(crate) fn advice(&self) -> &'static str {
        pick(&phrases(self.language).recommendations, self.recommendation)
    }

    /// `SGD 53.90 (+1.20%)`
    pub(crate) fn price_line(&self) -> String {
        let mut line = format!("{} {}", self.currency, self.close);
        if let Some(change) = self.change_pct {
            let _ = write!(line, " ({change:+.2}%)");
        }
        line
    }

    fn as_text(&self, news: &[Article]) -> String {
        let words = phrases(self.language);
        let mut text = format!(
            "{} ({}) · {} · {} {}\n",
            self.name,
            self.ticker,
            self.price_line(),
            words.as_of,
            self.date
        );
        let [story, know, to_do, risks, percentiles] = self.sections.texts();
        let to_do = format!("{}: {to_do}", self.advice());
        let sections = [story, know, &to_do, risks, percentiles];
        for (heading, section) in words.headings.into_iter().zip(sections) {
            let _ = write!(text, "\n{heading}\n{section}\n");
        }
        if !news.is_empty() {
            let _ = write!(text, "\n{}\n", words.news);
            for article in news {
                let _ = writeln!(text, "• {} – {}", article.title, article.url);
            }
        }
        let _ = write!(text, "\n{}", words.disclaimer);
        if self.narrative == Author::Rules {
            let _ = write!(text, " {}", words.written_by_rules);
        }
        text
    }
}
