//! What the server answers, read as from somebody who may answer anything.

use redis::Value;

use crate::{
    clock::WallMillis,
    frame::{MAX_ETAG, MAX_PAYLOAD},
    scope::{MAX_MARKS, Mark, Scope},
    tier::{Answer, Found, LeaseAnswer},
};

/// No frame is longer.
const MAX_FRAME: usize = MAX_PAYLOAD + MAX_ETAG + 1024;

/// What the reading script has answered for so many entries; `None` if that is nothing that it answers.
#[must_use]
pub fn parse_answer(value: Value, entries: usize) -> Option<Answer> {
    parse(value, entries).map(|(answer, _)| answer)
}

/// The same, and whether all entries are younger than the newest mark.
pub(super) fn parse(value: Value, entries: usize) -> Option<(Answer, bool)> {
    let [lease, cursor, complete, news, marks, values, covered] =
        <[Value; 7]>::try_from(array(value)?).ok()?;
    let lease = match lease {
        Value::Int(0) => LeaseAnswer::None,
        Value::Int(1) => LeaseAnswer::Granted,
        Value::Int(2) => LeaseAnswer::Held,
        _ => return None,
    };
    let (news, marks) = (array(news)?, array(marks)?);
    if news.len() > 2 * MAX_MARKS || marks.len() > 2 * MAX_MARKS || marks.len() % 2 != 0 {
        return None;
    }
    let news = news.iter().map(said).collect::<Option<_>>()?;
    let marks = marks.as_chunks().0.iter().map(mark);
    let marks = marks.collect::<Option<_>>()?;
    let values = array(values)?;
    if values.len() != entries {
        return None;
    }
    let found: Result<Vec<_>, Unexpected> = values.into_iter().map(found).collect();
    let mut found = found.ok()?;
    let covered = array(covered)?;
    let (covered, []) = covered.as_chunks() else {
        return None;
    };
    let quiet = covered.is_empty();
    for [place, invalidated, expired] in covered {
        let place = usize::try_from(moment(place)?).ok()?.checked_sub(1)?;
        let known = |at| (at > 0).then_some(WallMillis::new(at));
        if let Some(found) = found.get_mut(place)? {
            found.invalidated = known(moment(invalidated)?);
            found.expired = known(moment(expired)?);
        }
    }
    let answer = Answer {
        found,
        marks,
        news,
        cursor: moment(&cursor)?,
        complete: moment(&complete)? == 1,
        whole: false,
        lease,
    };
    Some((answer, quiet))
}

pub(super) fn array(value: Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(values) => Some(values),
        _ => None,
    }
}

/// Nothing that is answered.
pub(super) struct Unexpected;

/// An entry, or that there is none.
pub(super) fn found(value: Value) -> Result<Option<Found>, Unexpected> {
    match value {
        Value::BulkString(bytes) if bytes.len() <= MAX_FRAME => Ok(Some(Found {
            bytes,
            invalidated: None,
            expired: None,
        })),
        Value::Nil => Ok(None),
        _ => Err(Unexpected),
    }
}

fn said(value: &Value) -> Option<Mark> {
    match value {
        Value::BulkString(text) => parse_news(text),
        _ => None,
    }
}

fn mark([scope, at]: &[Value; 2]) -> Option<Mark> {
    match scope {
        Value::BulkString(scope) => parse_mark(scope, score(at)?),
        _ => None,
    }
}

/// A score that is a whole number.
pub(super) fn score(value: &Value) -> Option<u64> {
    match value {
        Value::BulkString(score) => digits(score),
        Value::Int(score) => u64::try_from(*score).ok(),
        _ => None,
    }
}

/// News: a scope of 8 bytes, and behind it a moment in digits.
pub(super) fn parse_news(text: &[u8]) -> Option<Mark> {
    let (scope, at) = text.split_at_checked(size_of::<u64>())?;
    parse_mark(scope, digits(at)?)
}

fn parse_mark(scope: &[u8], at: u64) -> Option<Mark> {
    Some(Mark {
        scope: Scope::from_raw(u64::from_le_bytes(scope.try_into().ok()?)),
        at: WallMillis::new(at),
    })
}

fn digits(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// A moment; 0 for none.
fn moment(value: &Value) -> Option<u64> {
    match value {
        Value::Nil => Some(0),
        Value::Int(at) => u64::try_from(*at).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(bytes: &[u8]) -> Value {
        Value::BulkString(bytes.to_vec())
    }

    #[test]
    fn an_answer_is_read() {
        let value = Value::Array(vec![
            Value::Int(2),
            Value::Int(12),
            Value::Int(1),
            Value::Array(vec![bulk(b"\x05\x00\x00\x00\x00\x00\x00\x001795338000001")]),
            Value::Array(vec![bulk(&7_u64.to_le_bytes()), bulk(b"1795338000000")]),
            Value::Array(vec![bulk(b"frame"), Value::Nil]),
            Value::Array(vec![Value::Int(1), Value::Int(5), Value::Int(0)]),
        ]);
        let answer = parse_answer(value, 2).unwrap();
        assert_eq!(answer.lease, LeaseAnswer::Held);
        assert_eq!(
            answer.marks,
            [Mark {
                scope: Scope::from_raw(7),
                at: WallMillis::new(1_795_338_000_000)
            }]
        );
        let news = Mark {
            scope: Scope::from_raw(5),
            at: WallMillis::new(1_795_338_000_001),
        };
        assert_eq!((answer.news, answer.cursor), (vec![news], 12));
        assert!(answer.complete);
        let found = answer.found[0].as_ref().unwrap();
        assert_eq!(found.bytes, b"frame");
        assert_eq!(found.invalidated, Some(WallMillis::new(5)));
        assert_eq!(found.expired, None);
        assert_eq!(answer.found[1], None);
    }

    #[test]
    fn anything_else_is_refused() {
        let answer = |lease, marks, found, covered| {
            let news = Value::Array(Vec::new());
            Value::Array(vec![
                lease,
                Value::Int(0),
                Value::Int(1),
                news,
                marks,
                Value::Array(found),
                Value::Array(covered),
            ])
        };
        let none = || Value::Array(Vec::new());
        let one = || vec![bulk(b"frame")];
        let place = |place| vec![Value::Int(place), Value::Int(1), Value::Int(1)];
        let (free, other) = (Value::Int(0), Value::Int(3));
        assert!(parse_answer(answer(free.clone(), none(), one(), place(1)), 1).is_some());
        for (what, value) in [
            ("nothing", Value::Nil),
            ("another lease", answer(other, none(), one(), vec![])),
            (
                "half a mark",
                answer(free.clone(), Value::Array(vec![bulk(b"")]), one(), vec![]),
            ),
            (
                "a short scope",
                answer(
                    free.clone(),
                    Value::Array(vec![bulk(b"x"), bulk(b"1")]),
                    one(),
                    vec![],
                ),
            ),
            (
                "too many entries",
                answer(free.clone(), none(), vec![Value::Nil; 2], vec![]),
            ),
            (
                "too few entries",
                answer(free.clone(), none(), vec![], vec![]),
            ),
            (
                "a list for a value",
                answer(free.clone(), none(), vec![none()], vec![]),
            ),
            (
                "half a cover",
                answer(free.clone(), none(), one(), vec![Value::Int(1)]),
            ),
            ("no place", answer(free.clone(), none(), one(), place(0))),
            (
                "a place past the end",
                answer(free, none(), one(), place(2)),
            ),
        ] {
            assert!(parse_answer(value, 1).is_none(), "{what}");
        }
    }
}
