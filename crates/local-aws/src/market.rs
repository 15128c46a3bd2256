//! Yahoo Finance: prices and news of a few listings, made up the same for all who ask.
//!
//! There is no specification. Sources: what yfinance 1.7.0 asks for and how it reads the answer,
//! recorded answers, and the issues named beside what they taught.

mod chart;
mod fault;
mod listing;
mod news;
mod walk;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Path, Query, RawQuery, State},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::server::Server;
pub use fault::{Fault, Feed, Seen};
pub(crate) use fault::{endless, garbage};

/// The path of prices, which a symbol follows.
pub const CHART: &str = "/v8/finance/chart/";

/// The path of news.
pub const NEWS: &str = "/xhr/ncp";

/// A running market. It lists D05.SI, PTT.BK, 0700.HK, 7203.T, AAPL (split four for one every
/// June), VOD.L (in pence), Y92.SI, ^GSPC, THB=X, NEW.SI (listed twelve sessions ago), NULL.SI
/// (whose rows have gaps) and TWICE.SI (whose session comes twice while it is on).
#[derive(Debug)]
pub struct Market {
    /// Who asked for prices, and what goes wrong with them.
    pub prices: Feed,
    /// The same of news.
    pub news: Feed,
    server: Server,
    clock: Arc<Mutex<Option<Timestamp>>>,
}

#[derive(Clone, Debug)]
struct Shared {
    prices: Feed,
    news: Feed,
    clock: Arc<Mutex<Option<Timestamp>>>,
}

impl Market {
    /// Starts one, in the present.
    pub async fn start() -> anyhow::Result<Self> {
        let (prices, news) = (Feed::default(), Feed::default());
        let clock = Arc::default();
        let shared = Shared {
            prices: prices.clone(),
            news: news.clone(),
            clock: Arc::clone(&clock),
        };
        let app = Router::new()
            .route("/v8/finance/chart/{symbol}", get(chart))
            .route(NEWS, post(stream))
            // Asked for by clients that once needed it for prices as well.
            .route("/v1/test/getcrumb", get(async || "local.crumb"))
            .with_state(shared);
        Ok(Self {
            prices,
            news,
            server: Server::start(app).await?,
            clock,
        })
    }

    /// `http://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Stops its clock at `now`.
    pub fn set_now(&self, now: Timestamp) {
        *self.clock.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    /// Has each answer take so much longer, of prices and of news.
    pub fn delay(&self, delay: Duration) {
        self.prices.delay(delay);
        self.news.delay(delay);
    }
}

impl Shared {
    fn now(&self) -> Timestamp {
        let clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        clock.unwrap_or_else(Timestamp::now)
    }
}

async fn chart(
    State(shared): State<Shared>,
    Path(symbol): Path<String>,
    Query(fields): Query<chart::Fields>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let seen = seen(&symbol, query, &headers);
    let anonymous = seen.user_agent.as_deref().is_none_or(str::is_empty);
    let fault = shared.prices.enter(seen).await;
    // Yahoo takes whoever does not say what it is for a robot.
    let fault = fault.or(anonymous.then_some(Fault::RateLimited));
    let Some(listing) = listing::find(&symbol) else {
        let gone = error("Not Found", "No data found, symbol may be delisted");
        return match fault {
            Some(fault) => fault.spoil(&gone, &gone),
            None => (StatusCode::NOT_FOUND, Json(gone)).into_response(),
        };
    };
    match (chart::answer(listing, &fields, shared.now()), fault) {
        (Ok(Ok((whole, empty))), Some(fault)) => fault.spoil(&whole, &empty),
        (Ok(Ok((whole, _))), None) => Json(whole).into_response(),
        (Ok(Err(refusal)), _) => {
            let error = error("Unprocessable Entity", &refusal);
            (StatusCode::UNPROCESSABLE_ENTITY, Json(error)).into_response()
        }
        (Err(error), _) => broken(&error),
    }
}

async fn stream(
    State(shared): State<Shared>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let symbol = body.pointer("/serviceConfig/s/0").and_then(Value::as_str);
    let symbol = symbol.unwrap_or_default();
    let query = query.unwrap_or_default();
    let is_known = query.contains("queryRef=latestNews") && query.contains("serviceKey=ncp_fin");
    let fault = shared.news.enter(seen(symbol, Some(query), &headers)).await;
    if !is_known || symbol.is_empty() {
        let error = json!({ "error": { "message": "queryRef, serviceKey and serviceConfig.s are needed" } });
        return (StatusCode::BAD_REQUEST, Json(error)).into_response();
    }
    let most = body.pointer("/serviceConfig/snippetCount");
    let most = most.and_then(Value::as_u64).unwrap_or(10);
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let whole = listing::find(symbol).map_or_else(news::nothing, |listing| {
        news::answer(listing, most, shared.now())
    });
    match fault {
        Some(fault) => fault.spoil(&whole, &news::nothing()),
        None => Json(whole).into_response(),
    }
}

fn seen(symbol: &str, query: Option<String>, headers: &HeaderMap) -> Seen {
    let agent = headers.get(header::USER_AGENT);
    Seen {
        symbol: symbol.to_owned(),
        query: query.unwrap_or_default(),
        user_agent: agent.and_then(|agent| agent.to_str().ok().map(str::to_owned)),
    }
}

fn error(code: &str, description: &str) -> Value {
    json!({ "chart": { "result": null, "error": { "code": code, "description": description } } })
}

/// A mistake of the emulator's own, such as an instant before there are any prices.
fn broken(error: &anyhow::Error) -> Response {
    let why = format!("{error:#}");
    (StatusCode::INTERNAL_SERVER_ERROR, why).into_response()
}

#[cfg(test)]
mod tests;
