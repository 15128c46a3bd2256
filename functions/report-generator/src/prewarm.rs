//! Reports that are at hand before anybody asks: a few at a time, as many as there is time for.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use larder_lambda::{Deadline, Error, ErrorKind};
use tokio::time::Instant;

use crate::{
    App, Call, Metrics,
    answer::{Failure, Prewarmed, Warm, WarmOutcome},
    event::{Ask, Include},
    reports::Found,
    ticker::Ticker,
};

/// How many are made at a time: sources and models bear no more.
const AT_A_TIME: usize = 4;
/// Kept of an invocation's time to say what was not done.
const FOR_THE_ANSWER: Duration = Duration::from_secs(2);
/// One that is given less is not begun: others would wait for it in vain.
const LEAST: Duration = Duration::from_secs(12);

/// What became of one: `None` where there was no time.
type Outcome = Option<Result<Found, Error>>;

impl App {
    /// Has reports on `tickers` at hand; on the popular ones, if none is named.
    pub(crate) async fn prewarm(
        &self,
        (tickers, refresh): (Option<Vec<Ticker>>, bool),
        deadline: Deadline,
        metrics: &mut Metrics,
    ) -> Result<Prewarmed, Error> {
        let tickers = tickers.unwrap_or_else(|| self.config().popular.clone());
        if tickers.is_empty() {
            let said = "no report is popular: name tickers in POPULAR_TICKERS";
            return Err(Error::message(ErrorKind::Internal, said));
        }
        let time = deadline.time_to_work().saturating_sub(FOR_THE_ANSWER);
        let until = Instant::now() + time;
        let making = tickers.clone().into_iter().map(|ticker| async move {
            let mut metrics = Metrics::default();
            let made = self.make(ticker, refresh, (until, &mut metrics)).await;
            (made, metrics)
        });
        let made: Vec<_> = stream::iter(making).buffered(AT_A_TIME).collect().await;
        let mut outcomes = Vec::with_capacity(made.len());
        for (outcome, counted) in made {
            metrics.hits += counted.hits;
            metrics.generated += counted.generated;
            metrics.stale += counted.stale;
            outcomes.push(outcome);
        }
        told(tickers, outcomes)
    }

    async fn make(
        &self,
        ticker: Ticker,
        refresh: bool,
        (until, metrics): (Instant, &mut Metrics),
    ) -> Outcome {
        let left = until.saturating_duration_since(Instant::now());
        if left < LEAST {
            return None;
        }
        let known = match self.known(&ticker) {
            Ok(known) => known,
            Err(error) => return Some(Err(error)),
        };
        let ask = Ask {
            ticker,
            date: None,
            language: None,
            refresh,
            include: Include::default(),
        };
        let mut call = Call {
            deadline: Deadline::after(left),
            is_reader: false,
            metrics,
        };
        let made = self.found(&ask, &known, &mut call);
        tokio::time::timeout_at(until, made).await.ok()
    }
}

/// What was made of `tickers`; an error where nothing was.
fn told(tickers: Vec<Ticker>, outcomes: Vec<Outcome>) -> Result<Prewarmed, Error> {
    let mut answer = Prewarmed {
        reports: Vec::with_capacity(tickers.len()),
        errors: 0,
        pending: Vec::new(),
    };
    let mut first = None;
    for (ticker, outcome) in tickers.into_iter().zip(outcomes) {
        let outcome = match outcome {
            None => {
                answer.pending.push(ticker);
                continue;
            }
            Some(Ok(found)) => WarmOutcome::Made {
                date: found.report.date,
                cache: found.state,
            },
            Some(Err(error)) => {
                tracing::error!(%ticker, %error, "A report could not be made");
                answer.errors += 1;
                let failure = Failure::from(&error);
                first.get_or_insert(error);
                WarmOutcome::Failed { error: failure }
            }
        };
        answer.reports.push(Warm { ticker, outcome });
    }
    if answer.errors < answer.reports.len() {
        return Ok(answer);
    }
    let (failed, pending) = (answer.errors, answer.pending.len());
    match first {
        Some(error) => {
            let said = format!("no report could be made of {failed}; the first: {error}");
            Err(Error::message(error.kind(), said))
        }
        None => {
            let said =
                format!("there was no time for any of {pending} reports: give the function more");
            Err(Error::message(ErrorKind::Timeout, said))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tickers(count: usize) -> Vec<Ticker> {
        (0..count)
            .map(|at| format!("T{at}").parse().unwrap())
            .collect()
    }

    #[test]
    fn where_nothing_was_made_that_is_an_error() {
        let failed = || Some(Err(Error::message(ErrorKind::NotFound, "no such ticker")));
        let error = told(tickers(2), vec![failed(), None]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("no such ticker"));
        let error = told(tickers(2), vec![None, None]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
    }
}
