//! The Runtime API and the Extensions API of one environment.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
    time::{Instant, SystemTime},
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Path, State},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

use super::{FunctionError, lock};

/// An account that nobody has.
pub(super) const ACCOUNT: &str = "123456789012";

/// The most that a function may answer ("Lambda quotas": 6 MB, and what the API allows over it).
const MAX_ANSWER: usize = 6 * 1024 * 1024 + 100;

/// An event on its way to the runtime.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) request_id: String,
    pub(super) payload: Vec<u8>,
    pub(super) deadline: SystemTime,
    pub(super) arn: String,
}

/// What the runtime posted for an event, and when.
pub(super) type Reply = (Result<Vec<u8>, FunctionError>, Instant);

/// What the processes of an environment have asked for so far.
#[derive(Debug)]
pub(super) struct Api {
    state: Mutex<Asked>,
    /// Counts changes of the state.
    changed: watch::Sender<u64>,
    concurrency: usize,
}

#[derive(Debug, Default)]
struct Asked {
    /// Requests for the next event that wait for one.
    next: VecDeque<oneshot::Sender<Event>>,
    extensions: HashMap<String, Extension>,
    in_flight: HashMap<String, oneshot::Sender<Reply>>,
    init_error: Option<FunctionError>,
}

#[derive(Debug)]
struct Extension {
    /// The kinds of events that it wants.
    events: Vec<String>,
    /// Its request for the next event, while that waits.
    next: Option<oneshot::Sender<Value>>,
}

impl Asked {
    /// Whether the runtime and every extension wait for an event.
    fn is_idle(&mut self, concurrency: usize) -> bool {
        self.waiting() >= concurrency && self.in_flight.is_empty() && self.extensions_wait()
    }

    /// How many requests for the next event wait, those that were given up on left out.
    fn waiting(&mut self) -> usize {
        self.next.retain(|next| !next.is_closed());
        self.next.len()
    }

    fn extensions_wait(&self) -> bool {
        self.extensions.values().all(|extension| {
            let next = extension.next.as_ref();
            next.is_some_and(|next| !next.is_closed())
        })
    }
}

impl Api {
    pub(super) fn new(concurrency: u32) -> Arc<Self> {
        let concurrency = usize::try_from(concurrency).unwrap_or(usize::MAX);
        Arc::new(Self {
            state: Mutex::default(),
            changed: watch::Sender::default(),
            concurrency,
        })
    }

    pub(super) fn router(self: &Arc<Self>) -> Router {
        Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route(
                "/2018-06-01/runtime/invocation/{id}/response",
                post(response),
            )
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .route("/2018-06-01/runtime/init/error", post(init_error))
            .route("/2020-01-01/extension/register", post(register))
            .route("/2020-01-01/extension/event/next", get(extension_next))
            .route("/2020-01-01/extension/init/error", post(extension_error))
            .route("/2020-01-01/extension/exit/error", post(extension_error))
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::clone(self))
    }

    /// Forgets what a process that is gone had asked for.
    pub(super) fn reset(&self) {
        self.change(|state| *state = Asked::default());
    }

    /// Waits until everybody waits for an event: then the environment may be frozen, or used.
    pub(super) async fn idle(&self) {
        self.wait_for(|state| state.is_idle(self.concurrency).then_some(()))
            .await;
    }

    /// Waits until the runtime waits for an event.
    pub(super) async fn runtime_waits(&self) {
        self.wait_for(|state| (state.waiting() > 0).then_some(()))
            .await;
    }

    /// Waits until the runtime waits for an event, be it one of several, and so does every extension.
    pub(super) async fn asked(&self) {
        self.wait_for(|state| (state.waiting() > 0 && state.extensions_wait()).then_some(()))
            .await;
    }

    /// Waits for the end of the Init phase: the same, or an error if the runtime could not begin.
    pub(super) async fn initialised(&self) -> Result<(), FunctionError> {
        self.wait_for(|state| match state.init_error.take() {
            Some(error) => Some(Err(error)),
            None => state.is_idle(self.concurrency).then_some(Ok(())),
        })
        .await
    }

    async fn wait_for<T>(&self, mut check: impl FnMut(&mut Asked) -> Option<T>) -> T {
        let mut changed = self.changed.subscribe();
        loop {
            changed.borrow_and_update();
            if let Some(found) = check(&mut lock(&self.state)) {
                return found;
            }
            // The sender is in self and cannot be gone.
            let _ = changed.changed().await;
        }
    }

    /// Gives `event` to the runtime and to the extensions that want it. The receiver gets what the
    /// runtime posts. `None` if the runtime does not wait for one.
    pub(super) fn dispatch(&self, event: Event) -> Option<oneshot::Receiver<Reply>> {
        self.change(|state| {
            let (tell, reply) = oneshot::channel();
            let (request_id, told) = (event.request_id.clone(), invoke_event(&event));
            let mut event = event;
            loop {
                // One that was given up on gives the event back.
                match state.next.pop_front()?.send(event) {
                    Ok(()) => break,
                    Err(unsent) => event = unsent,
                }
            }
            state.in_flight.insert(request_id, tell);
            for extension in state.extensions.values_mut() {
                if extension.events.iter().any(|kind| kind == "INVOKE")
                    && let Some(next) = extension.next.take()
                {
                    let _ = next.send(told.clone());
                }
            }
            Some(reply)
        })
    }

    /// Tells the extensions that want to know that the environment ends; whether any extension is
    /// there at all.
    pub(super) fn announce_shutdown(&self, reason: &str, deadline: SystemTime) -> bool {
        let told = json!({ "eventType": "SHUTDOWN", "shutdownReason": reason, "deadlineMs": millis(deadline) });
        self.change(|state| {
            for extension in state.extensions.values_mut() {
                if extension.events.iter().any(|kind| kind == "SHUTDOWN")
                    && let Some(next) = extension.next.take()
                {
                    let _ = next.send(told.clone());
                }
            }
            !state.extensions.is_empty()
        })
    }

    fn change<T>(&self, with: impl FnOnce(&mut Asked) -> T) -> T {
        let result = with(&mut lock(&self.state));
        self.changed.send_modify(|count| *count += 1);
        result
    }

    fn reply(&self, request_id: &str, result: Result<Vec<u8>, FunctionError>) -> Response {
        let reply = (result, Instant::now());
        let known = self
            .change(|state| state.in_flight.remove(request_id))
            .map(|tell| tell.send(reply));
        match known {
            Some(_) => accepted(),
            None => refused(
                StatusCode::BAD_REQUEST,
                "InvalidRequestID",
                "Invalid request ID",
            ),
        }
    }
}

pub(super) fn millis(time: SystemTime) -> u64 {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn invoke_event(event: &Event) -> Value {
    json!({
        "eventType": "INVOKE",
        "deadlineMs": millis(event.deadline),
        "requestId": event.request_id,
        "invokedFunctionArn": event.arn,
        "tracing": { "type": "X-Amzn-Trace-Id", "value": trace_id(&event.request_id) },
    })
}

/// A trace header of the right form that is not sampled.
fn trace_id(request_id: &str) -> String {
    let digits: String = request_id
        .chars()
        .filter(char::is_ascii_hexdigit)
        .chain("0".repeat(32).chars())
        .collect();
    let (time, rest) = digits.split_at_checked(8).unwrap_or_default();
    format!(
        "Root=1-{time}-{};Sampled=0",
        rest.chars().take(24).collect::<String>()
    )
}

fn accepted() -> Response {
    (StatusCode::ACCEPTED, Json(json!({ "status": "OK" }))).into_response()
}

fn refused(status: StatusCode, error_type: &str, message: &str) -> Response {
    (
        status,
        Json(json!({ "errorType": error_type, "errorMessage": message })),
    )
        .into_response()
}

async fn next(State(api): State<Arc<Api>>) -> Response {
    let (tell, event) = oneshot::channel();
    api.change(|state| state.next.push_back(tell));
    let Ok(event) = event.await else {
        return refused(StatusCode::GONE, "Gone", "the environment ended");
    };
    Response::builder()
        .header("Content-Type", "application/json")
        .header("Lambda-Runtime-Aws-Request-Id", &event.request_id)
        .header("Lambda-Runtime-Deadline-Ms", millis(event.deadline))
        .header("Lambda-Runtime-Invoked-Function-Arn", &event.arn)
        .header("Lambda-Runtime-Trace-Id", trace_id(&event.request_id))
        .body(Body::from(event.payload))
        .unwrap_or_default()
}

async fn response(State(api): State<Arc<Api>>, Path(id): Path<String>, body: Bytes) -> Response {
    if body.len() > MAX_ANSWER {
        let message = format!(
            "Response payload size exceeded maximum allowed payload size ({MAX_ANSWER} bytes)."
        );
        let _ = api.reply(
            &id,
            Err(FunctionError::new(
                "Function.ResponseSizeTooLarge",
                &message,
            )),
        );
        return refused(
            StatusCode::PAYLOAD_TOO_LARGE,
            "RequestEntityTooLarge",
            &message,
        );
    }
    api.reply(&id, Ok(body.into()))
}

async fn error(State(api): State<Arc<Api>>, Path(id): Path<String>, body: Bytes) -> Response {
    api.reply(&id, Err(FunctionError::posted(&body)))
}

async fn init_error(State(api): State<Arc<Api>>, body: Bytes) -> Response {
    api.change(|state| state.init_error = Some(FunctionError::posted(&body)));
    accepted()
}

async fn register(State(api): State<Arc<Api>>, headers: HeaderMap, body: Bytes) -> Response {
    let named = headers.contains_key("Lambda-Extension-Name");
    let body: Option<Value> = serde_json::from_slice(&body).ok();
    let events = body
        .as_ref()
        .and_then(|body| body.get("events")?.as_array());
    let (true, Some(events)) = (named, events) else {
        let message = "a name in Lambda-Extension-Name and a list `events` are needed";
        return refused(StatusCode::BAD_REQUEST, "Extension.InvalidRequest", message);
    };
    let events = events
        .iter()
        .filter_map(|event| event.as_str().map(str::to_owned))
        .collect();
    let id = Uuid::new_v4().to_string();
    api.change(|state| {
        state
            .extensions
            .insert(id.clone(), Extension { events, next: None })
    });
    let body = json!({ "functionName": "function", "functionVersion": "$LATEST", "handler": "bootstrap", "accountId": ACCOUNT });
    ([("Lambda-Extension-Identifier", id)], Json(body)).into_response()
}

fn extension_id(headers: &HeaderMap) -> &str {
    headers
        .get("Lambda-Extension-Identifier")
        .and_then(|id| id.to_str().ok())
        .unwrap_or_default()
}

async fn extension_next(State(api): State<Arc<Api>>, headers: HeaderMap) -> Response {
    let (tell, event) = oneshot::channel();
    let known = api.change(|state| {
        let extension = state.extensions.get_mut(extension_id(&headers))?;
        extension.next = Some(tell);
        Some(())
    });
    if known.is_none() {
        return refused(
            StatusCode::FORBIDDEN,
            "Extension.UnknownExtensionIdentifier",
            "no such extension",
        );
    }
    match event.await {
        Ok(event) => (
            [(
                "Lambda-Extension-Event-Identifier",
                Uuid::new_v4().to_string(),
            )],
            Json(event),
        )
            .into_response(),
        Err(_) => refused(StatusCode::GONE, "Gone", "the environment ended"),
    }
}

async fn extension_error(State(api): State<Arc<Api>>, headers: HeaderMap) -> Response {
    let known = api.change(|state| state.extensions.remove(extension_id(&headers)));
    match known {
        Some(_) => accepted(),
        None => refused(
            StatusCode::FORBIDDEN,
            "Extension.UnknownExtensionIdentifier",
            "no such extension",
        ),
    }
}
