//! What LINE sends, and whether it was LINE.

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;

/// The most messages of one webhook that are answered.
const MOST: usize = 100;
/// The longest message that can be a ticker.
const MAX_TEXT: usize = 200;
/// The length of an HMAC-SHA256.
const SHA256_BYTES: usize = 32;
/// The longest id or token that LINE would send.
const MAX_ID: usize = 200;

/// Whether `signature` is Base64 of the HMAC-SHA256 of `body` by the channel's `secret`. Compared in constant time. An empty secret
/// signs nothing.
#[must_use]
pub fn is_signed(body: &[u8], signature: &str, secret: &[u8]) -> bool {
    let Some(signature) = decoded(signature) else {
        return false;
    };
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    !secret.is_empty() && hmac::verify(&key, body, &signature).is_ok()
}

/// Checks the form of `signature`: a text that fails here is valid with no secret.
pub(crate) fn is_signature(signature: &str) -> bool {
    decoded(signature).is_some()
}

fn decoded(signature: &str) -> Option<[u8; SHA256_BYTES]> {
    STANDARD.decode(signature).ok()?.try_into().ok()
}

/// Everything that a webhook tells.
#[derive(Debug, Deserialize)]
pub struct Webhook {
    #[serde(default)]
    events: Vec<Event>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    mode: String,
    #[serde(default)]
    webhook_event_id: String,
    #[serde(default)]
    reply_token: Option<String>,
    #[serde(default)]
    source: Source,
    #[serde(default)]
    message: Message,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Source {
    r#type: String,
    user_id: Option<String>,
    group_id: Option<String>,
    room_id: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Message {
    r#type: String,
    text: String,
}

/// A message that somebody wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    /// The event's, the same however often it is delivered.
    pub(crate) id: String,
    pub(crate) text: String,
    pub(crate) reply_token: Option<String>,
    /// Whom to push to.
    pub(crate) to: String,
    /// Whether nobody else reads along.
    pub(crate) is_private: bool,
}

/// Reads a webhook whose signature was checked.
pub fn parse(body: &[u8]) -> Result<Webhook, String> {
    serde_json::from_slice(body).map_err(|error| format!("the body is no webhook: {error}"))
}

impl Webhook {
    /// The messages that are to be answered.
    pub(crate) fn messages(&self) -> impl Iterator<Item = Said> {
        self.events.iter().take(MOST).filter_map(Event::said)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.messages().count()
    }

    /// Whether there is nothing to answer: LINE's console sends such a webhook to try the address.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Event {
    fn said(&self) -> Option<Said> {
        let is_text = self.r#type == "message" && self.message.r#type == "text";
        // On standby another bot of the channel answers.
        if !is_text || self.mode == "standby" {
            return None;
        }
        let source = &self.source;
        let to = match source.r#type.as_str() {
            "group" => &source.group_id,
            "room" => &source.room_id,
            _ => &source.user_id,
        };
        let id = |id: &String| !id.is_empty() && id.len() <= MAX_ID;
        let to = to.clone().filter(id)?;
        Some(Said {
            id: Some(&self.webhook_event_id).filter(|it| id(it))?.clone(),
            text: self.message.text.chars().take(MAX_TEXT).collect(),
            reply_token: self.reply_token.clone().filter(id),
            is_private: source.r#type == "user",
            to,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sign(body: &[u8], secret: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        STANDARD.encode(hmac::sign(&key, body))
    }

    #[test]
    fn a_webhook_without_a_valid_signature_is_refused_whatever_it_says() {
        let body = br#"{"events":[]}"#;
        let good = sign(body, b"secret");
        assert!(is_signed(body, &good, b"secret"));
        for (body, signature, secret) in [
            (&body[..], "test_signature", &b"secret"[..]),
            (body, "", b"secret"),
            (body, &good[1..], b"secret"),
            (body, &sign(body, b"other"), b"secret"),
            (b"{}", &good, b"secret"),
            (body, &sign(body, b""), b""),
        ] {
            assert!(!is_signed(body, signature, secret), "{signature}");
        }
    }

    #[test]
    fn tells_a_signature_by_its_form() {
        assert!(is_signature(OPENSSL));
        let long = STANDARD.encode([0; 33]);
        for other in ["", "test_signature", "AAAA", &OPENSSL[1..], &long] {
            assert!(!is_signature(other), "{other}");
        }
    }

    /// LINE's own example of a signature is for a secret that it does not tell; this one is `openssl dgst`'s.
    #[test]
    fn the_signature_is_what_openssl_makes_of_it() {
        // printf '{"destination":"U1","events":[]}' | openssl dgst -sha256 -hmac 8c570fa6dd201bb328f1c1eac23a96d8 -binary | base64
        let body = br#"{"destination":"U1","events":[]}"#;
        let secret = b"8c570fa6dd201bb328f1c1eac23a96d8";
        assert!(is_signed(body, OPENSSL, secret));
    }
    const OPENSSL: &str = "wkdF2jkT9qcI9xo3dy8DgHvcuPACq9NJ3RqICYTQy/0=";

    #[test]
    fn only_what_somebody_wrote_is_answered() {
        let event = |kind: &str, message: &str, mode: &str, source: serde_json::Value| {
            json!({ "type": kind, "mode": mode, "webhookEventId": "01H", "replyToken": "r", "source": source,
                "message": { "type": message, "text": "DBS19" }, "deliveryContext": { "isRedelivery": false } })
        };
        let user = json!({ "type": "user", "userId": "U1" });
        let group = json!({ "type": "group", "groupId": "C1", "userId": "U1" });
        let body = json!({ "destination": "U0", "events": [
            event("message", "text", "active", user.clone()),
            event("message", "text", "active", group),
            event("message", "sticker", "active", user.clone()),
            event("follow", "", "active", user.clone()),
            event("message", "text", "standby", user),
            event("message", "text", "active", json!({})),
        ] });
        let webhook = parse(body.to_string().as_bytes()).unwrap();
        let said: Vec<_> = webhook
            .messages()
            .map(|said| (said.to, said.is_private))
            .collect();
        assert_eq!(said, [("U1".to_owned(), true), ("C1".to_owned(), false)]);
        assert!(parse(b"<x>").unwrap_err().contains("no webhook"));
        assert!(parse(b"{}").unwrap().is_empty());
    }
}
