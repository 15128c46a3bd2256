//! The function's URL: reports as JSON and as pages, charts, PDFs, and LINE's webhook.
//!
//! Format: "Invoking Lambda function URLs", payload format version 2.0.

use std::{collections::BTreeMap, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use larder_lambda::{
    Error, ErrorKind, Invocation,
    event::{Fields, shown},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    App, Call, Metrics,
    answer::{Failure, ReportAnswer},
    event::{Ask, Event, Include},
    html,
};

/// The longest body that is read: LINE sends a few kilobytes.
const MAX_BODY: usize = 1 << 20;
/// What a page of ours needs, and nothing else.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'";

/// A request to the function's URL. What else the event has is of no use here.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    raw_path: String,
    #[serde(default)]
    query_string_parameters: Option<BTreeMap<String, String>>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(rename = "requestContext")]
    context: Context,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Context {
    #[serde(default)]
    domain_name: Option<String>,
    http: Http,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Http {
    method: String,
}

/// An answer to one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    status_code: u16,
    headers: BTreeMap<&'static str, String>,
    body: String,
    is_base64_encoded: bool,
}

impl Response {
    fn new(status_code: u16, kind: &str, body: String) -> Self {
        let headers = [
            ("content-type", kind),
            ("content-security-policy", POLICY),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
        ];
        Self {
            status_code,
            headers: headers.map(|(name, value)| (name, value.to_owned())).into(),
            body,
            is_base64_encoded: false,
        }
    }

    pub(crate) fn json(status_code: u16, body: &Value) -> Self {
        Self::new(status_code, "application/json", body.to_string())
    }

    fn html(body: String) -> Self {
        Self::new(200, "text/html; charset=utf-8", body)
    }

    fn png(base64: String) -> Self {
        let mut response = Self::new(200, "image/png", base64);
        response.is_base64_encoded = true;
        response
    }

    fn redirect(to: String) -> Self {
        let mut response = Self::new(302, "text/plain", String::new());
        response.headers.insert("location", to);
        response
    }

    fn error(status_code: u16, error: &Error) -> Self {
        Self::json(status_code, &json!({ "error": Failure::from(error) }))
    }
}

/// Where a request leads.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Route<'a> {
    Index,
    Report(&'a str),
    Chart(&'a str),
    Pdf(&'a str),
    Webhook,
}

impl Request {
    /// What was sent, as it was sent.
    pub(crate) fn body(&self) -> Result<Vec<u8>, Error> {
        let body = self.body.as_deref().unwrap_or_default();
        if body.len() > MAX_BODY {
            return Err(bad(format!("the body has more than {MAX_BODY} bytes")));
        }
        if self.is_base64_encoded {
            let decoded = STANDARD.decode(body);
            return decoded
                .map_err(|_| bad("the body is no Base64, and the event says that it is"));
        }
        Ok(body.as_bytes().to_vec())
    }

    /// A header; its name in lower case, as function URLs have them.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// What the function is called on the web.
    pub(crate) fn domain(&self) -> Option<&str> {
        let domain = self.context.domain_name.as_deref()?;
        let known = |letter: u8| letter.is_ascii_alphanumeric() || b".-:".contains(&letter);
        (domain.len() <= 253 && domain.bytes().all(known)).then_some(domain)
    }

    /// Whether it is a person's browser.
    fn wants_page(&self) -> bool {
        self.header("accept")
            .is_some_and(|kinds| kinds.contains("text/html"))
    }

    fn route(&self) -> Result<Route<'_>, Response> {
        let path = self.raw_path.trim_matches('/');
        let parts: Vec<_> = path.split('/').collect();
        let route = match parts.as_slice() {
            [""] => Route::Index,
            ["reports", ticker] => Route::Report(ticker),
            ["reports", ticker, "chart.png"] => Route::Chart(ticker),
            ["reports", ticker, "report.pdf"] => Route::Pdf(ticker),
            ["line", "webhook"] => Route::Webhook,
            _ => {
                let path = shown(&self.raw_path);
                let said = format!("there is nothing at {path:?}: ask for /reports/DBS19");
                let error = Error::message(ErrorKind::NotFound, said);
                return Err(Response::error(404, &error));
            }
        };
        let method = if route == Route::Webhook {
            "POST"
        } else {
            "GET"
        };
        let asked = self.context.http.method.as_str();
        if asked == method || (asked, method) == ("HEAD", "GET") {
            return Ok(route);
        }
        let said = format!("use {method} here");
        let mut refused = Response::error(405, &bad(said));
        refused.headers.insert("allow", method.to_owned());
        Err(refused)
    }

    /// The question that `ticker` and the query make, checked as an event's are. A reader cannot have a report made anew.
    fn ask(&self, ticker: &str) -> Result<Ask, Error> {
        let mut fields = Fields::new();
        let ticker = percent_decoded(ticker).to_ascii_uppercase();
        fields.insert("ticker".to_owned(), ticker.into());
        for (name, value) in self.query_string_parameters.iter().flatten() {
            let value = match name.as_str() {
                "date" | "language" => Value::from(value.as_str()),
                "include" => value.split(',').map(Value::from).collect(),
                _ => {
                    let name = shown(name);
                    return Err(bad(format!(
                        "unknown parameter `{name}`: there are `date`, `language` and `include`"
                    )));
                }
            };
            fields.insert(name.clone(), value);
        }
        match Event::try_from(fields) {
            Ok(Event::Report(ask)) => Ok(ask),
            Ok(_) => Err(bad("no report is asked for")),
            Err(refused) => Err(bad(refused)),
        }
    }
}

/// Function URLs leave the path as it was sent.
fn percent_decoded(text: &str) -> String {
    url::form_urlencoded::parse(text.replace('+', "%2B").as_bytes())
        .next()
        .map(|(name, _)| name.into_owned())
        // An `=` ends a name there, and is a letter of tickers here.
        .filter(|_| !text.contains('='))
        .unwrap_or_else(|| text.to_owned())
}

fn bad(said: impl std::fmt::Display) -> Error {
    Error::message(ErrorKind::BadRequest, said)
}

impl App {
    /// Answers a request. What the reader can put right is an answer; all else is the function's error, which the URL
    /// answers with 502 by itself.
    pub(crate) async fn serve(
        &self,
        request: &Request,
        invocation: &Invocation,
        metrics: &mut Metrics,
    ) -> Result<Response, Error> {
        let route = match request.route() {
            Ok(route) => route,
            Err(refused) => return Ok(refused),
        };
        let mut call = Call {
            deadline: invocation.deadline,
            is_reader: true,
            metrics,
        };
        let served = match route {
            Route::Webhook => return self.webhook(request, invocation, call.metrics).await,
            Route::Index => Ok(Response::html(html::index(self.tickers()))),
            Route::Report(ticker) => self.page_or_json(request, ticker, &mut call).await,
            Route::Chart(ticker) => self.chart((request, ticker), &mut call).await,
            Route::Pdf(ticker) => self.pdf((request, ticker), &mut call).await,
        };
        let served = served.map(|response| {
            // Link previews ask so.
            if request.context.http.method == "HEAD" {
                return Response {
                    body: String::new(),
                    ..response
                };
            }
            response
        });
        match served {
            Err(error) if error.kind() == ErrorKind::BadRequest => Ok(Response::error(400, &error)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Response::error(404, &error)),
            served => served,
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
            return Ok(Response::html(html::report(&answer, self.has_pdfs())));
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

/// What was asked for and could not be had, as an error.
fn lacking(answer: &ReportAnswer) -> Error {
    Error::message(ErrorKind::Upstream, answer.warnings.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, path: &str, query: &[(&str, &str)]) -> Request {
        let query: BTreeMap<_, _> = query.iter().copied().collect();
        let event = json!({ "version": "2.0", "rawPath": path, "queryStringParameters": query, "headers": { "accept": "*/*" },
            "requestContext": { "domainName": "x.lambda-url.us-east-1.on.aws", "http": { "method": method, "path": path } } });
        serde_json::from_value(event).unwrap()
    }

    #[test]
    fn paths_lead_where_they_say() {
        let route = |method, path| {
            request(method, path, &[])
                .route()
                .map(|route| format!("{route:?}"))
        };
        assert_eq!(route("GET", "/"), Ok("Index".to_owned()));
        assert_eq!(
            route("GET", "/reports/DBS19"),
            Ok("Report(\"DBS19\")".to_owned())
        );
        assert_eq!(
            route("GET", "/reports/DBS19/chart.png"),
            Ok("Chart(\"DBS19\")".to_owned())
        );
        assert_eq!(route("POST", "/line/webhook"), Ok("Webhook".to_owned()));
        let status = |method, path| request(method, path, &[]).route().unwrap_err().status_code;
        assert_eq!(status("GET", "/line/webhook"), 405);
        assert_eq!(status("DELETE", "/reports/DBS19"), 405);
        assert_eq!(status("GET", "/reports/../../x"), 404);
    }

    #[test]
    fn a_readers_question_is_checked_as_an_events_is() {
        let ask = |ticker: &str, query: &[(&str, &str)]| {
            let request = request("GET", "/", query);
            request.ask(ticker).map_err(|error| error.to_string())
        };
        let asked = ask(
            "dbs19",
            &[("date", "2026-11-20"), ("include", "chart,news")],
        )
        .unwrap();
        assert_eq!(asked.ticker.as_str(), "DBS19");
        assert!(asked.include.chart && asked.include.news && !asked.include.pdf);
        assert_eq!(ask("%5EGSPC", &[]).unwrap().ticker.as_str(), "^GSPC");
        assert_eq!(ask("THB=X", &[]).unwrap().ticker.as_str(), "THB=X");
        for (ticker, query, said) in [
            ("..%2F..%2Fetc", ("date", "2026-11-20"), "no ticker"),
            ("DBS19", ("date", "x"), "field `date`"),
            ("DBS19", ("refresh", "true"), "unknown parameter `refresh`"),
        ] {
            let refused = ask(ticker, &[query]).unwrap_err();
            assert!(refused.contains(said), "{refused}");
        }
    }

    #[test]
    fn a_body_is_what_was_sent() {
        let mut sent = request("POST", "/line/webhook", &[]);
        sent.body = Some("eyJhIjoxfQ==".to_owned());
        assert_eq!(sent.body().unwrap(), b"eyJhIjoxfQ==");
        sent.is_base64_encoded = true;
        assert_eq!(sent.body().unwrap(), b"{\"a\":1}");
        sent.body = Some("x".repeat(MAX_BODY + 1));
        assert!(sent.body().is_err());
    }
}
