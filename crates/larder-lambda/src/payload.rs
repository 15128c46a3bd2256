//! The event's bytes: kept from the runtime and parsed here.
//!
//! `lambda_runtime` reports JSON that does not parse under an error type of its own, takes what follows the first value for
//! nothing, and ends the process over bytes that are not UTF-8. So the runtime gets `null`, and every fault of an event is a
//! `BadRequest`.

use std::{cell::RefCell, collections::HashSet, fmt};

use lambda_runtime::LambdaInvocation;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _, MapAccess, SeqAccess, Visitor},
};

use crate::{
    error::{Error, ErrorKind},
    event::{bounded, shown},
};

/// Bound on a parser's message, in characters: it may quote the event.
const MAX_MESSAGE: usize = 10_000;

tokio::task_local! {
    /// The present invocation's event.
    static EVENT: RefCell<Vec<u8>>;
}

/// Takes the event out of `invocation`; the runtime reads `null` instead.
pub(crate) fn withhold(invocation: &mut LambdaInvocation) -> Vec<u8> {
    std::mem::replace(&mut invocation.body, (&b"null"[..]).into()).into()
}

/// Does `work`, within which [`take`] returns `event`.
pub(crate) fn with<T>(event: Vec<u8>, work: impl Future<Output = T>) -> impl Future<Output = T> {
    EVENT.scope(RefCell::new(event), work)
}

/// The present invocation's event; empty if it was taken before.
pub(crate) fn take() -> Vec<u8> {
    EVENT.try_with(RefCell::take).unwrap_or_default()
}

/// Parses an event. Of two fields of one name one would win unseen, so that is refused too.
pub(crate) fn parse<E: DeserializeOwned>(event: &[u8]) -> Result<E, Error> {
    let parsed =
        serde_json::from_slice(event).and_then(|UniqueFields| serde_json::from_slice(event));
    parsed.map_err(|error| {
        let message = bounded(format_args!("invalid event: {error}"), MAX_MESSAGE);
        Error::message(ErrorKind::BadRequest, message)
    })
}

/// Any JSON value none of whose objects has a field twice.
struct UniqueFields;

impl<'de> Deserialize<'de> for UniqueFields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueFieldsVisitor)
    }
}

struct UniqueFieldsVisitor;

impl<'de> Visitor<'de> for UniqueFieldsVisitor {
    type Value = UniqueFields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<UniqueFields, E> {
        Ok(UniqueFields)
    }

    fn visit_i64<E>(self, _: i64) -> Result<UniqueFields, E> {
        Ok(UniqueFields)
    }

    fn visit_u64<E>(self, _: u64) -> Result<UniqueFields, E> {
        Ok(UniqueFields)
    }

    fn visit_f64<E>(self, _: f64) -> Result<UniqueFields, E> {
        Ok(UniqueFields)
    }

    fn visit_str<E>(self, _: &str) -> Result<UniqueFields, E> {
        Ok(UniqueFields)
    }

    fn visit_unit<E>(self) -> Result<UniqueFields, E> {
        Ok(UniqueFields)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<UniqueFields, A::Error> {
        while let Some(UniqueFields) = items.next_element()? {}
        Ok(UniqueFields)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<UniqueFields, A::Error> {
        let mut seen = HashSet::new();
        while let Some((name, UniqueFields)) = fields.next_entry::<String, _>()? {
            if let Some(twice) = seen.replace(name) {
                let message = format!("field `{}` is there twice", shown(twice));
                return Err(A::Error::custom(message));
            }
        }
        Ok(UniqueFields)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value};

    use super::*;

    fn refusal(event: &[u8]) -> (ErrorKind, String) {
        let error = parse::<Map<String, Value>>(event).unwrap_err();
        (error.kind(), error.to_string())
    }

    #[test]
    fn refuses_bytes_that_are_not_one_json_object() {
        let deep = "[".repeat(100_000);
        let cases: [(&[u8], &str); 12] = [
            (b"", "EOF while parsing a value"),
            (b" \n", "EOF while parsing a value"),
            (b"monitor=slack", "expected value"),
            (b"{\"a\":1} {}", "trailing characters"),
            (b"{\"a\":", "EOF while parsing"),
            (b"{\"a\":\"\\ud83d\"}", "hex escape"),
            (b"{\"a\":\"\xff\"}", "unicode"),
            (b"\xef\xbb\xbf{}", "expected value"),
            (b"{\"a\":1e999}", "number out of range"),
            (b"[1]", "invalid type: sequence"),
            (
                b"{\"a\":{\"b\":1,\"c\":2,\"b\":3}}",
                "field `b` is there twice",
            ),
            (deep.as_bytes(), "recursion limit exceeded"),
        ];
        for (event, said) in cases {
            let (kind, message) = refusal(event);
            assert_eq!(kind, ErrorKind::BadRequest);
            assert!(message.starts_with("invalid event: "), "{message}");
            assert!(message.contains(said), "{said}: {message}");
        }
    }

    #[test]
    fn bounds_what_a_parser_quotes() {
        #[derive(Debug, Deserialize)]
        enum Order {}
        let event = format!("\"{}\"", "x".repeat(1_000_000));
        let error = parse::<Order>(event.as_bytes()).unwrap_err().to_string();
        assert!(error.len() <= MAX_MESSAGE, "{}", error.len());
    }

    #[test]
    fn parses_what_is_there_once() {
        let event = br#"{"a":[{"b":1},{"b":-1.5}],"c":{"a":null,"b":true},"d":"\ud83d\ude00"}"#;
        assert_eq!(parse::<Map<String, Value>>(event).unwrap().len(), 3);
    }
}
