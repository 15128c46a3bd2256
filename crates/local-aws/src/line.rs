//! LINE's Messaging API, as far as replies and pushes go: what is sent stays here.
//!
//! Source: "Messaging API reference" and "Retry failed API requests" at
//! <https://developers.line.biz>.

mod check;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
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
use http::{HeaderMap, HeaderValue, StatusCode, header};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{market::garbage, server::Server};

const RETRY_KEY: &str = "x-line-retry-key";

/// A running Messaging API.
#[derive(Debug)]
pub struct Line {
    server: Server,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    token: String,
    state: Mutex<Inbox>,
}

#[derive(Debug, Default)]
struct Inbox {
    reply_tokens: BTreeSet<String>,
    /// Retry keys that were accepted: the request's id, and what was answered.
    accepted: BTreeMap<String, (String, Value)>,
    sent: Vec<Sent>,
    asked: usize,
    faults: VecDeque<Fault>,
    delay: Duration,
    /// How many messages have an id.
    numbered: u64,
}

/// Messages that were delivered.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    /// Whom they went to.
    pub to: Recipient,
    /// What they are, one to five.
    pub messages: Vec<Value>,
    /// `X-Line-Retry-Key` of the request.
    pub retry_key: Option<String>,
}

/// Whom messages go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipient {
    /// Whoever caused the event with this token.
    Reply(String),
    /// This user, group or room.
    Push(String),
}

/// What goes wrong, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 429, for too many requests.
    RateLimited,
    /// 429, for too many messages this month.
    MonthlyLimit,
    /// 500, and nothing is delivered.
    ServerError,
    /// 500, although everything is delivered, as LINE warns that it may be.
    LostAnswer,
    /// The request is read and never answered.
    Silent,
    /// 200 and no JSON at all; nothing is delivered.
    Garbage,
}

impl Line {
    /// Starts one that takes messages from whoever has this channel access token.
    pub async fn start(token: &str) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared {
            token: token.to_owned(),
            state: Mutex::default(),
        });
        let app = Router::new()
            .route("/v2/bot/message/reply", post(reply))
            .route("/v2/bot/message/push", post(push))
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

    /// A reply token that may be used, once.
    #[must_use]
    pub fn issue_reply_token(&self) -> String {
        let token = Uuid::new_v4().simple().to_string();
        self.shared.inbox().reply_tokens.insert(token.clone());
        token
    }

    /// Has all reply tokens be too old, as they are after a minute or so.
    pub fn expire_reply_tokens(&self) {
        self.shared.inbox().reply_tokens.clear();
    }

    /// Has this go wrong with so many requests, after what was wished before.
    pub fn fail_times(&self, fault: Fault, times: usize) {
        let faults = std::iter::repeat_n(fault, times);
        self.shared.inbox().faults.extend(faults);
    }

    /// Has each answer take so much longer.
    pub fn delay(&self, delay: Duration) {
        self.shared.inbox().delay = delay;
    }

    /// What was delivered, the first first.
    #[must_use]
    pub fn sent(&self) -> Vec<Sent> {
        self.shared.inbox().sent.clone()
    }

    /// How many requests there were, well answered or not.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.shared.inbox().asked
    }
}

/// The body of a webhook that says that `user` wrote `text`. LINE signs it with the channel's
/// secret: base64 of HMAC-SHA256, in `x-line-signature`. An `event_id` is a ULID.
#[must_use]
pub fn webhook(
    user: &str,
    text: &str,
    reply_token: &str,
    event_id: &str,
    redelivered: bool,
) -> String {
    let event = json!({
        "type": "message",
        "message": { "type": "text", "id": "586325491283714305", "quoteToken": "q3Plxr4AgKd9", "text": text },
        "webhookEventId": event_id,
        "deliveryContext": { "isRedelivery": redelivered },
        "timestamp": Timestamp::now().as_millisecond(),
        "source": { "type": "user", "userId": user },
        "replyToken": reply_token,
        "mode": "active",
    });
    json!({ "destination": "Udeadbeefdeadbeefdeadbeefdeadbeef", "events": [event] }).to_string()
}

/// Status and body of an answer.
type Answer = (StatusCode, Value);

impl Shared {
    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, headers: &HeaderMap, body: &Bytes, address: &str) -> Response {
        let id = Uuid::new_v4().to_string();
        let (fault, delay) = {
            let mut inbox = self.inbox();
            inbox.asked += 1;
            (inbox.faults.pop_front(), inbox.delay)
        };
        tokio::time::sleep(delay).await;
        let mut accepted = None;
        let (status, body) = match fault {
            Some(Fault::Silent) => std::future::pending().await,
            Some(Fault::Garbage) => return garbage().into_response(),
            Some(Fault::RateLimited) => refusal(
                429,
                "The API rate limit has been exceeded. Try again later.",
            ),
            Some(Fault::MonthlyLimit) => refusal(429, "You have reached your monthly limit."),
            Some(Fault::ServerError) => refusal(500, "Internal server error"),
            Some(Fault::LostAnswer) => {
                let _ = self.take(headers, body, (address, &id));
                refusal(500, "Internal server error")
            }
            None => match self.take(headers, body, (address, &id)) {
                Ok(answer) => (StatusCode::OK, answer),
                Err((answer, first)) => {
                    accepted = first;
                    answer
                }
            },
        };
        let mut response = (status, Json(body)).into_response();
        let ids = [
            ("x-line-request-id", Some(id)),
            ("x-line-accepted-request-id", accepted),
        ];
        for (name, id) in ids {
            if let Some(Ok(id)) = id.map(HeaderValue::try_from) {
                response.headers_mut().insert(name, id);
            }
        }
        response
    }

    /// Delivers what a request holds, or says why not, with the request that came before it.
    fn take(
        &self,
        headers: &HeaderMap,
        body: &Bytes,
        (address, id): (&str, &str),
    ) -> Result<Value, (Answer, Option<String>)> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let wrong = |status, message: &str| Err((refusal(status, message), None));
        let token = header(header::AUTHORIZATION.as_str());
        if token.and_then(|token| token.strip_prefix("Bearer ")) != Some(self.token.as_str()) {
            let message = "Authentication failed. Confirm that the access token in the authorization header is valid.";
            return wrong(401, message);
        }
        let Ok(body) = serde_json::from_slice::<Value>(body) else {
            let message = "The request body could not be parsed as JSON (line: -, column: -)";
            return wrong(400, message);
        };
        if let Some(mistake) = check::mistake(&body, address) {
            return Err(((StatusCode::BAD_REQUEST, mistake), None));
        }
        let key = header(RETRY_KEY);
        let is_uuid = |key: &str| key.len() == 36 && Uuid::try_parse(key).is_ok();
        if key.is_some_and(|key| !is_uuid(key)) {
            return wrong(400, "The retry key is invalid");
        }
        if key.is_some() && address != "to" {
            return wrong(400, "The retry key is not supported");
        }
        let mut inbox = self.inbox();
        if let Some((first, answer)) = key.and_then(|key| inbox.accepted.get(key)) {
            let message = "The retry key is already accepted";
            let sent = answer.get("sentMessages");
            let answer = json!({ "message": message, "sentMessages": sent });
            return Err(((StatusCode::CONFLICT, answer), Some(first.clone())));
        }
        let to = body
            .get(address)
            .and_then(Value::as_str)
            .unwrap_or_default();
        if address != "to" && !inbox.reply_tokens.remove(to) {
            return wrong(400, "Invalid reply token");
        }
        let recipient = if address == "to" {
            Recipient::Push
        } else {
            Recipient::Reply
        };
        Ok(inbox.deliver(recipient(to.to_owned()), &body, (key, id)))
    }
}

impl Inbox {
    /// Keeps the messages, and says what they are called from now on.
    fn deliver(&mut self, to: Recipient, body: &Value, (key, id): (Option<&str>, &str)) -> Value {
        let messages = body.get("messages").and_then(Value::as_array);
        let messages = messages.cloned().unwrap_or_default();
        let named: Vec<_> = messages
            .iter()
            .map(|_| {
                self.numbered += 1;
                let number = 461_230_966_842_064_896 + self.numbered;
                json!({ "id": number.to_string(), "quoteToken": format!("quote-{}", self.numbered) })
            })
            .collect();
        let answer = json!({ "sentMessages": named });
        self.sent.push(Sent {
            to,
            messages,
            retry_key: key.map(str::to_owned),
        });
        if let Some(key) = key {
            let first = (id.to_owned(), answer.clone());
            self.accepted.insert(key.to_owned(), first);
        }
        answer
    }
}

fn refusal(status: u16, message: &str) -> Answer {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, json!({ "message": message }))
}

async fn reply(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    shared.answer(&headers, &body, "replyToken").await
}

async fn push(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    shared.answer(&headers, &body, "to").await
}

#[cfg(test)]
mod tests;
