//! What goes wrong at Yahoo, on request.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    response::{IntoResponse as _, Response},
};
use futures_util::stream;
use http::{StatusCode, header};
use serde_json::{Value, json};

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 429, in words.
    RateLimited,
    /// 429 from the servers in front of Yahoo's: yfinance#2422.
    EdgeRateLimited,
    /// This status, 401 or 403, with what Yahoo says with it.
    Refused(u16),
    /// 200 and a page that says "Will be right back".
    Maintenance,
    /// 502.
    ServerError,
    /// The request is read and never answered.
    Silent,
    /// JSON that ends in the middle.
    Truncated,
    /// An answer without a single price or item: yfinance#806.
    EmptyQuote,
    /// An answer without end.
    Huge,
    /// 200 and no JSON at all.
    Garbage,
}

/// One of the two things that are asked for: who asked, and what goes wrong. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Feed(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    faults: Vec<Wanted>,
    requests: Vec<Seen>,
    delay: Duration,
}

#[derive(Debug)]
struct Wanted {
    /// Of all symbols if unset.
    symbol: Option<String>,
    fault: Fault,
    /// For ever if unset.
    times: Option<u32>,
}

/// A request, well answered or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What was asked for.
    pub symbol: String,
    /// The query of its URL.
    pub query: String,
    /// Its `User-Agent`.
    pub user_agent: Option<String>,
}

impl Feed {
    /// Has this go wrong with a symbol from now on, or nothing any more.
    pub fn set_fault(&self, symbol: &str, fault: Option<Fault>) {
        self.set(Some(symbol), fault);
    }

    /// The same with every symbol.
    pub fn set_fault_for_all(&self, fault: Option<Fault>) {
        self.set(None, fault);
    }

    /// Has this go wrong so many times, and before anything that goes wrong for ever.
    pub fn fail_times(&self, symbol: &str, fault: Fault, times: u32) {
        self.state().faults.push(Wanted {
            symbol: Some(symbol.to_owned()),
            fault,
            times: Some(times),
        });
    }

    /// Has nothing go wrong any more.
    pub fn heal(&self) {
        self.state().faults.clear();
    }

    /// Has each answer take so much longer.
    pub fn delay(&self, delay: Duration) {
        self.state().delay = delay;
    }

    /// What was asked for, the first first.
    #[must_use]
    pub fn requests(&self) -> Vec<Seen> {
        self.state().requests.clone()
    }

    /// How often a symbol was asked for.
    #[must_use]
    pub fn count(&self, symbol: &str) -> usize {
        let state = self.state();
        let asked = state.requests.iter();
        asked.filter(|seen| seen.symbol == symbol).count()
    }

    /// Notes a request, takes its time, and says what goes wrong with it.
    pub(super) async fn enter(&self, seen: Seen) -> Option<Fault> {
        let (fault, delay) = {
            let mut state = self.state();
            let fault = state.take(&seen.symbol);
            state.requests.push(seen);
            (fault, state.delay)
        };
        tokio::time::sleep(delay).await;
        if fault == Some(Fault::Silent) {
            std::future::pending::<()>().await;
        }
        fault
    }

    fn set(&self, symbol: Option<&str>, fault: Option<Fault>) {
        let mut state = self.state();
        state.faults.retain(|it| it.symbol.as_deref() != symbol);
        state.faults.extend(fault.map(|fault| Wanted {
            symbol: symbol.map(str::to_owned),
            fault,
            times: None,
        }));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What goes wrong with a request for `symbol`, counted.
    fn take(&mut self, symbol: &str) -> Option<Fault> {
        let concerns = |it: &Wanted| it.symbol.as_deref().is_none_or(|other| other == symbol);
        let counted = |it: &Wanted| it.times.is_some() && concerns(it);
        let at = self.faults.iter().position(counted);
        let at = at.or_else(|| self.faults.iter().position(concerns))?;
        let wanted = self.faults.get_mut(at)?;
        let fault = wanted.fault.clone();
        wanted.times = wanted.times.map(|times| times.saturating_sub(1));
        if wanted.times == Some(0) {
            self.faults.remove(at);
        }
        Some(fault)
    }
}

impl Fault {
    /// The answer in the place of `whole`; `empty` is the one without content.
    pub(super) fn spoil(self, whole: &Value, empty: &Value) -> Response {
        let text = |status: StatusCode, text: &'static str| (status, text).into_response();
        match self {
            Self::RateLimited => text(StatusCode::TOO_MANY_REQUESTS, "Too Many Requests\r\n"),
            Self::EdgeRateLimited => text(StatusCode::TOO_MANY_REQUESTS, "Edge: Too Many Requests"),
            Self::Refused(status) => refused(status),
            Self::Maintenance => (
                [(header::CONTENT_TYPE, "text/html; charset=UTF-8")],
                "<!DOCTYPE html>\n<html lang=\"en-us\"><head><title>Yahoo</title></head><body><h1>Will be right back...</h1>\
                 <p>Thank you for your patience. Our engineers are working quickly to resolve the issue.</p></body></html>",
            )
                .into_response(),
            Self::ServerError => (
                StatusCode::BAD_GATEWAY,
                [(header::CONTENT_TYPE, "text/html")],
                "<html><head><title>Error</title></head><body><h1>502 Bad Gateway</h1></body></html>",
            )
                .into_response(),
            Self::Truncated => {
                let mut whole = whole.to_string().into_bytes();
                whole.truncate(whole.len() / 2);
                as_json(whole)
            }
            Self::EmptyQuote | Self::Silent => as_json(empty.to_string()),
            Self::Huge => endless("{\"chart\":{\"result\":[{\"timestamp\":[0", ",1731373200"),
            Self::Garbage => as_json(garbage()),
        }
    }
}

/// What Yahoo says to those whom it does not trust.
fn refused(status: u16) -> Response {
    let description = match status {
        401 => "Invalid Crumb",
        _ => "User is unable to access this feature - https://bit.ly/yahoo-finance-api-feedback",
    };
    let error = json!({ "code": "Unauthorized", "description": description });
    let body = json!({ "finance": { "result": null, "error": error } });
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::UNAUTHORIZED);
    (status, axum::Json(body)).into_response()
}

fn as_json(body: impl Into<Body>) -> Response {
    let named = [(header::CONTENT_TYPE, "application/json;charset=utf-8")];
    (named, body.into()).into_response()
}

/// Bytes that are no JSON, and no text.
pub(crate) fn garbage() -> Vec<u8> {
    (0..=255_u8).rev().cycle().take(1_000).collect()
}

/// JSON that begins well and goes on until the reader has enough.
pub(crate) fn endless(start: &'static str, again: &str) -> Response {
    let more = Bytes::from(again.repeat(4_096));
    let pieces = stream::unfold(Bytes::from(start), move |piece| {
        let more = more.clone();
        std::future::ready(Some((Ok::<_, Infallible>(piece), more)))
    });
    as_json(Body::from_stream(pieces))
}
