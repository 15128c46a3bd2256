//! What EC2 answers, read as from somebody who may answer anything.

use jiff::Timestamp;
use serde::Deserialize;

use super::Page;
use crate::described::{Described, moment_in_reason};

/// No answer that is longer is read: a thousand instances have some 8 MB.
pub const MAX_ANSWER: usize = 64 << 20;

/// An answer that is not as EC2 writes them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidAnswer {
    /// It is longer than any.
    #[error("an answer of {0} bytes")]
    TooLong(usize),
    /// It is not XML in UTF-8, or a field is missing.
    #[error("an answer that is not as EC2 writes them: {0}")]
    Malformed(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(default)]
    reservation_set: Set<Reservation>,
    #[serde(default)]
    next_token: Option<String>,
}

#[derive(Deserialize)]
struct Set<T> {
    #[serde(default = "Vec::new")]
    item: Vec<T>,
}

impl<T> Default for Set<T> {
    fn default() -> Self {
        Self { item: Vec::new() }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reservation {
    #[serde(default)]
    instances_set: Set<Instance>,
}

#[derive(Deserialize)]
struct Instance {
    #[serde(rename = "instanceId")]
    id: String,
    #[serde(rename = "instanceState")]
    state: StateName,
    #[serde(rename = "launchTime")]
    launched: Timestamp,
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
struct StateName {
    name: String,
}

/// A page of instances, as they were `at` that moment. One that is not as EC2 describes them makes the whole page none: a server that is left out
/// would look like one that is gone.
pub fn parse_answer(bytes: &[u8], at: Timestamp) -> Result<Page, InvalidAnswer> {
    if bytes.len() > MAX_ANSWER {
        return Err(InvalidAnswer::TooLong(bytes.len()));
    }
    let malformed = |problem: String| InvalidAnswer::Malformed(problem);
    let text = std::str::from_utf8(bytes).map_err(|error| malformed(error.to_string()))?;
    let answer: Answer =
        quick_xml::de::from_str(text).map_err(|error| malformed(error.to_string()))?;
    let reservations = answer.reservation_set.item.iter();
    let instances = reservations.flat_map(|reservation| &reservation.instances_set.item);
    let instances: Result<Vec<_>, _> = instances.map(|it| described(it, at)).collect();
    Ok(Page {
        instances: instances.map_err(malformed)?,
        next: answer.next_token.filter(|token| !token.is_empty()),
    })
}

fn described(instance: &Instance, at: Timestamp) -> Result<Described, String> {
    let (id, state) = (instance.id.parse(), instance.state.name.parse());
    Ok(Described {
        instance: id.map_err(|error: crate::InvalidInstanceId| error.to_string())?,
        state: state.map_err(|error: crate::UnknownState| error.to_string())?,
        launched: instance.launched,
        changed: moment_in_reason(&instance.reason),
        at,
    })
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(rename = "Errors")]
    errors: Errors,
}

#[derive(Deserialize)]
struct Errors {
    #[serde(rename = "Error")]
    error: Vec<Named>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Named {
    code: String,
    #[serde(default)]
    message: String,
}

/// Code and message of an error, each of no more than 300 letters.
#[must_use]
pub fn parse_refusal(bytes: &[u8]) -> Option<(String, String)> {
    let text = std::str::from_utf8(bytes)
        .ok()
        .filter(|text| text.len() <= MAX_ANSWER)?;
    let refusal: Refusal = quick_xml::de::from_str(text).ok()?;
    let first = refusal.errors.error.into_iter().next()?;
    let short = |text: String| text.chars().take(300).collect();
    Some((short(first.code), short(first.message)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::State;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;
    /// As EC2 answers, shortened.
    const ANSWER: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
    <requestId>8f7724cf-496f-496e-8fe3-example</requestId>
    <reservationSet>
        <item>
            <reservationId>r-1</reservationId><ownerId>123456789012</ownerId><groupSet/>
            <instancesSet>
                <item>
                    <instanceId>i-0000000a</instanceId><imageId>ami-1</imageId>
                    <instanceState><code>16</code><name>running</name></instanceState>
                    <privateDnsName/><reason/>
                    <launchTime>2026-11-20T08:00:01.000Z</launchTime>
                    <tagSet><item><key>App</key><value>minecraft &amp; more</value></item></tagSet>
                </item>
                <item>
                    <instanceId>i-0000000b</instanceId>
                    <instanceState><code>80</code><name>stopped</name></instanceState>
                    <reason>User initiated (2026-11-20 10:00:00 GMT)</reason>
                    <launchTime>2026-11-20T08:00:01.000Z</launchTime>
                </item>
            </instancesSet>
        </item>
        <item><instancesSet><item><instanceId>i-0000000c</instanceId><instanceState><name>pending</name></instanceState>
            <launchTime>2026-11-20T08:00:01Z</launchTime></item></instancesSet></item>
    </reservationSet>
    <nextToken>more</nextToken>
</DescribeInstancesResponse>"#;

    #[test]
    fn an_answer_is_read() {
        let page = parse_answer(ANSWER.as_bytes(), NOW).unwrap();
        assert_eq!(page.next.as_deref(), Some("more"));
        let states: Vec<_> = page.instances.iter().map(|it| it.state).collect();
        assert_eq!(states, [State::Running, State::Stopped, State::Pending]);
        assert_eq!(
            page.instances[0].launched.to_string(),
            "2026-11-20T08:00:01Z"
        );
        let changed = page.instances[1].changed.unwrap();
        assert_eq!(changed.to_string(), "2026-11-20T10:00:00Z");
        let none = "<DescribeInstancesResponse><reservationSet/></DescribeInstancesResponse>";
        assert_eq!(parse_answer(none.as_bytes(), NOW).unwrap(), Page::default());
    }

    #[test]
    fn one_wrong_instance_is_an_error_of_the_page() {
        for (right, wrong) in [
            ("<name>running</name>", "<name>asleep</name>"),
            ("i-0000000c", "../c"),
            ("<launchTime>2026-11-20T08:00:01Z</launchTime>", ""),
            ("</reservationSet>", ""),
        ] {
            assert!(
                parse_answer(ANSWER.replace(right, wrong).as_bytes(), NOW).is_err(),
                "{wrong}"
            );
        }
        assert!(parse_answer(b"\xff", NOW).is_err());
    }

    #[test]
    fn an_error_has_code_and_message() {
        let text = "<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>You are not authorized</Message></Error></Errors>\
            <RequestID>r</RequestID></Response>";
        let (code, message) = parse_refusal(text.as_bytes()).unwrap();
        assert_eq!(
            (code.as_str(), message.as_str()),
            ("UnauthorizedOperation", "You are not authorized")
        );
        assert_eq!(parse_refusal(b"<html>Bad gateway</html>"), None);
    }
}
