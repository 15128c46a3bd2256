//! EC2's `DescribeInstances`, with a true `LaunchTime` and `StateTransitionReason`, which moto gets wrong.
//!
//! Source: "Amazon EC2 API Reference", version 2016-11-15, and "Amazon EC2 Query API".

use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    response::{IntoResponse as _, Response},
    routing::post,
};
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use quick_xml::escape::partial_escape as escape;

use crate::{
    cloud::{Cloud, region_of},
    fleet,
    server::Server,
};

/// A running endpoint.
#[derive(Debug)]
pub struct Ec2 {
    server: Server,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    cloud: Cloud,
    state: Mutex<Asked>,
}

#[derive(Debug, Default)]
struct Asked {
    answered: usize,
    faults: VecDeque<(u16, &'static str)>,
    /// The most on a page, whatever is asked for.
    page: Option<usize>,
}

/// A request's fields: `Filter.1.Name` and so on.
type Fields = BTreeMap<String, String>;

impl Ec2 {
    /// Starts one that tells of `cloud`.
    pub async fn start(cloud: Cloud) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared {
            cloud,
            state: Mutex::default(),
        });
        let app = Router::new()
            .route("/", post(answer))
            .with_state(Arc::clone(&shared));
        Ok(Self {
            server: Server::start(app).await?,
            shared,
        })
    }

    /// Its endpoint.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// How many requests were answered with instances.
    #[must_use]
    pub fn answered(&self) -> usize {
        self.shared.state().answered
    }

    /// Has the next request be answered with this error.
    pub fn fail_next(&self, status: u16, code: &'static str) {
        self.shared.state().faults.push_back((status, code));
    }

    /// Has no page have more instances than this.
    pub fn set_page(&self, most: usize) {
        self.shared.state().page = Some(most);
    }
}

impl Shared {
    fn state(&self) -> std::sync::MutexGuard<'_, Asked> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// HTTP status, code and message.
type Refusal = (u16, &'static str, String);

async fn answer(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let fields: Fields = url::form_urlencoded::parse(&body).into_owned().collect();
    let (status, xml) = match describe(&shared, &headers, &fields) {
        Ok(xml) => (200, xml),
        Err((status, code, message)) => (
            status,
            format!(
                "<Response><Errors><Error><Code>{code}</Code><Message>{}</Message></Error></Errors><RequestID>local</RequestID></Response>",
                escape(&message)
            ),
        ),
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let xml = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{xml}");
    (status, [("content-type", "text/xml;charset=UTF-8")], xml).into_response()
}

fn describe(shared: &Shared, headers: &HeaderMap, fields: &Fields) -> Result<String, Refusal> {
    let region =
        region_of(headers).ok_or((401, "AuthFailure", "The request is not signed".to_owned()))?;
    if let Some((status, code)) = shared.state().faults.pop_front() {
        return Err((status, code, "as was wished".to_owned()));
    }
    if fields.get("Action").map(String::as_str) != Some("DescribeInstances") {
        return Err((
            400,
            "InvalidAction",
            "only DescribeInstances is here".to_owned(),
        ));
    }
    let now = shared.cloud.now();
    let fleet = shared.cloud.fleet(&region);
    let all = fleet.iter().flat_map(|fleet| fleet.servers());
    let mut servers: Vec<_> = all.filter(|server| server.is_described(now)).collect();
    servers.sort_by(|a, b| a.id.cmp(&b.id));
    let ids = listed(fields, "InstanceId");
    if let Some(unknown) = ids
        .iter()
        .find(|id| servers.iter().all(|server| server.id != **id))
    {
        return Err((
            400,
            "InvalidInstanceID.NotFound",
            format!("The instance ID '{unknown}' does not exist"),
        ));
    }
    let filters = filters(fields)?;
    servers.retain(|server| {
        (ids.is_empty() || ids.contains(&server.id.as_str()))
            && filters
                .iter()
                .all(|(name, values)| matches(server, now, name, values))
    });
    let page = Page::of(fields, ids.is_empty(), shared.state().page)?;
    let shown: Vec<_> = servers.iter().skip(page.skip).take(page.most).collect();
    let after = page.skip + shown.len();
    let mut xml = String::from(
        "<DescribeInstancesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>local</requestId><reservationSet>",
    );
    for server in &shown {
        describe_one(&mut xml, server, now);
    }
    xml.push_str("</reservationSet>");
    if after < servers.len() {
        let _ = write!(xml, "<nextToken>{after}</nextToken>");
    }
    xml.push_str("</DescribeInstancesResponse>");
    shared.state().answered += 1;
    Ok(xml)
}

/// What is to be shown.
struct Page {
    skip: usize,
    most: usize,
}

impl Page {
    fn of(fields: &Fields, may_page: bool, bound: Option<usize>) -> Result<Self, Refusal> {
        let invalid = |what: &str| (400, "InvalidParameterValue", what.to_owned());
        let most = match fields.get("MaxResults") {
            None => 1_000,
            Some(_) if !may_page => {
                return Err((
                    400,
                    "InvalidParameterCombination",
                    "MaxResults does not go with InstanceId".to_owned(),
                ));
            }
            Some(most) => most
                .parse()
                .ok()
                .filter(|most| (5..=1_000).contains(most))
                .ok_or_else(|| invalid("MaxResults is 5 to 1000"))?,
        };
        let skip = fields.get("NextToken").map_or(Ok(0), |token| token.parse());
        Ok(Self {
            skip: skip.map_err(|_| invalid("NextToken is none of ours"))?,
            most: bound.map_or(most, |bound| most.min(bound)),
        })
    }
}

/// The values of `InstanceId.1`, `InstanceId.2` and so on.
fn listed<'a>(fields: &'a Fields, name: &str) -> Vec<&'a str> {
    (1..)
        .map_while(|at| fields.get(&format!("{name}.{at}")).map(String::as_str))
        .collect()
}

fn filters(fields: &Fields) -> Result<Vec<(&str, Vec<&str>)>, Refusal> {
    let names =
        (1..).map_while(|at| Some((at, fields.get(&format!("Filter.{at}.Name"))?.as_str())));
    names
        .map(|(at, name)| {
            let known = ["tag-key", "instance-id", "instance-state-name"].contains(&name)
                || name.starts_with("tag:");
            let values = listed(fields, &format!("Filter.{at}.Value"));
            if known && !values.is_empty() && values.len() <= 200 {
                Ok((name, values))
            } else {
                Err((
                    400,
                    "InvalidParameterValue",
                    format!("The filter '{name}' is invalid"),
                ))
            }
        })
        .collect()
}

fn matches(server: &fleet::Server, now: Timestamp, name: &str, values: &[&str]) -> bool {
    let any = |text: &str| {
        values
            .iter()
            .any(|pattern| is_like(text.as_bytes(), pattern.as_bytes()))
    };
    match name.strip_prefix("tag:") {
        Some(wanted) => server
            .tags(now)
            .any(|(key, value)| key == wanted && any(value)),
        None => match name {
            "tag-key" => server.tags(now).any(|(key, _)| any(key)),
            "instance-id" => any(&server.id),
            _ => any(server.state(now).unwrap_or_default()),
        },
    }
}

/// Whether `text` is what `pattern` stands for: `*` for anything, `?` for a letter, `\` for the next as it is.
fn is_like(text: &[u8], pattern: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => {
            is_like(text, rest)
                || text
                    .split_first()
                    .is_some_and(|(_, text)| is_like(text, pattern))
        }
        ([b'?', rest @ ..], [_, text @ ..]) => is_like(text, rest),
        ([b'\\', escaped, rest @ ..], [letter, text @ ..]) => {
            escaped == letter && is_like(text, rest)
        }
        ([same, rest @ ..], [letter, text @ ..]) => same == letter && is_like(text, rest),
        _ => false,
    }
}

fn describe_one(xml: &mut String, server: &fleet::Server, now: Timestamp) {
    let state = server.state(now).unwrap_or("pending");
    let code = match state {
        "pending" => 0,
        "running" => 16,
        "shutting-down" => 32,
        "terminated" => 48,
        "stopping" => 64,
        _ => 80,
    };
    let launched = server.launched(now).unwrap_or(now);
    let _ = write!(
        xml,
        "<item><reservationId>r-{id}</reservationId><ownerId>123456789012</ownerId><groupSet/><instancesSet><item>\
         <instanceId>{id}</instanceId><imageId>ami-0123456789abcdef0</imageId>\
         <instanceState><code>{code}</code><name>{state}</name></instanceState><reason>{}</reason>\
         <instanceType>t4g.small</instanceType><launchTime>{launched:.3}</launchTime><tagSet>",
        escape(server.reason(now)),
        id = server.id,
    );
    for (key, value) in server.tags(now) {
        let _ = write!(
            xml,
            "<item><key>{}</key><value>{}</value></item>",
            escape(key),
            escape(value)
        );
    }
    xml.push_str("</tagSet></item></instancesSet></item>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_have_wildcards_and_escapes() {
        for (text, pattern, like) in [
            ("minecraft", "mine*", true),
            ("minecraft", "m?necraft", true),
            ("minecraft", "craft", false),
            ("a*b", r"a\*b", true),
            ("axb", r"a\*b", false),
            ("", "*", true),
        ] {
            assert_eq!(
                is_like(text.as_bytes(), pattern.as_bytes()),
                like,
                "{text} {pattern}"
            );
        }
    }
}
