//! Sending messages by LINE's Messaging API.

use std::time::Duration;

use reqwest::{Client, StatusCode};
use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use crate::{
    outside::{Answer, Limits, Outside, Unanswered},
    secrets::{NoSecret, Secrets},
};

const SERVER: &str = "LINE";
/// Of what LINE knows again.
const RETRIES: usize = 2;
const LIMITS: Limits = Limits {
    attempt: Duration::from_secs(5),
    retries: RETRIES,
    bytes: 64 << 10,
};

/// A channel.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    outside: Outside,
    url: Url,
    secrets: Secrets,
    secret_parameter: String,
    token_parameter: String,
}

/// A message was not sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unsent {
    /// There is no token to send it with.
    #[error("there is no token for LINE")]
    Token(#[from] NoSecret),
    /// LINE did not take it.
    #[error(transparent)]
    Unanswered(#[from] Unanswered),
}

impl Api {
    pub(crate) fn new(
        outside: Outside,
        url: Url,
        secrets: Secrets,
        (secret_parameter, token_parameter): (String, String),
    ) -> Self {
        Self {
            outside,
            url,
            secrets,
            secret_parameter,
            token_parameter,
        }
    }

    /// What the channel's webhooks are signed with.
    pub(crate) async fn secret(&self) -> Result<SecretString, NoSecret> {
        let (secret, _) = self.secrets.get(&self.secret_parameter).await?;
        Ok(secret)
    }

    /// The same, where something was not signed with it: it may have been changed since it was read.
    pub(crate) async fn changed_secret(&self) -> Result<Option<SecretString>, NoSecret> {
        self.secrets.changed(&self.secret_parameter).await
    }

    /// Replies, in one try: a second one would be refused if the first had arrived after all.
    pub(crate) async fn reply(&self, token: &str, texts: &[String]) -> Result<(), Unsent> {
        let body = json!({ "replyToken": token, "messages": messages(texts) });
        let answer = self.send("reply", &body, None).await?;
        match answer.status {
            status if status.is_success() => Ok(()),
            _ => Err(refused(&answer)),
        }
    }

    /// Pushes, once however often it is tried.
    pub(crate) async fn push(&self, to: &str, texts: &[String]) -> Result<(), Unsent> {
        let body = json!({ "to": to, "messages": messages(texts) });
        let key = Uuid::new_v4().to_string();
        let answer = self.send("push", &body, Some(&key)).await?;
        match answer.status {
            // An earlier try of this one has reached it after all.
            StatusCode::CONFLICT => Ok(()),
            status if status.is_success() => Ok(()),
            _ => Err(refused(&answer)),
        }
    }

    async fn send(&self, how: &str, body: &Value, key: Option<&str>) -> Result<Answer, Unsent> {
        let mut url = self.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["v2", "bot", "message", how]);
        }
        let text = body.to_string();
        let limits = Limits {
            retries: key.map_or(0, |_| RETRIES),
            ..LIMITS
        };
        let request = |client: &Client| {
            let request = client.post(url.clone());
            let request = request
                .header("content-type", "application/json")
                .body(text.clone());
            match key {
                Some(key) => request.header("x-line-retry-key", key),
                None => request,
            }
        };
        let token = (
            self.token_parameter.as_str(),
            &[StatusCode::UNAUTHORIZED][..],
        );
        let (secrets, to) = (&self.secrets, (SERVER, limits));
        secrets
            .ask_as_bearer(token, &self.outside, to, request)
            .await
    }
}

fn messages(texts: &[String]) -> Vec<Value> {
    let message = |text: &String| json!({ "type": "text", "text": text });
    texts.iter().map(message).collect()
}

fn refused(answer: &Answer) -> Unsent {
    Unsent::Unanswered(Unanswered::Refused {
        server: SERVER,
        status: answer.status.as_u16(),
        said: answer.shown(),
    })
}
