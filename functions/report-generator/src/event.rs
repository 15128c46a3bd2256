//! The events that the function takes.

use jiff::civil::Date;
use larder_lambda::event::{Fields, bounded, is_schedule, no_others, shown};
use serde::Deserialize;
use serde_json::Value;

use crate::{language::Language, ticker::Ticker, web::Request};

/// The most tickers of one pre-warming.
const MOST: usize = 100;
/// Bound on a parser's message, in characters: it may quote the event.
const MAX_QUOTED: usize = 300;
const TAKES: &str = "has `ticker` with perhaps `date`, `language`, `refresh` and `include`, or `prewarm`, or `invalidate`, \
     or comes from a function URL or a schedule";

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Fields")]
pub enum Event {
    /// A report.
    Report(Ask),
    /// Reports that are to be at hand before anybody asks.
    Prewarm {
        /// On these; on the popular ones, if unset.
        tickers: Option<Vec<Ticker>>,
        /// Whether they are to be made anew: the day's prices have changed.
        refresh: bool,
    },
    /// What is kept of a ticker is wrong: of a day, or of all days.
    Invalidate {
        /// Which one.
        ticker: Ticker,
        /// Which day.
        date: Option<Date>,
    },
    /// Somebody at the function's URL.
    Http(Box<Request>),
    /// The same, with something else in a field than URLs have: why it cannot be read. There is a client that waits for a status.
    Unreadable(String),
}

/// A report that is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Ask {
    /// On what.
    pub ticker: Ticker,
    /// Of which trading day; of the last, if unset.
    pub date: Option<Date>,
    /// In which language; in the usual one, if unset.
    pub language: Option<Language>,
    /// Whether it is to be made anew.
    pub refresh: bool,
    /// What else is to be in the answer.
    pub include: Include,
}

/// What an answer has beside the report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Include {
    /// The chart.
    pub chart: bool,
    /// The headlines.
    pub news: bool,
    /// A link to the PDF.
    pub pdf: bool,
}

impl TryFrom<Fields> for Event {
    type Error = String;

    fn try_from(fields: Fields) -> Result<Self, String> {
        if let Some(context) = fields.get("requestContext") {
            let is_http = context.get("http").is_some_and(Value::is_object);
            let request = serde_json::from_value(Value::Object(fields));
            let request = request.map_err(|error| {
                let error = bounded(error, MAX_QUOTED);
                format!("a function URL's event: {error}")
            });
            return match request {
                Ok(request) => Ok(Self::Http(Box::new(request))),
                Err(why) if is_http => Ok(Self::Unreadable(why)),
                Err(why) => Err(why),
            };
        }
        if is_schedule(&fields)? {
            return Ok(Self::Prewarm {
                tickers: None,
                refresh: false,
            });
        }
        if let Some(tickers) = fields.get("prewarm") {
            let takes = "with `prewarm` has `refresh` perhaps, and nothing else";
            no_others(&fields, &["prewarm", "refresh"], takes)?;
            return Ok(Self::Prewarm {
                tickers: prewarm(tickers)?,
                refresh: refresh(&fields)?,
            });
        }
        if let Some(what) = fields.get("invalidate") {
            no_others(
                &fields,
                &["invalidate"],
                "with `invalidate` has nothing else",
            )?;
            let Value::Object(of) = what else {
                return Err(format!(
                    "field `invalidate` is {}, not an object with `ticker` and `date`",
                    shown(what)
                ));
            };
            no_others(
                of,
                &["ticker", "date"],
                "has `ticker` and `date` in its `invalidate`",
            )?;
            return Ok(Self::Invalidate {
                ticker: ticker(of)?,
                date: date(of)?,
            });
        }
        let known = ["ticker", "date", "language", "refresh", "include"];
        no_others(&fields, &known, TAKES)?;
        Ok(Self::Report(Ask {
            ticker: ticker(&fields)?,
            date: date(&fields)?,
            language: language(&fields)?,
            refresh: refresh(&fields)?,
            include: include(&fields)?,
        }))
    }
}

fn prewarm(tickers: &Value) -> Result<Option<Vec<Ticker>>, String> {
    match tickers {
        Value::String(popular) if popular == "popular" => Ok(None),
        Value::Array(named) if named.is_empty() => {
            Err("field `prewarm` is empty: name tickers, or \"popular\"".to_owned())
        }
        Value::Array(named) if named.len() > MOST => {
            Err(format!("field `prewarm` has more than {MOST} tickers"))
        }
        Value::Array(named) => {
            let parsed = named.iter().map(|named| {
                let text = named.as_str();
                let text =
                    text.ok_or_else(|| format!("field `prewarm`: {} is no text", shown(named)))?;
                text.parse()
                    .map_err(|error| format!("field `prewarm`: {error}"))
            });
            parsed.collect::<Result<_, _>>().map(Some)
        }
        other => Err(format!(
            "field `prewarm` is {}, neither a list of tickers nor \"popular\"",
            shown(other)
        )),
    }
}

fn text<'a>(fields: &'a Fields, name: &str) -> Result<Option<&'a str>, String> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(format!("field `{name}` is {}, not a text", shown(other))),
    }
}

fn parsed<T: std::str::FromStr<Err = String>>(
    fields: &Fields,
    name: &str,
) -> Result<Option<T>, String> {
    let parsed = text(fields, name)?.map(str::parse).transpose();
    parsed.map_err(|error| format!("field `{name}`: {error}"))
}

fn ticker(fields: &Fields) -> Result<Ticker, String> {
    parsed(fields, "ticker")?.ok_or_else(|| format!("field `ticker` is missing: an event {TAKES}"))
}

fn date(fields: &Fields) -> Result<Option<Date>, String> {
    let date = text(fields, "date")?.map(parse_date).transpose();
    date.map_err(|error| format!("field `date`: {error}"))
}

/// A day, written `2026-11-20` and in no other way.
pub(crate) fn parse_date(text: &str) -> Result<Date, String> {
    let date: Option<Date> = (text.len() == 10).then(|| text.parse().ok()).flatten();
    date.ok_or_else(|| format!("{:?} is no date such as \"2026-11-20\"", shown(text)))
}

fn language(fields: &Fields) -> Result<Option<Language>, String> {
    parsed(fields, "language")
}

fn refresh(fields: &Fields) -> Result<bool, String> {
    match fields.get("refresh") {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(refresh)) => Ok(*refresh),
        Some(other) => Err(format!(
            "field `refresh` is {}, neither true nor false",
            shown(other)
        )),
    }
}

fn include(fields: &Fields) -> Result<Include, String> {
    let mut include = Include::default();
    let parts = match fields.get("include") {
        None | Some(Value::Null) => return Ok(include),
        Some(Value::Array(parts)) => parts,
        Some(other) => return Err(format!("field `include` is {}, not a list", shown(other))),
    };
    for part in parts {
        match part.as_str() {
            Some("chart") => include.chart = true,
            Some("news") => include.news = true,
            Some("pdf") => include.pdf = true,
            _ => {
                return Err(format!(
                    "field `include` has {}, which is none of \"chart\", \"news\" and \"pdf\"",
                    shown(part)
                ));
            }
        }
    }
    Ok(include)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(event: Value) -> Result<Event, String> {
        serde_json::from_value(event).map_err(|error| error.to_string())
    }

    #[test]
    fn every_shape_of_event_is_taken() {
        let all = json!({ "ticker": "DBS19", "date": "2026-11-20", "language": "en", "refresh": true, "include": ["chart", "news", "pdf"] });
        let Ok(Event::Report(ask)) = read(all) else {
            panic!()
        };
        assert!(ask.refresh && ask.include.chart && ask.include.news && ask.include.pdf);
        assert_eq!(ask.language, Some(Language::English));
        assert_eq!(ask.date, Some("2026-11-20".parse().unwrap()));
        let popular = read(json!({ "prewarm": "popular" }));
        let all = Event::Prewarm {
            tickers: None,
            refresh: false,
        };
        assert_eq!(popular.as_ref(), Ok(&all));
        let schedule =
            json!({ "detail-type": "Scheduled Event", "source": "aws.scheduler", "detail": {} });
        assert_eq!(read(schedule), Ok(all));
        let named = read(json!({ "prewarm": ["DBS19", "PTT19"], "refresh": true }));
        assert!(
            matches!(named, Ok(Event::Prewarm { tickers: Some(named), refresh: true }) if named.len() == 2)
        );
        let day = read(json!({ "invalidate": { "ticker": "DBS19", "date": "2025-11-11" } }));
        assert!(matches!(day, Ok(Event::Invalidate { date: Some(_), .. })));
        let all = read(json!({ "invalidate": { "ticker": "DBS19" } }));
        assert!(matches!(all, Ok(Event::Invalidate { date: None, .. })));
    }

    #[test]
    fn a_urls_event_that_cannot_be_read_is_still_a_urls() {
        let http = json!({ "rawPath": 7, "requestContext": { "http": { "method": "GET" } } });
        assert!(matches!(read(http), Ok(Event::Unreadable(why)) if why.contains("string")));
        let null = json!({ "rawPath": "/", "headers": null, "requestContext": { "http": { "method": "GET" } } });
        assert!(matches!(read(null), Ok(Event::Http(_))));
        let other = json!({ "rawPath": "/", "requestContext": { "stage": "x" } });
        assert!(read(other).unwrap_err().contains("a function URL's event"));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_field() {
        for (event, said) in [
            (json!({}), "field `ticker` is missing"),
            (
                json!({ "ticker": "../x" }),
                "field `ticker`: \"../x\" is no ticker",
            ),
            (json!({ "ticker": 7 }), "field `ticker` is 7, not a text"),
            (
                json!({ "ticker": "A", "date": "20.11.2026" }),
                "field `date`: \"20.11.2026\" is no date",
            ),
            (
                json!({ "ticker": "A", "date": "2026-11-20T00:00" }),
                "is no date",
            ),
            (
                json!({ "ticker": "A", "language": "fr" }),
                "field `language`: \"fr\"",
            ),
            (
                json!({ "ticker": "A", "refresh": "yes" }),
                "field `refresh`",
            ),
            (
                json!({ "ticker": "A", "include": ["png"] }),
                "field `include` has \"png\"",
            ),
            (
                json!({ "ticker": "A", "tikcer": "B" }),
                "unknown field `tikcer`",
            ),
            (json!({ "prewarm": [] }), "field `prewarm` is empty"),
            (json!({ "prewarm": ["a b"] }), "field `prewarm`: \"a b\""),
            (json!({ "prewarm": "all" }), "field `prewarm` is \"all\""),
            (json!({ "invalidate": "A" }), "field `invalidate`"),
            (
                json!({ "invalidate": { "ticker": "A", "day": 1 } }),
                "unknown field `day`",
            ),
        ] {
            let refused = read(event).unwrap_err();
            assert!(refused.contains(said), "{said}: {refused}");
        }
    }
}
