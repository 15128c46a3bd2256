//! The port to news: headlines about a symbol. They are others' words, so they are bounded, stand in one line, and lead only
//! to the web.

use std::time::Duration;

use jiff::{Span, Timestamp, civil::Date, tz::TimeZone};
use larder_lambda::event::bounded;
use reqwest::Client;
use serde::{Deserialize, Serialize};
use serde_json::json;
use url::Url;

use crate::{
    outside::{Limits, Outside, QUOTED, Unanswered, plain},
    ticker::Ticker,
};

const SERVER: &str = "the news server";
/// How many headlines a report has.
const MOST: usize = 6;
/// How many are asked for: some are not fit to print.
const ASKED: usize = 10;
/// The longest answer that is read.
pub const MAX_ANSWER: usize = 256 << 10;
const LIMITS: Limits = Limits {
    attempt: Duration::from_secs(5),
    retries: 1,
    bytes: MAX_ANSWER,
};
/// A long weekend, in days.
const QUIET: i64 = 4;
const MAX_TITLE: usize = 200;
const MAX_PUBLISHER: usize = 60;
const MAX_URL: usize = 1_000;

/// A headline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Article {
    /// What it says.
    pub title: String,
    /// Where it stands: an address on the web.
    pub url: String,
    /// Who says so.
    pub publisher: String,
    /// When, if that is known.
    pub published: Option<Timestamp>,
}

/// Where headlines come from.
#[derive(Clone, Debug)]
pub(crate) struct News {
    outside: Outside,
    url: Url,
}

impl Article {
    /// Whether it is about what had happened by `date`, or on the days without a session after it.
    pub(crate) fn is_of(&self, date: Date) -> bool {
        let after = date
            .saturating_add(Span::new().days(QUIET))
            .to_zoned(TimeZone::UTC);
        let published = self.published.zip(after.ok());
        published.is_none_or(|(published, after)| published < after.timestamp())
    }
}

impl News {
    pub(crate) fn new(outside: Outside, url: &Url) -> Self {
        let mut url = url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["xhr", "ncp"]);
        }
        url.query_pairs_mut()
            .extend_pairs([("queryRef", "latestNews"), ("serviceKey", "ncp_fin")]);
        Self { outside, url }
    }

    /// The latest headlines about `symbol`.
    pub(crate) async fn of(&self, symbol: &Ticker) -> Result<Vec<Article>, Unanswered> {
        let body = json!({ "serviceConfig": { "snippetCount": ASKED, "s": [symbol] } }).to_string();
        let request = |client: &Client| {
            let request = client.post(self.url.clone());
            request
                .header("content-type", "application/json")
                .body(body.clone())
        };
        let answer = self.outside.ask(SERVER, LIMITS, request).await?;
        if !answer.status.is_success() {
            return Err(Unanswered::Refused {
                server: SERVER,
                status: answer.status.as_u16(),
                said: answer.shown(),
            });
        }
        parse(&answer.body).map_err(|why| Unanswered::Malformed {
            server: SERVER,
            why,
        })
    }
}

/// Reads headlines from an answer that anybody may have sent: those that are fit to print.
pub fn parse(bytes: &[u8]) -> Result<Vec<Article>, String> {
    #[derive(Deserialize)]
    struct Answer {
        data: Data,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Data {
        ticker_stream: Stream,
    }
    #[derive(Deserialize)]
    struct Stream {
        stream: Vec<serde_json::Value>,
    }
    let answer: Answer = serde_json::from_slice(bytes).map_err(|error| bounded(error, QUOTED))?;
    let items = answer.data.ticker_stream.stream;
    Ok(items.iter().filter_map(article).take(MOST).collect())
}

fn article(item: &serde_json::Value) -> Option<Article> {
    let text = |pointer: &str| item.pointer(pointer)?.as_str();
    let title = plain(text("/content/title")?, MAX_TITLE);
    let address = text("/content/canonicalUrl/url")?;
    let url = Url::parse(address).ok()?;
    let is_web = matches!(url.scheme(), "https" | "http") && address.len() <= MAX_URL;
    (is_web && !title.is_empty()).then(|| Article {
        title,
        url: url.into(),
        publisher: plain(
            text("/content/provider/displayName").unwrap_or_default(),
            MAX_PUBLISHER,
        ),
        published: text("/content/pubDate").and_then(|date| date.parse().ok()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headlines_are_bounded_and_lead_only_to_the_web() {
        let item = |title: &str, url: &str| {
            json!({ "content": { "title": title, "pubDate": "2026-11-20T02:00:00Z",
                "provider": { "displayName": "Wire" }, "canonicalUrl": { "url": url } } })
        };
        let stream = json!([
            item("Up\n{{CLOSE}} <b>3 %</b>", "https://example.com/a"),
            item("Click", "javascript:alert(1)"),
            item("", "https://example.com/b"),
            item(&"x".repeat(5_000), "http://example.com/c"),
            { "content": null },
            7,
        ]);
        let answer = json!({ "data": { "tickerStream": { "stream": stream } } });
        let articles = parse(answer.to_string().as_bytes()).unwrap();
        assert_eq!(articles.len(), 2);
        assert_eq!(articles[0].title, "Up CLOSE <b>3 %</b>");
        assert_eq!(articles[0].publisher, "Wire");
        assert_eq!(articles[1].title.len(), MAX_TITLE);
    }

    #[test]
    fn later_news_are_not_of_an_earlier_day() {
        let article = |published: &str| Article {
            title: String::new(),
            url: String::new(),
            publisher: String::new(),
            published: published.parse().ok(),
        };
        let friday = "2026-11-20".parse().unwrap();
        assert!(article("2026-11-22T23:00:00Z").is_of(friday));
        assert!(article("").is_of(friday));
        assert!(!article("2026-12-01T00:00:00Z").is_of(friday));
    }

    #[test]
    fn what_is_no_answer_says_why() {
        assert!(parse(b"<html>").unwrap_err().contains("line 1"));
    }
}
