//! A language model behind `OpenAI`'s chat completions, which says what one wants it to say.
//!
//! Source: "Chat Completions" in `OpenAI`'s API reference, and what servers that call themselves
//! compatible leave out: async-openai#352, maple-proxy#3.

mod texts;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    response::{IntoResponse as _, Response},
    routing::post,
};
use http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    market::{endless, garbage},
    server::Server,
};

/// The path of completions.
pub const COMPLETIONS: &str = "/v1/chat/completions";

/// A running model.
#[derive(Debug)]
pub struct Chat {
    server: Server,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    key: String,
    state: Mutex<Said>,
}

#[derive(Debug, Default)]
struct Said {
    next: VecDeque<Behaviour>,
    otherwise: Option<Behaviour>,
    requests: Vec<Value>,
    delay: Duration,
}

/// How an answer differs from a good one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Not at all.
    Good,
    /// The content is this text.
    Content(String),
    /// A number stands in a text, where only a placeholder may.
    Number,
    /// A placeholder is none that was offered: `{{TARGET_PRICE}}`.
    UnknownPlaceholder,
    /// `risks` is missing.
    MissingSection,
    /// The JSON stands in a fence of Markdown.
    Fenced,
    /// The JSON stands between sentences.
    Prose,
    /// The content ends in the middle, with `finish_reason` `length`.
    Length,
    /// `finish_reason` is empty, and `object` and `usage` are missing.
    Bare,
    /// The content is an array of parts.
    Parts,
    /// The model declines: `refusal` instead of a content.
    Refusal,
    /// 429, to be tried again after so many seconds.
    RateLimited(u32),
    /// 500.
    ServerError,
    /// The request is read and never answered.
    Silent,
    /// 200 and no JSON at all.
    Garbage,
    /// An answer without end.
    Huge,
}

impl Chat {
    /// Starts one that answers whoever has this key.
    pub async fn start(key: &str) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared {
            key: key.to_owned(),
            state: Mutex::default(),
        });
        let app = Router::new()
            .route(COMPLETIONS, post(answer))
            .with_state(Arc::clone(&shared));
        Ok(Self {
            server: Server::start(app).await?,
            shared,
        })
    }

    /// `http://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Has the next answer be like this, after those that were queued before.
    pub fn queue(&self, behaviour: Behaviour) {
        self.shared.said().next.push_back(behaviour);
    }

    /// Has every answer be like this that none is queued for.
    pub fn set(&self, behaviour: Behaviour) {
        self.shared.said().otherwise = Some(behaviour);
    }

    /// Has each answer take so much longer.
    pub fn delay(&self, delay: Duration) {
        self.shared.said().delay = delay;
    }

    /// The bodies of all requests with the right key, the first first.
    #[must_use]
    pub fn requests(&self) -> Vec<Value> {
        self.shared.said().requests.clone()
    }
}

impl Said {
    /// How the next good request is answered.
    fn behaviour(&mut self) -> Behaviour {
        let queued = self.next.pop_front();
        let said = queued.or_else(|| self.otherwise.clone());
        said.unwrap_or(Behaviour::Good)
    }
}

impl Shared {
    fn said(&self) -> MutexGuard<'_, Said> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What refuses a request without the right key.
    fn refuse(&self, headers: &HeaderMap) -> Option<Response> {
        let given = headers.get(header::AUTHORIZATION);
        let given = given.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let (message, code) = match given {
            Some(key) if key == self.key => return None,
            Some(_) => (
                "Incorrect API key provided. You can find your API key at https://platform.openai.com/account/api-keys.",
                json!("invalid_api_key"),
            ),
            None => (
                "You didn't provide an API key. \
                 You need to provide your API key in an Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
                Value::Null,
            ),
        };
        Some(refusal(StatusCode::UNAUTHORIZED, message, (None, code)))
    }
}

async fn answer(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    if let Some(response) = shared.refuse(&headers) {
        return response;
    }
    let Ok(request) = serde_json::from_slice::<Value>(&body) else {
        let message = "We could not parse the JSON body of your request.";
        return refusal(StatusCode::BAD_REQUEST, message, (None, Value::Null));
    };
    let delay = {
        let mut said = shared.said();
        said.requests.push(request.clone());
        said.delay
    };
    tokio::time::sleep(delay).await;
    if let Some((message, param, code)) = mistake(&request) {
        let code = code.map_or(Value::Null, Value::from);
        return refusal(StatusCode::BAD_REQUEST, message, (param, code));
    }
    let behaviour = shared.said().behaviour();
    behave(&request, &behaviour).await
}

/// What is wrong with a request: a message, a parameter and a code.
type Mistake = (&'static str, Option<&'static str>, Option<&'static str>);

fn mistake(request: &Value) -> Option<Mistake> {
    if request
        .get("model")
        .and_then(Value::as_str)
        .is_none_or(str::is_empty)
    {
        return Some(("you must provide a model parameter", None, None));
    }
    let Some(messages) = request.get("messages").and_then(Value::as_array) else {
        return Some((
            "Missing required parameter: 'messages'.",
            Some("messages"),
            Some("missing_required_parameter"),
        ));
    };
    if messages.is_empty() {
        return Some((
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
            Some("messages"),
            Some("empty_array"),
        ));
    }
    let temperature = request.get("temperature").and_then(Value::as_f64);
    if temperature.is_some_and(|it| !(0.0..=2.0).contains(&it)) {
        return Some((
            "Invalid 'temperature': expected a value between 0 and 2.",
            Some("temperature"),
            Some("decimal_above_max_value"),
        ));
    }
    let format = request.pointer("/response_format/type");
    let of_json = format.and_then(Value::as_str) == Some("json_object");
    let names_json = |message: &Value| text(message).to_lowercase().contains("json");
    if of_json && !messages.iter().any(names_json) {
        return Some((
            "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
            Some("messages"),
            None,
        ));
    }
    None
}

/// What a message says, in one piece or in parts.
fn text(message: &Value) -> String {
    match message.get("content") {
        Some(Value::Array(parts)) => {
            let texts = parts.iter().filter_map(|part| part.get("text")?.as_str());
            texts.collect::<Vec<_>>().join("\n")
        }
        Some(Value::String(text)) => text.clone(),
        _ => String::new(),
    }
}

async fn behave(request: &Value, behaviour: &Behaviour) -> Response {
    match behaviour {
        Behaviour::RateLimited(seconds) => {
            let message = "Rate limit reached for requests. Please try again later.";
            let code = json!("rate_limit_exceeded");
            let mut response = refusal(StatusCode::TOO_MANY_REQUESTS, message, (None, code));
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, (*seconds).into());
            response
        }
        Behaviour::ServerError => {
            let message =
                "The server had an error while processing your request. Sorry about that!";
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            refusal(status, message, (None, Value::Null))
        }
        Behaviour::Silent => std::future::pending().await,
        Behaviour::Garbage => {
            ([(header::CONTENT_TYPE, "application/json")], garbage()).into_response()
        }
        Behaviour::Huge => endless("{\"choices\":[{\"message\":{\"content\":\"", "word "),
        said => Json(completion(request, said)).into_response(),
    }
}

fn completion(request: &Value, behaviour: &Behaviour) -> Value {
    let messages = request.get("messages").and_then(Value::as_array);
    let messages = messages.map(Vec::as_slice).unwrap_or_default();
    let prompt = messages.last().map(text).unwrap_or_default();
    let content = content(behaviour, texts::sections(&prompt));
    let finish = match behaviour {
        Behaviour::Length => "length",
        Behaviour::Bare => "",
        _ => "stop",
    };
    // Some four bytes are a token, and a message costs a few.
    let asked: usize = messages
        .iter()
        .map(|message| text(message).len() / 4 + 4)
        .sum();
    let said = content.len() / 4 + 1;
    let message = match behaviour {
        Behaviour::Parts => json!([{ "type": "text", "text": content }]),
        Behaviour::Refusal => Value::Null,
        _ => json!(content),
    };
    let declined =
        (*behaviour == Behaviour::Refusal).then_some("I'm sorry, I can't help with that.");
    let mut completion = json!({
        "id": format!("chatcmpl-{}", Uuid::new_v4().simple()),
        "object": "chat.completion",
        "created": Timestamp::now().as_second(),
        "model": request.get("model"),
        "choices": [{
            "index": 0,
            "message": { "role": "assistant", "content": message, "refusal": declined, "annotations": [] },
            "logprobs": null,
            "finish_reason": finish,
        }],
        "usage": {
            "prompt_tokens": asked,
            "completion_tokens": said,
            "total_tokens": asked + said,
        },
        "service_tier": "default",
        "system_fingerprint": null,
    });
    if *behaviour == Behaviour::Bare
        && let Some(fields) = completion.as_object_mut()
    {
        fields.retain(|name, _| name != "object" && name != "usage");
    }
    completion
}

/// What the model writes.
fn content(behaviour: &Behaviour, mut sections: Map<String, Value>) -> String {
    let mut add = |name: &str, more: &str| {
        if let Some(Value::String(text)) = sections.get_mut(name) {
            text.push_str(more);
        }
    };
    match behaviour {
        Behaviour::Number => add("stock_story", " RSI = 71.25."),
        Behaviour::UnknownPlaceholder => add("what_to_do", " {{TARGET_PRICE}}."),
        Behaviour::MissingSection => drop(sections.remove("risks")),
        _ => {}
    }
    let json = Value::Object(sections).to_string();
    match behaviour {
        Behaviour::Content(text) => text.clone(),
        Behaviour::Fenced => format!("```json\n{json}\n```"),
        Behaviour::Prose => format!(
            "Here is the report that you asked for:\n\n{json}\n\nLet me know if you need more."
        ),
        Behaviour::Length => {
            let half = json.chars().count() / 2;
            json.chars().take(half).collect()
        }
        _ => json,
    }
}

/// An error as `OpenAI` tells it; `about` is a parameter and a code.
fn refusal(status: StatusCode, message: &str, about: (Option<&str>, Value)) -> Response {
    let kind = match status.as_u16() {
        429 => "requests",
        500 => "server_error",
        _ => "invalid_request_error",
    };
    let (param, code) = about;
    let error = json!({ "message": message, "type": kind, "param": param, "code": code });
    (status, Json(json!({ "error": error }))).into_response()
}

#[cfg(test)]
mod tests;
