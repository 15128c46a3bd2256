//! Requests to the function's URL.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use larder_lambda::{
    Error, ErrorKind,
    event::{Fields, shown},
};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::Value;

use super::bad;
use crate::event::{Ask, Event};

/// The longest body that is read: LINE sends a few kilobytes.
const MAX_BODY: usize = 1 << 20;

/// A request to the function's URL. Other fields of the event are ignored.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    raw_path: String,
    #[serde(default)]
    query_string_parameters: Option<BTreeMap<String, String>>,
    #[serde(default)]
    headers: Option<BTreeMap<String, String>>,
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

/// The target of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    Index,
    Report(&'a str),
    Chart(&'a str),
    Pdf(&'a str),
    Webhook,
}

impl Route<'_> {
    /// The method that is taken there; `HEAD` goes for `GET`.
    pub(super) fn method(&self) -> &'static str {
        match self {
            Self::Webhook => "POST",
            Self::Index | Self::Report(_) | Self::Chart(_) | Self::Pdf(_) => "GET",
        }
    }
}

impl Request {
    /// The body as it was sent.
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
        self.headers.as_ref()?.get(name).map(String::as_str)
    }

    /// The host name of the function's URL.
    pub(crate) fn domain(&self) -> Option<&str> {
        let domain = self.context.domain_name.as_deref()?;
        let known = |letter: u8| letter.is_ascii_alphanumeric() || b".-:".contains(&letter);
        (domain.len() <= 253 && domain.bytes().all(known)).then_some(domain)
    }

    /// Checks that the client accepts pages, as browsers do.
    pub(super) fn wants_page(&self) -> bool {
        self.header("accept")
            .is_some_and(|kinds| kinds.contains("text/html"))
    }

    pub(super) fn method(&self) -> &str {
        &self.context.http.method
    }

    /// The relative link to `/`: under `cargo lambda watch` the URL begins with a path of its own.
    pub(super) fn root(&self) -> String {
        let path = self.raw_path.strip_prefix('/').unwrap_or_default();
        match path.matches('/').count() {
            0 => "./".to_owned(),
            folders => "../".repeat(folders.min(MAX_FOLDERS)),
        }
    }

    /// The route of the path, for any method.
    pub(super) fn route(&self) -> Result<Route<'_>, Error> {
        let path = self.raw_path.trim_matches('/');
        let parts: Vec<_> = path.split('/').collect();
        match parts.as_slice() {
            [""] => Ok(Route::Index),
            ["reports", ticker] => Ok(Route::Report(ticker)),
            ["reports", ticker, "chart.png"] => Ok(Route::Chart(ticker)),
            ["reports", ticker, "report.pdf"] => Ok(Route::Pdf(ticker)),
            ["line", "webhook"] => Ok(Route::Webhook),
            _ => {
                let path = shown(&self.raw_path);
                let said = format!("there is nothing at {path:?}: ask for /reports/DBS19");
                Err(Error::message(ErrorKind::NotFound, said))
            }
        }
    }

    /// The question that `ticker` and the query make, checked as an event's are. A reader cannot ask for a refresh.
    pub(super) fn ask(&self, ticker: &str) -> Result<Ask, Error> {
        let mut fields = Fields::new();
        // Function URLs leave the path as it was sent.
        let ticker = percent_decode_str(ticker).decode_utf8_lossy();
        fields.insert("ticker".to_owned(), ticker.to_ascii_uppercase().into());
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

/// Bound on the steps up in a link of ours.
const MAX_FOLDERS: usize = 16;

#[cfg(test)]
impl Request {
    /// A request as a function URL makes an event of it.
    pub(super) fn of(method: &str, path: &str, query: &[(&str, &str)]) -> Self {
        let query: BTreeMap<_, _> = query.iter().copied().collect();
        let event = serde_json::json!({ "version": "2.0", "rawPath": path, "queryStringParameters": query, "headers": { "accept": "*/*" },
            "requestContext": { "domainName": "x.lambda-url.us-east-1.on.aws", "http": { "method": method, "path": path } } });
        serde_json::from_value(event).unwrap()
    }

    pub(super) fn accepting(mut self, kinds: &str) -> Self {
        let headers = self.headers.get_or_insert_default();
        headers.insert("accept".to_owned(), kinds.to_owned());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_where_they_say() {
        let route = |path| {
            let request = Request::of("GET", path, &[]);
            request
                .route()
                .map(|route| format!("{route:?}"))
                .map_err(|error| error.kind())
        };
        assert_eq!(route("/"), Ok("Index".to_owned()));
        assert_eq!(route("/reports/DBS19"), Ok("Report(\"DBS19\")".to_owned()));
        assert_eq!(
            route("/reports/DBS19/chart.png"),
            Ok("Chart(\"DBS19\")".to_owned())
        );
        assert_eq!(route("/line/webhook"), Ok("Webhook".to_owned()));
        assert_eq!(route("/reports/../../x"), Err(ErrorKind::NotFound));
    }

    #[test]
    fn links_lead_to_the_root_from_every_path() {
        for (path, root) in [
            ("/", "./"),
            ("/nowhere", "./"),
            ("/reports/DBS19", "../"),
            ("/reports/DBS19/", "../../"),
            ("/reports/DBS19/chart.png", "../../"),
            ("//reports//DBS19", "../../../"),
        ] {
            let base: url::Url = "http://127.0.0.1:9000/lambda-url/report-generator"
                .parse()
                .unwrap();
            let here: url::Url = format!("{base}{path}").parse().unwrap();
            let request = Request::of("GET", path, &[]);
            assert_eq!(request.root(), root, "{path}");
            let there = here.join(&request.root()).unwrap();
            assert_eq!(there.path(), "/lambda-url/report-generator/", "{path}");
        }
    }

    #[test]
    fn a_readers_question_is_checked_as_an_events_is() {
        let ask = |ticker: &str, query: &[(&str, &str)]| {
            let request = Request::of("GET", "/", query);
            request.ask(ticker).map_err(|error| error.to_string())
        };
        let asked = ask(
            "dbs19",
            &[("date", "2026-11-20"), ("include", "chart,news")],
        )
        .unwrap();
        assert_eq!(asked.ticker.as_str(), "DBS19");
        assert!(asked.include.chart && asked.include.news && !asked.include.pdf);
        for (sent, ticker) in [
            ("%5EGSPC", "^GSPC"),
            ("THB=X", "THB=X"),
            ("thb%3dx", "THB=X"),
            ("%5EA=B", "^A=B"),
        ] {
            assert_eq!(ask(sent, &[]).unwrap().ticker.as_str(), ticker, "{sent}");
        }
        for (ticker, query, said) in [
            ("..%2F..%2Fetc", ("date", "2026-11-20"), "no ticker"),
            ("DBS19&x", ("date", "2026-11-20"), "no ticker"),
            ("DBS+19", ("date", "2026-11-20"), "no ticker"),
            ("%ff", ("date", "2026-11-20"), "no ticker"),
            ("DBS19", ("date", "x"), "field `date`"),
            ("DBS19", ("refresh", "true"), "unknown parameter `refresh`"),
        ] {
            let refused = ask(ticker, &[query]).unwrap_err();
            assert!(refused.contains(said), "{refused}");
        }
    }

    #[test]
    fn a_body_is_what_was_sent() {
        let mut sent = Request::of("POST", "/line/webhook", &[]);
        sent.body = Some("eyJhIjoxfQ==".to_owned());
        assert_eq!(sent.body().unwrap(), b"eyJhIjoxfQ==");
        sent.is_base64_encoded = true;
        assert_eq!(sent.body().unwrap(), b"{\"a\":1}");
        sent.body = Some("x".repeat(MAX_BODY + 1));
        assert!(sent.body().is_err());
    }
}
