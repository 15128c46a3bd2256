//! The function's URL: reports as JSON and as pages, charts, PDFs, and LINE's webhook. A request has an HTTP answer whatever
//! happens: a Lambda error would be a bare 502 to the client.
//!
//! Format: "Invoking Lambda function URLs", payload format version 2.0.

mod request;
mod response;

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use larder_lambda::{Error, ErrorKind, Invocation};

use self::request::Route;
pub use self::{request::Request, response::Response};
use crate::{
    App, Call, Metrics,
    answer::ReportAnswer,
    event::{Ask, Include},
    html,
};

/// Kept of an invocation's time to answer that it was not enough.
const TO_APOLOGISE: Duration = Duration::from_millis(250);

fn bad(said: impl std::fmt::Display) -> Error {
    Error::message(ErrorKind::BadRequest, said)
}

impl App {
    /// Answers a request, also where that fails, takes too long or panics: with a status, and counted as an error from 500 on.
    pub(crate) async fn serve(
        &self,
        request: &Request,
        invocation: &Invocation,
        metrics: &mut Metrics,
    ) -> Response {
        let time = invocation.deadline.time_to_work();
        let time = time.saturating_sub(TO_APOLOGISE);
        let served = guarded(time, self.answered(request, invocation, metrics)).await;
        let response = served.unwrap_or_else(|error| {
            let response = Response::failure(request, &error);
            if response.is_failure() {
                tracing::error!(error.kind = %error.kind(), %error, "Request failed");
                invocation.count_error();
            }
            response
        });
        // Link previews ask so.
        if request.method() == "HEAD" {
            return response.without_body();
        }
        response
    }

    async fn answered(
        &self,
        request: &Request,
        invocation: &Invocation,
        metrics: &mut Metrics,
    ) -> Result<Response, Error> {
        let route = request.route()?;
        let (asked, method) = (request.method(), route.method());
        if asked != method && (asked, method) != ("HEAD", "GET") {
            let refusal = Response::refusal(request, 405, &bad(format!("use {method} here")));
            return Ok(refusal.with("allow", method.to_owned()));
        }
        let mut call = Call {
            deadline: invocation.deadline,
            is_reader: true,
            metrics,
        };
        match route {
            Route::Webhook => self.webhook(request, invocation, call.metrics).await,
            Route::Index => {
                let page = html::index(self.tickers(), &request.root());
                Ok(Response::html(200, page))
            }
            Route::Report(ticker) => self.page_or_json(request, ticker, &mut call).await,
            Route::Chart(ticker) => self.chart((request, ticker), &mut call).await,
            Route::Pdf(ticker) => self.pdf((request, ticker), &mut call).await,
        }
    }

    async fn page_or_json(
        &self,
        request: &Request,
        ticker: &str,
        call: &mut Call<'_>,
    ) -> Result<Response, Error> {
        let mut ask = request.ask(ticker)?;
        if request.wants_page() {
            ask.include = Include {
                chart: true,
                news: true,
                pdf: false,
            };
            let answer = self.report(&ask, call).await?;
            let page = html::report(&answer, self.has_pdfs(), &request.root());
            return Ok(Response::html(200, page));
        }
        let answer = self.report(&ask, call).await?;
        Ok(Response::json(200, &serde_json::to_value(answer)?))
    }

    /// The answer with one thing beside the report.
    async fn with(
        &self,
        include: Include,
        (request, ticker): (&Request, &str),
        call: &mut Call<'_>,
    ) -> Result<ReportAnswer, Error> {
        let ask = request.ask(ticker)?;
        self.report(&Ask { include, ..ask }, call).await
    }

    async fn chart(&self, asked: (&Request, &str), call: &mut Call<'_>) -> Result<Response, Error> {
        let include = Include {
            chart: true,
            ..Include::default()
        };
        let answer = self.with(include, asked, call).await?;
        match answer.chart {
            Some(chart) => Ok(Response::png(Arc::unwrap_or_clone(chart))),
            None => Err(lacking(&answer)),
        }
    }

    async fn pdf(&self, asked: (&Request, &str), call: &mut Call<'_>) -> Result<Response, Error> {
        if !self.has_pdfs() {
            let said = "there are no PDFs here: PDF_BUCKET_NAME is not set";
            return Err(Error::message(ErrorKind::NotFound, said));
        }
        let include = Include {
            pdf: true,
            ..Include::default()
        };
        let answer = self.with(include, asked, call).await?;
        match answer.pdf {
            Some((url, _)) => Ok(Response::redirect(url)),
            None => Err(lacking(&answer)),
        }
    }
}

/// Awaits `work`; a panic, or taking longer than `time`, is an error.
async fn guarded<T>(
    time: Duration,
    work: impl Future<Output = Result<T, Error>> + Send,
) -> Result<T, Error> {
    let work = AssertUnwindSafe(work.boxed()).catch_unwind();
    match tokio::time::timeout(time, work).await {
        Ok(Ok(done)) => done,
        // The panic hook has logged where.
        Ok(Err(_)) => Err(Error::message(
            ErrorKind::Internal,
            "the function panicked: see its log",
        )),
        Err(_) => {
            let ms = time.as_millis();
            let said = format!("not done within {ms} ms; give the function a longer timeout");
            Err(Error::message(ErrorKind::Timeout, said))
        }
    }
}

/// What was asked for and could not be had, as an error.
fn lacking(answer: &ReportAnswer) -> Error {
    Error::message(ErrorKind::Upstream, answer.warnings.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn panics_and_overruns_are_errors_that_can_be_answered() {
        let panics = guarded(Duration::MAX, async { panic!("a bug") });
        let kind = panics.await.map_err(|error: Error| error.kind());
        assert_eq!(kind, Err::<(), _>(ErrorKind::Internal));
        for time in [Duration::ZERO, Duration::from_millis(1)] {
            let overruns = guarded(time, std::future::pending::<Result<(), Error>>());
            let kind = overruns.await.map_err(|error| error.kind());
            assert_eq!(kind, Err(ErrorKind::Timeout));
        }
        let done = guarded(Duration::ZERO, async { Ok(1) }).await;
        assert_eq!(done.unwrap(), 1);
    }

    #[test]
    fn every_route_names_its_method() {
        for (path, method) in [
            ("/", "GET"),
            ("/reports/A", "GET"),
            ("/reports/A/chart.png", "GET"),
            ("/reports/A/report.pdf", "GET"),
            ("/line/webhook", "POST"),
        ] {
            let request = Request::of("GET", path, &[]);
            assert_eq!(request.route().unwrap().method(), method, "{path}");
        }
    }
}
