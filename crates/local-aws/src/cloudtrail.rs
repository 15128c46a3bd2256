//! CloudTrail's `LookupEvents`, which no emulator that is to be had has.
//!
//! Source: "`LookupEvents`" in the AWS CloudTrail API Reference: one attribute, 50 events a page, newest first, 90 days,
//! two requests a second for each Region, tokens that go with their request.

mod wanted;

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    response::{IntoResponse as _, Response},
    routing::post,
};
use http::{HeaderMap, StatusCode};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::{
    cloud::{Cloud, region_of},
    server::Server,
};
use wanted::Wanted;

/// Requests a second for each Region.
const RATE: usize = 2;

/// A running endpoint.
#[derive(Debug)]
pub struct CloudTrail {
    server: Server,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    cloud: Cloud,
    state: Mutex<Asked>,
}

#[derive(Debug)]
struct Asked {
    /// When requests came, for each Region.
    recent: HashMap<String, VecDeque<Instant>>,
    answered: usize,
    throttled: usize,
    /// Answers that come in place of the next ones.
    faults: VecDeque<(&'static str, &'static str)>,
    /// How long after it happened an event can be looked up.
    delay: SignedDuration,
}

impl CloudTrail {
    /// Starts one that tells of `cloud`.
    pub async fn start(cloud: Cloud) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared {
            cloud,
            state: Mutex::new(Asked {
                recent: HashMap::new(),
                answered: 0,
                throttled: 0,
                faults: VecDeque::new(),
                delay: SignedDuration::ZERO,
            }),
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

    /// How many requests were answered with events.
    #[must_use]
    pub fn answered(&self) -> usize {
        self.shared.state().answered
    }

    /// How many were too many for a second.
    #[must_use]
    pub fn throttled(&self) -> usize {
        self.shared.state().throttled
    }

    /// Has events come only so long after they happened; five minutes is usual.
    pub fn set_delay(&self, delay: SignedDuration) {
        self.shared.state().delay = delay;
    }

    /// Has the next request be answered with this error.
    pub fn fail_next(&self, code: &'static str, message: &'static str) {
        self.shared.state().faults.push_back((code, message));
    }
}

impl Shared {
    fn state(&self) -> std::sync::MutexGuard<'_, Asked> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Refusal = (&'static str, String);

async fn answer(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|it| it.to_str().ok());
    if !target.is_some_and(|target| target.ends_with(".LookupEvents")) {
        return refuse(&(
            "UnsupportedOperationException",
            "only LookupEvents is here".to_owned(),
        ));
    }
    match lookup(&shared, &headers, &body) {
        Ok(events) => amz_json(StatusCode::OK, &events),
        Err(refusal) => refuse(&refusal),
    }
}

fn refuse((code, message): &Refusal) -> Response {
    let status = if *code == "InternalFailure" {
        StatusCode::INTERNAL_SERVER_ERROR
    } else {
        StatusCode::BAD_REQUEST
    };
    amz_json(status, &json!({ "__type": code, "message": message }))
}

fn amz_json(status: StatusCode, body: &Value) -> Response {
    (
        status,
        [("content-type", "application/x-amz-json-1.1")],
        body.to_string(),
    )
        .into_response()
}

fn lookup(shared: &Shared, headers: &HeaderMap, body: &[u8]) -> Result<Value, Refusal> {
    let region = region_of(headers).ok_or((
        "MissingAuthenticationTokenException",
        "the request is not signed".to_owned(),
    ))?;
    shared.state().admit(&region)?;
    let request: Value = serde_json::from_slice(body)
        .map_err(|error| ("SerializationException", error.to_string()))?;
    let now = shared.cloud.now();
    let wanted = Wanted::of(&request, now)?;
    let fleet = shared.cloud.fleet(&region);
    let seen = now - shared.state().delay;
    let records = fleet
        .as_ref()
        .map(|fleet| fleet.records())
        .unwrap_or_default();
    let mut matching: Vec<_> = records
        .iter()
        .filter(|record| record.at <= seen && wanted.matches(record))
        .collect();
    matching.sort_by_key(|record| std::cmp::Reverse(record.at));
    let page = matching.iter().skip(wanted.skip).take(wanted.most);
    let events: Vec<_> = page.map(|record| record.event(&region)).collect();
    let after = wanted.skip + events.len();
    let mut answer = json!({ "Events": events });
    if after < matching.len()
        && let Some(fields) = answer.as_object_mut()
    {
        fields.insert(
            "NextToken".to_owned(),
            json!(format!("{after}.{}", wanted.print)),
        );
    }
    shared.state().answered += 1;
    Ok(answer)
}

impl Asked {
    fn admit(&mut self, region: &str) -> Result<(), Refusal> {
        if let Some((code, message)) = self.faults.pop_front() {
            return Err((code, message.to_owned()));
        }
        let recent = self.recent.entry(region.to_owned()).or_default();
        recent.retain(|at| at.elapsed() < Duration::from_secs(1));
        if recent.len() >= RATE {
            self.throttled += 1;
            return Err(("ThrottlingException", "Rate exceeded".to_owned()));
        }
        recent.push_back(Instant::now());
        Ok(())
    }
}
