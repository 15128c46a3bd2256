//! What LINE says of a request's body that it does not take.

use serde_json::{Value, json};

/// The most messages in a request.
const MESSAGES: usize = 5;
/// The most UTF-16 units of a text.
const UNITS: usize = 5_000;
const TYPES: [&str; 11] = [
    "text", "textV2", "sticker", "image", "video", "audio", "location", "imagemap", "template",
    "flex", "coupon",
];

/// What is wrong with `body`, of which `address` says where it goes: the body of the answer.
pub(super) fn mistake(body: &Value, address: &str) -> Option<Value> {
    let to = body
        .get(address)
        .and_then(Value::as_str)
        .unwrap_or_default();
    let mut details = Vec::new();
    if to.is_empty() {
        details.push(detail("May not be empty", address));
    } else if address == "to" && !is_id(to) {
        let message = "The property, 'to', in the request body is invalid (line: -, column: -)";
        return Some(json!({ "message": message }));
    }
    match body.get("messages").and_then(Value::as_array) {
        None => details.push(detail("May not be empty", "messages")),
        Some(messages) if messages.is_empty() || messages.len() > MESSAGES => {
            details.push(detail("Size must be between 1 and 5", "messages"));
        }
        Some(messages) => {
            let messages = messages.iter().enumerate();
            details.extend(messages.filter_map(|(nth, message)| of_message(nth, message)));
        }
    }
    let message = format!("The request body has {} error(s)", details.len());
    (!details.is_empty()).then(|| json!({ "message": message, "details": details }))
}

fn of_message(nth: usize, message: &Value) -> Option<Value> {
    let kind = message
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if !TYPES.contains(&kind) {
        let allowed = TYPES.join(", ");
        return Some(detail(
            &format!("Must be one of the following values: [{allowed}]"),
            &format!("messages[{nth}].type"),
        ));
    }
    let needed: &[&str] = match kind {
        "text" => &["text"],
        "image" => &["originalContentUrl", "previewImageUrl"],
        "flex" => &["altText"],
        _ => &[],
    };
    let field = |name: &str| {
        message
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let place = |name: &str| format!("messages[{nth}].{name}");
    if let Some(missing) = needed.iter().find(|name| field(name).is_empty()) {
        return Some(detail("May not be empty", &place(missing)));
    }
    let is_long = field("text").encode_utf16().count() > UNITS;
    let too_long = || detail("Length must be between 0 and 5000", &place("text"));
    is_long.then(too_long)
}

fn detail(message: &str, property: &str) -> Value {
    json!({ "message": message, "property": property })
}

/// Whether this is the id of a user, a group or a room.
fn is_id(to: &str) -> bool {
    let hex = |digits: &str| {
        digits.len() == 32
            && digits
                .bytes()
                .all(|it| it.is_ascii_digit() || (b'a'..=b'f').contains(&it))
    };
    to.strip_prefix(['U', 'C', 'R']).is_some_and(hex)
}
