//! Reading without the script, where it has nothing to do: while all entries are younger than the newest mark,
//! three plain commands, sent at once, say as much as it does in a third of the server's time.
//!
//! The values are read first, so no mark that was set before them can be missed. Whatever else the answer shows,
//! the script is run after all.

use redis::{Pipeline, RedisResult, Value, aio::MultiplexedConnection};

use super::{
    answer::{self, array, found, parse_news},
    connection::Request,
    script::{MARKS, NEWS, key_of},
};
use crate::{
    frame,
    scope::{MAX_MARKS, Mark},
    tier::{Answer, News, ReadBatch},
};

/// A read in plain commands.
pub(super) struct Plain {
    commands: Pipeline,
    entries: usize,
    news: News,
}

impl Plain {
    pub(super) fn new(batch: &ReadBatch<'_>) -> Self {
        let mut commands = redis::pipe();
        if !batch.entries.is_empty() {
            let values = commands.cmd("MGET");
            for asked in batch.entries {
                values.arg(asked.key);
            }
        }
        commands
            .cmd("ZREVRANGE")
            .arg(key_of(batch.app, MARKS))
            .arg(&["0", "0", "WITHSCORES"]);
        let news = key_of(batch.app, NEWS);
        match batch.news {
            News::None => {}
            News::FromNow => {
                let last = commands.cmd("ZREVRANGE").arg(news);
                last.arg(&["0", "0", "WITHSCORES"]);
            }
            News::Since(cursor) => {
                // With what was told last: where that is gone, so may other news be.
                let since = commands.cmd("ZRANGEBYSCORE").arg(news).arg(cursor);
                since.arg(&["+inf", "WITHSCORES"]);
            }
        }
        Self {
            commands,
            entries: batch.entries.len(),
            news: batch.news,
        }
    }

    /// What the server has answered; `None` where the script has to be asked.
    pub(super) fn parse(&self, value: Value) -> Option<Answer> {
        parse_plain_answer(value, self.entries, self.news)
    }
}

/// What plain commands have answered, for so many entries and such news; `None` if that is nothing that they answer, or
/// if the script has to be asked: some entry is older than the newest mark, or news may be lost.
#[must_use]
pub fn parse_plain_answer(value: Value, entries: usize, news: News) -> Option<Answer> {
    let mut answers = array(value)?.into_iter();
    let found = if entries == 0 {
        Vec::new()
    } else {
        let values = array(answers.next()?)?;
        let found: Result<Vec<_>, _> = values.into_iter().map(found).collect();
        found.ok()?
    };
    let marks = scored(answers.next()?)?;
    let (_, newest) = marks.first()?;
    let older = |bytes: &[u8]| frame::created(bytes).is_some_and(|at| at.get() <= *newest);
    let is_covered = found.iter().flatten().any(|found| older(&found.bytes));
    if found.len() != entries || is_covered {
        return None;
    }
    let (news, cursor) = match news {
        News::None => (Vec::new(), 0),
        News::FromNow => {
            let last = scored(answers.next()?)?;
            (Vec::new(), last.first().map_or(0, |(_, cursor)| *cursor))
        }
        News::Since(since) => told(since, &scored(answers.next()?)?)?,
    };
    Some(Answer {
        found,
        news,
        cursor,
        complete: true,
        ..Answer::default()
    })
}

impl Request for Plain {
    async fn on(&self, connection: &mut MultiplexedConnection, _: bool) -> RedisResult<Value> {
        self.commands.query_async(connection).await
    }
}

/// The news past `since`, and up to where it goes; `None` where some may be lost.
fn told(since: u64, kept: &[(Vec<u8>, u64)]) -> Option<(Vec<Mark>, u64)> {
    let Some((_, last)) = kept.last() else {
        // Nothing was ever told, or all of it is gone.
        return (since == 0).then_some((Vec::new(), 0));
    };
    let (_, first) = kept.first()?;
    // What was told last is there still; the first news of all has the number 1.
    if kept.len() > MAX_MARKS || *first != since.max(1) {
        return None;
    }
    let new = kept.iter().filter(|(_, number)| *number > since);
    let new = new.map(|(text, _)| parse_news(text));
    Some((new.collect::<Option<_>>()?, *last))
}

/// Members with their scores, which are whole numbers.
fn scored(value: Value) -> Option<Vec<(Vec<u8>, u64)>> {
    let values = array(value)?;
    let (pairs, []) = values.as_chunks() else {
        return None;
    };
    let pairs = pairs.iter().map(|[member, score]| {
        let Value::BulkString(member) = member else {
            return None;
        };
        Some((member.clone(), answer::score(score)?))
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::WallMillis, scope::Scope};

    const AT: u64 = 1_795_338_000_000;

    fn bulk(bytes: &[u8]) -> Value {
        Value::BulkString(bytes.to_vec())
    }

    fn pairs(pairs: &[(&[u8], u64)]) -> Value {
        let pair =
            |(member, score): &(&[u8], u64)| [bulk(member), bulk(score.to_string().as_bytes())];
        Value::Array(pairs.iter().flat_map(pair).collect())
    }

    /// What may be a frame, written then.
    fn written(at: u64) -> Value {
        let mut bytes = vec![0; 72];
        bytes[16..24].copy_from_slice(&at.to_le_bytes());
        Value::BulkString(bytes)
    }

    fn parse(found: Vec<Value>, newest: Option<u64>, since: u64, news: Value) -> Option<Answer> {
        let marks: Vec<_> = newest.iter().map(|at| (&[0_u8; 8][..], *at)).collect();
        let entries = found.len();
        let answer = Value::Array(vec![Value::Array(found), pairs(&marks), news]);
        parse_plain_answer(answer, entries, News::Since(since))
    }

    #[test]
    fn entries_that_are_younger_than_all_marks_are_read() {
        let none = || pairs(&[]);
        let found = || vec![written(AT + 1), Value::Nil];
        let answer = parse(found(), Some(AT), 0, none()).unwrap();
        assert!(answer.found[0].is_some() && answer.found[1].is_none());
        assert!(answer.complete);
        assert!(
            parse(vec![written(AT)], Some(AT), 0, none()).is_none(),
            "covered, maybe"
        );
        assert!(
            parse(found(), None, 0, none()).is_none(),
            "the marks are gone"
        );
        assert!(parse(vec![Value::Int(1)], Some(AT), 0, none()).is_none());
    }

    #[test]
    fn news_is_told_once_and_what_may_be_lost_is_asked_for() {
        let said = |n: u8| [&[n, 0, 0, 0, 0, 0, 0, 0], AT.to_string().as_bytes()].concat();
        let (third, fourth) = (said(3), said(4));
        let mark = |n| Mark {
            scope: Scope::from_raw(n),
            at: WallMillis::new(AT),
        };
        let parse_empty = |kept: &[(&[u8], u64)], since| {
            let answer = Value::Array(vec![pairs(&[(&[0; 8], AT)]), pairs(kept)]);
            parse_plain_answer(answer, 0, News::Since(since))
        };
        let answer = parse_empty(&[(&third, 3), (&fourth, 4)], 3).unwrap();
        assert_eq!((answer.news, answer.cursor), (vec![mark(4)], 4));
        let answer = parse_empty(&[(&third, 3)], 3).unwrap();
        assert_eq!((answer.news, answer.cursor), (vec![], 3), "nothing new");
        let answer = parse_empty(&[(&third, 1)], 0).unwrap();
        assert_eq!(
            (answer.news, answer.cursor),
            (vec![mark(3)], 1),
            "the first"
        );
        assert!(parse_empty(&[], 0).is_some(), "never any");
        assert!(parse_empty(&[], 3).is_none(), "all is gone");
        assert!(parse_empty(&[(&fourth, 4)], 3).is_none(), "some is gone");
        assert!(
            parse_empty(&[(&fourth, 4)], 0).is_none(),
            "the first is gone"
        );
        assert!(
            parse_empty(&[(b"x", 3)], 3).is_some(),
            "what is known is not read"
        );
        assert!(
            parse_empty(&[(&third, 3), (b"x", 4)], 3).is_none(),
            "no news"
        );
    }
}
