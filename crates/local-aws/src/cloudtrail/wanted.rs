//! What a request looks up.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::Refusal;
use crate::fleet::Record;

/// How far back events can be looked up.
const HORIZON: SignedDuration = SignedDuration::from_hours(90 * 24);
const MOST: usize = 50;

/// What is looked up.
pub(super) struct Wanted {
    attribute: Option<(String, String)>,
    from: Timestamp,
    until: Timestamp,
    pub(super) most: usize,
    pub(super) skip: usize,
    /// All of it but the page: a token goes with nothing else.
    pub(super) print: String,
}

impl Wanted {
    /// What `request` asks for at `now`.
    pub(super) fn of(request: &Value, now: Timestamp) -> Result<Self, Refusal> {
        let attribute = attribute(request)?;
        let category = request.get("EventCategory").and_then(Value::as_str);
        if category.is_some_and(|category| category != "insight") {
            let what = "the one category that can be named is insight";
            return Err(refusal("InvalidEventCategoryException", what));
        }
        let most = request.get("MaxResults").map_or(Some(50), Value::as_u64);
        let most = most.and_then(|most| usize::try_from(most).ok());
        let most = most
            .filter(|most| (1..=MOST).contains(most))
            .ok_or_else(|| refusal("InvalidMaxResultsException", "MaxResults is 1 to 50"))?;
        let (start, end) = (moment(request, "StartTime"), moment(request, "EndTime"));
        if start.zip(end).is_some_and(|(start, end)| start > end) {
            return Err(refusal(
                "InvalidTimeRangeException",
                "the start is later than the end",
            ));
        }
        let print = print(&format!("{attribute:?}{start:?}{end:?}"));
        let skip = match request.get("NextToken").and_then(Value::as_str) {
            None => 0,
            Some(token) => {
                let own = token.split_once('.').filter(|(_, of)| *of == print);
                let skip = own.and_then(|(skip, _)| skip.parse().ok());
                let foreign = "the token is none, or another request's";
                skip.ok_or_else(|| refusal("InvalidNextTokenException", foreign))?
            }
        };
        Ok(Self {
            attribute,
            from: start.unwrap_or(Timestamp::MIN).max(now - HORIZON),
            until: end.unwrap_or(now),
            most,
            skip,
            print,
        })
    }

    /// Whether `record` is among it.
    pub(super) fn matches(&self, record: &Record) -> bool {
        let in_time = (self.from..=self.until).contains(&record.at);
        in_time
            && self
                .attribute
                .as_ref()
                .is_none_or(|(key, value)| match key.as_str() {
                    "EventName" => record.name == value,
                    "EventId" => record.id == *value,
                    "EventSource" => value == "ec2.amazonaws.com",
                    "ReadOnly" => value == "false",
                    "Username" => record.user() == value,
                    "ResourceType" => {
                        value == "AWS::EC2::Instance" && record.name != "BidEvictedEvent"
                    }
                    "ResourceName" => {
                        record.name != "BidEvictedEvent"
                            && record.of.iter().any(|(id, ..)| id == value)
                    }
                    _ => value == "AKIAIOSFODNN7EXAMPLE",
                })
    }
}

const KEYS: [&str; 8] = [
    "EventId",
    "EventName",
    "ReadOnly",
    "Username",
    "ResourceType",
    "ResourceName",
    "EventSource",
    "AccessKeyId",
];

fn refusal(code: &'static str, message: &str) -> Refusal {
    (code, message.to_owned())
}

fn attribute(request: &Value) -> Result<Option<(String, String)>, Refusal> {
    let wrong = |what| refusal("InvalidLookupAttributesException", what);
    let attributes = request.get("LookupAttributes").and_then(Value::as_array);
    let [one] = attributes.map(Vec::as_slice).unwrap_or_default() else {
        let none = attributes.is_none_or(Vec::is_empty);
        return if none {
            Ok(None)
        } else {
            Err(wrong("there can be one attribute"))
        };
    };
    let text = |name: &str| one.get(name).and_then(Value::as_str).map(str::to_owned);
    let pair = text("AttributeKey").zip(text("AttributeValue"));
    let (key, value) = pair.ok_or_else(|| wrong("an attribute has a key and a value"))?;
    if KEYS.contains(&key.as_str()) && !value.is_empty() {
        Ok(Some((key, value)))
    } else {
        Err(wrong("no such attribute"))
    }
}

fn moment(request: &Value, name: &str) -> Option<Timestamp> {
    let since = SignedDuration::try_from_secs_f64(request.get(name)?.as_f64()?).ok()?;
    Timestamp::UNIX_EPOCH.checked_add(since).ok()
}

/// Short, and another one for another text.
fn print(text: &str) -> String {
    let hash = |hash: u64, byte| hash.wrapping_mul(33) ^ u64::from(byte);
    format!("{:x}", text.bytes().fold(5381, hash))
}
