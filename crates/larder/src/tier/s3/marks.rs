//! The marks of an application, as one object: read by a conditional `GET`, written by compare and swap.
//!
//! Its first line is `larder-marks 1`, the cursor, and up to where news was forgotten; then a line each for the
//! marks, `m`, scope, moment, and for the news, `n`, number, scope, moment.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;

use super::{
    NAME, TRIES,
    bucket::{Bucket, Got, Written},
};
use crate::{
    clock::WallMillis,
    scope::{MAX_MARKS, Mark, Scope},
    tier::{TierError, TierErrorKind, WriteBatch},
};

const FORMAT: &str = "larder-marks 1";

/// Pause after a write that lost against another process's, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// The object, and what it held when it was last read.
#[derive(Debug, Default)]
pub(super) struct MarksObject {
    known: Mutex<Option<Known>>,
    queue: Queue,
    /// Held by the one that writes.
    turn: tokio::sync::Mutex<()>,
}

/// Marks that wait to be written.
#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<BTreeMap<u64, Pending>>,
    next: AtomicU64,
}

/// What one batch has to be remembered and told.
#[derive(Clone, Debug)]
struct Pending {
    marks: Vec<Mark>,
    news: Vec<Mark>,
    /// When everything was loaded that the batch writes.
    begun: WallMillis,
}

/// A place in the queue, which is given up where its caller stops waiting: the marks are told again later.
struct Queued<'a> {
    queue: &'a Queue,
    number: u64,
}

impl Queue {
    fn add(&self, pending: Pending) -> Queued<'_> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.waiting.lock().insert(number, pending);
        Queued {
            queue: self,
            number,
        }
    }

    fn all(&self) -> Vec<(u64, Pending)> {
        let waiting = self.waiting.lock();
        waiting
            .iter()
            .map(|(number, pending)| (*number, pending.clone()))
            .collect()
    }

    fn remove(&self, numbers: impl Iterator<Item = u64>) {
        let mut waiting = self.waiting.lock();
        for number in numbers {
            waiting.remove(&number);
        }
    }
}

impl Queued<'_> {
    /// Returns true if another caller has written it.
    fn is_written(&self) -> bool {
        !self.queue.waiting.lock().contains_key(&self.number)
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.queue.remove([self.number].into_iter());
    }
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
        self.read_object(bucket, &name, now)
            .await
            .map(|known| known.marks)
    }

    async fn read_object(
        &self,
        bucket: &Bucket,
        name: &str,
        now: WallMillis,
    ) -> Result<Known, TierError> {
        for _ in 0..TRIES {
            let known = self.known();
            let etag = known.as_ref().and_then(|known| known.etag.as_deref());
            let there = match (bucket.get_if_not(name, etag).await?, known) {
                (Got::Same, Some(known)) => return Ok(known),
                (Got::Object(object), _) => {
                    if let Some(marks) = Marks::parse(&object.body) {
                        return Ok(self.remember(object.etag, marks));
                    }
                    // Not what was written: begun anew.
                    object.etag
                }
                (Got::Missing | Got::Same, _) => None,
            };
            self.forget();
            let marks = Marks::begun(now);
            let written = bucket
                .put_if(name, marks.to_text(), there.as_deref())
                .await?;
            if let Written::Done { etag } = written {
                return Ok(self.remember(etag, marks));
            }
        }
        Err(TierError::new(NAME, TierErrorKind::Failed).because("its marks change all the time"))
    }

    /// Adds what `batch` has to be remembered and told.
    ///
    /// All that a process has to write at a time goes into one write, so that its own writes do not compete; against
    /// those of others it tries again until it succeeds, which the caller bounds in time.
    pub(super) async fn write(
        &self,
        bucket: &Bucket,
        batch: &WriteBatch<'_>,
    ) -> Result<(), TierError> {
        // Where there is none yet, what is being written was loaded before now.
        let begun = batch.puts.iter().map(|put| put.created).min();
        let queued = self.queue.add(Pending {
            marks: batch.marks.to_vec(),
            news: batch.news.to_vec(),
            begun: begun.map_or(batch.now, |created| created.min(batch.now)),
        });
        let _turn = self.turn.lock().await;
        if queued.is_written() {
            return Ok(());
        }
        let all = self.queue.all();
        let begun = all.iter().map(|(_, pending)| pending.begun).min();
        let begun = begun.unwrap_or(batch.now);
        let name = name(bucket, batch.app);
        let mut pause = FIRST_PAUSE;
        loop {
            let known = self.read_object(bucket, &name, begun).await?;
            let mut marks = (*known.marks).clone();
            for (_, pending) in &all {
                marks.add(&pending.marks, &pending.news);
            }
            let written = bucket
                .put_if(&name, marks.to_text(), known.etag.as_deref())
                .await?;
            if let Written::Done { etag } = written {
                self.remember(etag, marks);
                self.queue.remove(all.iter().map(|(number, _)| *number));
                return Ok(());
            }
            tokio::time::sleep(pause.mul_f64(fastrand::f64())).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }

    fn known(&self) -> Option<Known> {
        self.known.lock().clone()
    }

    fn remember(&self, etag: Option<String>, marks: Marks) -> Known {
        let known = Known {
            etag,
            marks: Arc::new(marks),
        };
        *self.known.lock() = Some(known.clone());
        known
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
