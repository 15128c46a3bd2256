//! What every object is called, for whoever writes it and whoever reads it.
//!
//! ```text
//! cache/reports/{ticker}/{date}/report.json   in Thai; report.en.json in English
//! cache/reports/{ticker}/{date}/chart.b64
//! cache/reports/{ticker}/{date}/news.json
//! cache/reports/{ticker}/{date}/prices.json
//! reports/{ticker}/{date}.pdf                 in Thai; {date}.en.pdf in English
//! ```

use jiff::civil::Date;

use crate::{language::Language, ticker::Ticker};

/// What the cache's objects begin with.
pub(crate) const CACHE: &str = "cache/";
/// Below it: what is cached of reports.
const REPORTS: &str = "reports";

/// Keyspaces, as they are called in keys and in metrics.
pub(crate) mod spaces {
    pub(crate) const REPORTS: &str = "reports";
    pub(crate) const CHARTS: &str = "charts";
    pub(crate) const NEWS: &str = "news";
    pub(crate) const PRICES: &str = "prices";
}

/// A key of something that has no language.
pub(crate) type DayKey = (String, String);
/// A key of something that has one.
pub(crate) type TextKey = (String, String, String);

/// Of what there is once a day.
pub(crate) fn day(ticker: &Ticker, date: Date) -> DayKey {
    (ticker.to_string(), date.to_string())
}

/// Of what there is once a day and language.
pub(crate) fn text(ticker: &Ticker, date: Date, language: Language) -> TextKey {
    (
        ticker.to_string(),
        date.to_string(),
        language.code().to_owned(),
    )
}

/// Where the PDF is.
pub(crate) fn pdf(ticker: &Ticker, date: Date, language: Language) -> String {
    format!("{REPORTS}/{ticker}/{date}{}.pdf", infix(language.code()))
}

/// What the PDFs of a day begin with, or of all days.
pub(crate) fn pdfs(ticker: &Ticker, date: Option<Date>) -> String {
    match date {
        Some(date) => format!("{REPORTS}/{ticker}/{date}."),
        None => format!("{REPORTS}/{ticker}/"),
    }
}

/// Thai has none: at first there was no other language.
fn infix(language: &str) -> String {
    match language {
        "" | "th" => String::new(),
        other => format!(".{other}"),
    }
}

/// What the object of a cache's key is called, behind [`CACHE`].
pub(crate) fn object(key: &str) -> String {
    let mut parts = key.split(':').skip(1);
    let keyspace = parts.next().unwrap_or_default();
    // The schema: an object of another one is told by its metadata.
    let _ = parts.next();
    // No ticker has another letter that is encoded in keys.
    let mut next = || {
        let part = parts.next().unwrap_or_default();
        part.replace("%5E", "^").replace("%3D", "=")
    };
    let (ticker, date, language) = (next(), next(), next());
    let file = match keyspace {
        spaces::REPORTS => format!("report{}.json", infix(&language)),
        spaces::CHARTS => "chart.b64".to_owned(),
        spaces::NEWS => "news.json".to_owned(),
        spaces::PRICES => "prices.json".to_owned(),
        _ => return key.replace(':', "/"),
    };
    format!("{REPORTS}/{ticker}/{date}/{file}")
}

/// What a cache's key is about, if it is a report's: its ticker and its date.
pub(crate) fn report_of(key: &str) -> Option<(String, String)> {
    let name = object(key);
    let mut parts = name.strip_prefix(REPORTS)?.split('/').skip(1);
    let (ticker, date, file) = (parts.next()?, parts.next()?, parts.next()?);
    file.starts_with("report.")
        .then(|| (ticker.to_owned(), date.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticker(text: &str) -> Ticker {
        text.parse().unwrap()
    }

    #[test]
    fn a_stored_pdf_is_found_again() {
        let date = "2025-11-11".parse().unwrap();
        let name = |language| pdf(&ticker("DBS19"), date, language);
        assert_eq!(name(Language::Thai), "reports/DBS19/2025-11-11.pdf");
        assert_eq!(name(Language::English), "reports/DBS19/2025-11-11.en.pdf");
    }

    #[test]
    fn objects_are_called_as_in_the_contract() {
        let key =
            |space: &str, rest: &str| format!("report-generator:{space}:00000000000000ab:{rest}");
        for (space, rest, name) in [
            (
                "reports",
                "DBS19:2025-11-11:th",
                "reports/DBS19/2025-11-11/report.json",
            ),
            (
                "reports",
                "DBS19:2025-11-11:en",
                "reports/DBS19/2025-11-11/report.en.json",
            ),
            (
                "charts",
                "%5EGSPC:2025-11-11",
                "reports/^GSPC/2025-11-11/chart.b64",
            ),
            (
                "news",
                "THB%3DX:2025-11-11",
                "reports/THB=X/2025-11-11/news.json",
            ),
            (
                "prices",
                "D05.SI:2025-11-11",
                "reports/D05.SI/2025-11-11/prices.json",
            ),
        ] {
            assert_eq!(object(&key(space, rest)), name);
        }
        let about = |space: &str| report_of(&key(space, "DBS19:2025-11-11:en"));
        assert_eq!(
            about("reports"),
            Some(("DBS19".to_owned(), "2025-11-11".to_owned()))
        );
        assert_eq!(about("charts"), None);
        assert_eq!(object("app:other:ab:x"), "app/other/ab/x");
    }
}
