//! Reports as pages. `maud` escapes all that is not written here.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::{
    answer::ReportAnswer,
    narrative::{Recommendation, phrases, pick},
    ticker::Ticker,
};

const STYLE: &str = include_str!("page.css");

/// Renders links to all tickers. `root` is the relative link to `/`, here and below.
pub(crate) fn index<'a>(tickers: impl Iterator<Item = &'a Ticker>, root: &str) -> String {
    let body = html! {
        h1 { "Reports" }
        ul.tickers {
            @for ticker in tickers {
                li { a href=(format!("{root}reports/{ticker}")) { (ticker) } }
            }
        }
    };
    document("en", "Reports", &body)
}

/// A report with its chart.
pub(crate) fn report(answer: &ReportAnswer, has_pdf: bool, root: &str) -> String {
    let report = &*answer.report;
    let words = phrases(report.language);
    let advice = pick(&words.recommendations, report.recommendation);
    let tone = match report.recommendation {
        Recommendation::Buy => "good",
        Recommendation::Hold => "neutral",
        Recommendation::Sell => "bad",
    };
    let sections = words.headings.into_iter().zip(report.sections.texts());
    let title = format!("{} ({})", report.name, report.ticker);
    let body = html! {
        header {
            h1 { (title) " " span class=(format!("badge {tone}")) { (advice) } }
            p.price {
                (report.currency) " " (report.close)
                @if let Some(change) = report.change_pct { " (" (format!("{change:+.2}")) "%)" }
                " · " (words.as_of) " " time { (report.date) }
            }
        }
        @if let Some(chart) = &answer.chart {
            img alt=(title) src=(format!("data:image/png;base64,{chart}"));
        }
        @for (heading, text) in sections {
            section {
                h2 { (heading) }
                @for line in text.lines() { p { (line) } }
            }
        }
        @if let Some(news) = answer.news.as_deref().filter(|news| !news.is_empty()) {
            section {
                h2 { (words.news) }
                ul {
                    @for article in news {
                        li { a href=(article.url) rel="noreferrer nofollow" { (article.title) } " " small { (article.publisher) } }
                    }
                }
            }
        }
        footer {
            @if has_pdf {
                p { a href=(format!("{root}reports/{}/report.pdf?date={}&language={}", report.ticker, report.date, report.language.code())) { "PDF" } }
            }
            p { (words.disclaimer) }
            @if report.narrative == crate::narrative::Author::Rules { p { (words.written_by_rules) } }
        }
    };
    document(report.language.code(), &title, &body)
}

/// Renders the reason for a refusal, and a link to the index.
pub(crate) fn refusal(title: &str, sentence: &str, root: &str) -> String {
    let body = html! {
        h1 { (title) }
        p { (sentence) }
        p { a href=(root) { "All reports" } }
    };
    document("en", title, &body)
}

fn document(language: &str, title: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang=(language) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { main { (body) } }
        }
    };
    page.into_string()
}
