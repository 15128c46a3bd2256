//! The function's answers.

use std::{sync::Arc, time::Duration};

use jiff::{Timestamp, civil::Date};
use serde::{Serialize, Serializer};

use crate::{
    indicators::Readings,
    language::Language,
    narrative::{Author, Recommendation, Sections},
    news::Article,
    report::Report,
    reports::{Found, State},
    ticker::Ticker,
    web::Response,
};

/// What an event comes to.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// A report.
    Report(Box<ReportAnswer>),
    /// What was made before anybody asked.
    Prewarmed(Prewarmed),
    /// What was forgotten.
    Invalidated(Invalidated),
    /// An answer to a browser.
    Http(Response),
}

/// A report, and what was asked for beside it.
#[derive(Clone, Debug)]
pub struct ReportAnswer {
    pub(crate) report: Arc<Report>,
    /// A PNG in Base64.
    pub(crate) chart: Option<Arc<String>>,
    pub(crate) news: Option<Arc<Vec<Article>>>,
    /// A link to the PDF, and until when it can be followed.
    pub(crate) pdf: Option<(String, Option<Timestamp>)>,
    pub(crate) pdf_reused: bool,
    pub(crate) cache: CacheAnswer,
    /// What was asked for beside the report and could not be had.
    pub(crate) warnings: Vec<String>,
    pub(crate) duration: Duration,
}

/// As it is written: borrowed, since what is kept is shared by all answers.
#[derive(Serialize)]
struct Written<'a> {
    ticker: &'a Ticker,
    symbol: &'a Ticker,
    name: &'a str,
    date: Date,
    language: Language,
    currency: &'a str,
    close: &'a str,
    change_pct: Option<f64>,
    recommendation: Recommendation,
    text: &'a str,
    sections: &'a Sections,
    indicators: &'a Readings,
    #[serde(skip_serializing_if = "Option::is_none")]
    chart_b64: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    news: Option<&'a [Article]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pdf_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pdf_url_expires_at: Option<Timestamp>,
    pdf_reused: bool,
    cache: &'a CacheAnswer,
    narrative: Author,
    #[serde(skip_serializing_if = "Option::is_none")]
    narrative_note: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    warnings: &'a [String],
    duration_ms: f64,
}

impl Serialize for ReportAnswer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let report = &*self.report;
        Written {
            ticker: &report.ticker,
            symbol: &report.symbol,
            name: &report.name,
            date: report.date,
            language: report.language,
            currency: &report.currency,
            close: &report.close,
            change_pct: report.change_pct,
            recommendation: report.recommendation,
            text: &report.text,
            sections: &report.sections,
            indicators: &report.indicators,
            chart_b64: self.chart.as_deref().map(String::as_str),
            news: self.news.as_deref().map(Vec::as_slice),
            pdf_url: self.pdf.as_ref().map(|(url, _)| url.as_str()),
            pdf_url_expires_at: self.pdf.as_ref().and_then(|(_, until)| *until),
            pdf_reused: self.pdf_reused,
            cache: &self.cache,
            narrative: report.narrative,
            narrative_note: report.narrative_note.as_deref(),
            warnings: &self.warnings,
            duration_ms: larder_lambda::milliseconds(self.duration),
        }
        .serialize(serializer)
    }
}

/// Where the report came from.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CacheAnswer {
    pub(crate) state: State,
    pub(crate) tier: Option<&'static str>,
    age_seconds: u64,
    expires_at: Timestamp,
}

impl From<Found> for ReportAnswer {
    /// The report alone.
    fn from(found: Found) -> Self {
        Self {
            cache: CacheAnswer {
                state: found.state,
                tier: found.tier,
                age_seconds: found.age.as_secs(),
                expires_at: found.report.expires_at,
            },
            report: found.report,
            chart: None,
            news: None,
            pdf: None,
            pdf_reused: false,
            warnings: Vec::new(),
            duration: Duration::ZERO,
        }
    }
}

/// What was made before anybody asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Prewarmed {
    #[serde(rename = "prewarmed")]
    pub(crate) reports: Vec<Warm>,
    pub(crate) errors: usize,
    /// Tickers that there was no time for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) pending: Vec<Ticker>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Warm {
    pub(crate) ticker: Ticker,
    #[serde(flatten)]
    pub(crate) outcome: WarmOutcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum WarmOutcome {
    Made { date: Date, cache: State },
    Failed { error: Failure },
}

/// An error in an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Failure {
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) message: String,
}

impl From<&larder_lambda::Error> for Failure {
    fn from(error: &larder_lambda::Error) -> Self {
        Self {
            kind: error.kind().as_str(),
            message: error.to_string(),
        }
    }
}

/// What was forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Invalidated {
    pub(crate) invalidated: Forgotten,
}

/// A ticker, and the day of it; all days, if unset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Forgotten {
    pub(crate) ticker: Ticker,
    pub(crate) date: Option<Date>,
}
