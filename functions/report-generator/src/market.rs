//! The port to market data: one year of daily prices of a symbol, by Yahoo's chart JSON (v8).

mod chart;

use std::time::Duration;

use reqwest::Client;
use url::Url;

pub use self::chart::{MAX_ANSWER, Unusable, parse};
use crate::{
    outside::{Limits, Outside, Unanswered},
    series::Series,
    ticker::Ticker,
};

const SERVER: &str = "the market data server";
const LIMITS: Limits = Limits {
    attempt: Duration::from_secs(8),
    retries: 2,
    bytes: MAX_ANSWER,
};

/// Where prices come from.
#[derive(Clone, Debug)]
pub(crate) struct Market {
    outside: Outside,
    url: Url,
}

/// There are no prices to be had.
#[derive(Debug, thiserror::Error)]
pub enum NoPrices {
    /// The symbol is unknown there.
    #[error("there are no prices of {symbol}: {said}")]
    Unknown {
        /// What was asked for.
        symbol: Ticker,
        /// What the server says of it.
        said: String,
    },
    /// The server could not be asked.
    #[error("the prices of {symbol} cannot be had")]
    Unanswered {
        /// What was asked for.
        symbol: Ticker,
        /// Why.
        source: Unanswered,
    },
}

impl Market {
    pub(crate) fn new(outside: Outside, url: Url) -> Self {
        Self { outside, url }
    }

    /// The daily prices of `symbol` over one year.
    pub(crate) async fn year_of(&self, symbol: &Ticker) -> Result<Series, NoPrices> {
        let unanswered = |source| NoPrices::Unanswered {
            symbol: symbol.clone(),
            source,
        };
        let url = url_of(&self.url, symbol);
        let request = |client: &Client| client.get(url.clone());
        let answer = self
            .outside
            .ask(SERVER, LIMITS, request)
            .await
            .map_err(unanswered)?;
        let status = answer.status.as_u16();
        match (status, parse(&answer.body, symbol.as_str())) {
            (200, Ok(series)) => Ok(series),
            (200 | 404, Err(Unusable::Unknown(said))) => Err(NoPrices::Unknown {
                symbol: symbol.clone(),
                said,
            }),
            (200, Err(unusable)) => Err(unanswered(Unanswered::Malformed {
                server: SERVER,
                why: format!("{unusable}, it begins with {:?}", answer.shown()),
            })),
            _ => Err(unanswered(Unanswered::Refused {
                server: SERVER,
                status,
                said: answer.shown(),
            })),
        }
    }
}

/// Where the daily prices of `symbol` over one year are.
fn url_of(base: &Url, symbol: &Ticker) -> Url {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty()
            .extend(["v8", "finance", "chart", symbol.as_str()]);
    }
    url.query_pairs_mut().extend_pairs([
        ("range", "1y"),
        ("interval", "1d"),
        ("includePrePost", "false"),
        ("events", "div,splits"),
    ]);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_is_one_part_of_the_path_whatever_it_has() {
        let base = "http://127.0.0.1:1/base/".parse().unwrap();
        let url = url_of(&base, &"^GSPC".parse().unwrap());
        assert_eq!(
            url.as_str(),
            "http://127.0.0.1:1/base/v8/finance/chart/^GSPC?range=1y&interval=1d&includePrePost=false&events=div%2Csplits"
        );
    }
}
