//! The marks of an application, as one object: read by a conditional `GET`, written by compare and swap.
//!
//! Its first line is `larder-marks 1`, the cursor, and up to where news was forgotten; then a line each for the
//! marks, `m`, scope, moment, and for the news, `n`, number, scope, moment.

use std::{collections::HashMap, fmt::Write as _, sync::Arc};

use parking_lot::Mutex;

use super::{
    NAME, TRIES,
    bucket::{Bucket, Got},
};
use crate::{
    clock::WallMillis,
    scope::{MAX_MARKS, Mark, Scope},
    tier::{TierError, TierErrorKind, WriteBatch},
};

const FORMAT: &str = "larder-marks 1";

/// The object, and what it held when it was last read.
#[derive(Debug, Default)]
pub(super) struct MarksObject {
    known: Mutex<Option<Known>>,
}

#[derive(Clone, Debug)]
struct Known {
    etag: Option<String>,
    marks: Arc<Marks>,
}

/// What it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    cursor: u64,
    forgotten: u64,
    of: HashMap<Scope, WallMillis>,
    /// By number, in order.
    news: Vec<(u64, Mark)>,
}

impl MarksObject {
    /// What it holds now. Where it is gone, nobody can tell what it covered: so everything is covered.
    pub(super) async fn read(
        &self,
        bucket: &Bucket,
        app: &str,
        now: WallMillis,
    ) -> Result<Arc<Marks>, TierError> {
        let name = name(bucket, app);
        for _ in 0..TRIES {
            let known = self.known();
            let etag = known.as_ref().and_then(|known| known.etag.as_deref());
            match (bucket.get_if_not(&name, etag).await?, known) {
                (Got::Same, Some(known)) => return Ok(known.marks),
                (Got::Object(object), _) => {
                    if let Some(marks) = Marks::parse(&object.body) {
                        return Ok(self.remember(object.etag, marks));
                    }
                    // Not what was written: begun anew.
                    let marks = Marks::begun(now);
                    bucket
                        .put_if(&name, marks.to_text(), object.etag.as_deref())
                        .await?;
                }
                (Got::Missing | Got::Same, _) => {
                    self.forget();
                    bucket
                        .put_if(&name, Marks::begun(now).to_text(), None)
                        .await?;
                }
            }
        }
        Err(TierError::new(NAME, TierErrorKind::Failed).because("its marks change all the time"))
    }

    /// Adds what `batch` has to be remembered and told.
    pub(super) async fn write(
        &self,
        bucket: &Bucket,
        batch: &WriteBatch<'_>,
    ) -> Result<(), TierError> {
        let name = name(bucket, batch.app);
        // Where there is none yet, what is being written was loaded before now.
        let begun = batch.puts.iter().map(|put| put.created).min();
        let begun = begun.map_or(batch.now, |created| created.min(batch.now));
        for _ in 0..TRIES {
            let mut marks = (*self.read(bucket, batch.app, begun).await?).clone();
            marks.add(batch.marks, batch.news);
            let etag = self.known().and_then(|known| known.etag);
            if bucket
                .put_if(&name, marks.to_text(), etag.as_deref())
                .await?
            {
                return Ok(());
            }
        }
        let busy = "too many write its marks at once; they are sent again later";
        Err(TierError::new(NAME, TierErrorKind::Unreachable).because(busy))
    }

    fn known(&self) -> Option<Known> {
        self.known.lock().clone()
    }

    fn remember(&self, etag: Option<String>, marks: Marks) -> Arc<Marks> {
        let marks = Arc::new(marks);
        let known = Known {
            etag,
            marks: Arc::clone(&marks),
        };
        *self.known.lock() = Some(known);
        marks
    }

    fn forget(&self) {
        *self.known.lock() = None;
    }
}

fn name(bucket: &Bucket, app: &str) -> String {
    let mut name = format!("{}~marks/", bucket.prefix);
    crate::key::encode(app.as_bytes(), &mut name);
    name
}

impl Marks {
    /// None, but that everything that was loaded before `now` is covered.
    fn begun(now: WallMillis) -> Self {
        let before = WallMillis::new(now.get().saturating_sub(1));
        Self {
            of: HashMap::from([(Scope::ALL, before)]),
            ..Self::default()
        }
    }

    pub(super) fn cursor(&self) -> u64 {
        self.cursor
    }

    /// The newest mark of any of `scopes`, or of everything.
    pub(super) fn newest(&self, scopes: impl Iterator<Item = Scope>) -> Option<WallMillis> {
        scopes
            .chain([Scope::ALL])
            .filter_map(|scope| self.at(scope))
            .max()
    }

    /// When this scope was marked last.
    pub(super) fn at(&self, scope: Scope) -> Option<WallMillis> {
        self.of.get(&scope).copied()
    }

    /// The marks of these scopes.
    pub(super) fn marks_of(&self, scopes: &[Scope]) -> Vec<Mark> {
        let mark = |scope: &Scope| self.at(*scope).map(|at| Mark { scope: *scope, at });
        scopes.iter().filter_map(mark).collect()
    }

    /// Whether it has forgotten none of its news, and has no more than a process remembers.
    pub(super) fn is_whole(&self) -> bool {
        self.forgotten == 0 && self.of.len() + self.news.len() < MAX_MARKS / 2
    }

    /// All marks, and those of entries that were replaced.
    pub(super) fn all(&self) -> Vec<Mark> {
        let kept = self.of.iter().map(|(scope, at)| Mark {
            scope: *scope,
            at: *at,
        });
        kept.chain(self.news.iter().map(|(_, mark)| *mark))
            .collect()
    }

    /// The news since `cursor`, and whether it is all of it.
    pub(super) fn since(&self, cursor: u64) -> (Vec<Mark>, bool) {
        let news = self.news.iter().filter(|(number, _)| *number > cursor);
        let complete = cursor <= self.cursor && cursor >= self.forgotten;
        (news.map(|(_, mark)| *mark).collect(), complete)
    }

    fn add(&mut self, marks: &[Mark], news: &[Mark]) {
        for mark in marks {
            let at = self.of.entry(mark.scope).or_insert(mark.at);
            *at = mark.at.max(*at);
        }
        for mark in marks.iter().chain(news) {
            self.cursor += 1;
            self.news.push((self.cursor, *mark));
        }
        if self.news.len() > MAX_MARKS {
            let mut gone = self.news.drain(..self.news.len() - MAX_MARKS / 2);
            let last = gone.next_back();
            self.forgotten = last.map_or(self.forgotten, |(number, _)| number);
        }
        if self.of.len() > MAX_MARKS {
            let mut times: Vec<_> = self.of.values().copied().collect();
            let (_, limit, _) = times.select_nth_unstable(MAX_MARKS / 2);
            let limit = *limit;
            let all = self.at(Scope::ALL).unwrap_or_default().max(limit);
            self.of.retain(|_, at| *at > limit);
            self.of.insert(Scope::ALL, all);
        }
    }

    fn to_text(&self) -> String {
        let mut text = format!("{FORMAT} {} {}\n", self.cursor, self.forgotten);
        for (scope, at) in &self.of {
            let _ = writeln!(text, "m {:016x} {}", scope.get(), at.get());
        }
        for (number, Mark { scope, at }) in &self.news {
            let _ = writeln!(text, "n {number} {:016x} {}", scope.get(), at.get());
        }
        text
    }

    /// What lies there, if it is what this writes.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let (first, rest) = text.split_once('\n')?;
        let (cursor, forgotten) = first.strip_prefix(FORMAT)?.trim_start().split_once(' ')?;
        let mut marks = Self {
            cursor: cursor.parse().ok()?,
            forgotten: forgotten.parse().ok()?,
            ..Self::default()
        };
        for line in rest.lines() {
            match line.split_once(' ')? {
                ("m", mark) => {
                    let Mark { scope, at } = parse_mark(mark)?;
                    marks.of.insert(scope, at);
                }
                ("n", news) => {
                    let (number, mark) = news.split_once(' ')?;
                    marks.news.push((number.parse().ok()?, parse_mark(mark)?));
                }
                _ => return None,
            }
            if marks.of.len() > 2 * MAX_MARKS || marks.news.len() > 2 * MAX_MARKS {
                return None;
            }
        }
        Some(marks)
    }
}

fn parse_mark(text: &str) -> Option<Mark> {
    let (scope, at) = text.split_once(' ')?;
    Some(Mark {
        scope: Scope::from_raw(u64::from_str_radix(scope, 16).ok()?),
        at: WallMillis::new(at.parse().ok()?),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mark(scope: u64, at: u64) -> Mark {
        Mark {
            scope: Scope::from_raw(scope),
            at: WallMillis::new(at),
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            marks in prop::collection::vec((any::<u64>(), any::<u64>()), 0..20),
            news in prop::collection::vec((any::<u64>(), any::<u64>()), 0..20),
        ) {
            let of = |pairs: &[(u64, u64)]| -> Vec<_> {
                pairs.iter().map(|(scope, at)| mark(*scope, *at)).collect()
            };
            let mut written = Marks::begun(WallMillis::new(1_000));
            written.add(&of(&marks), &of(&news));
            prop_assert_eq!(Marks::parse(written.to_text().as_bytes()), Some(written));
        }

        #[test]
        fn anything_else_is_refused_and_no_more(bytes: Vec<u8>, text in "(larder-marks 1 [0-9]+ [0-9]+\n)?([mn ][0-9a-f ]{0,40}\n)*") {
            let _ = Marks::parse(&bytes);
            let _ = Marks::parse(text.as_bytes());
        }
    }

    #[test]
    fn what_is_given_up_stays_covered_and_is_told_to_be_gone() {
        let mut marks = Marks::default();
        for n in 1..=u64::try_from(MAX_MARKS).unwrap() + 500 {
            marks.add(&[mark(n, n)], &[]);
            assert!(marks.of.len() <= MAX_MARKS + 1 && marks.news.len() <= MAX_MARKS);
            assert!(marks.newest([Scope::from_raw(1)].into_iter()) >= Some(WallMillis::new(1)));
        }
        assert!(!marks.since(0).1);
        assert_eq!(marks.since(marks.cursor()), (Vec::new(), true));
        assert_eq!(marks.since(marks.cursor() - 1).0.len(), 1);
        assert!(!marks.since(marks.cursor() + 1).1);
    }
}
