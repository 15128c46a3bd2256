//! What every tier has to do, whatever it is made of.

use std::{future::Future, time::Duration};

use crate::{
    clock::{Clock as _, WallMillis},
    frame::Frame,
    life::Life,
    policy::Policy,
    scope::{Mark, Scope},
    testing::ManualClock,
    tier::{
        Answer, Asked, LeaseAnswer, LeaseRequest, News, Put, Reach, ReadBatch, Release, Tier,
        TierError, WriteBatch,
    },
};

const SECOND: Duration = Duration::from_secs(1);
const APP: &str = "conformance";

/// Runs the suite on tiers that `empty` makes, each of which holds nothing yet.
///
/// # Panics
///
/// Where a tier does not do what it has to; the message says what.
pub async fn conformance<T: Tier, F: Future<Output = T>>(empty: impl Fn() -> F) {
    what_was_written_is_read(&On::new(empty().await)).await;
    a_batch_is_answered_in_its_order(&On::new(empty().await)).await;
    an_older_load_does_not_replace_a_newer_one(&On::new(empty().await)).await;
    what_was_removed_is_gone(&On::new(empty().await)).await;
    marks_are_kept(&On::new(empty().await)).await;
    let tier = On::new(empty().await);
    if tier.tier.reach() == Reach::Shared {
        what_covers_an_entry_is_told_with_it(&tier).await;
        news_is_told_once_and_in_time(&On::new(empty().await)).await;
        one_holds_a_lease(&On::new(empty().await)).await;
        what_is_fresh_needs_no_lease(&On::new(empty().await)).await;
    }
}

/// A tier under test.
struct On<T> {
    tier: T,
    now: WallMillis,
}

impl<T: Tier> On<T> {
    fn new(tier: T) -> Self {
        Self {
            tier,
            now: ManualClock::new().now(),
        }
    }

    async fn put(&self, key: &str, frame: &[u8], created: WallMillis) {
        let puts = [Put {
            key,
            frame,
            created,
            until: self.now.plus(60 * SECOND),
        }];
        let batch = WriteBatch {
            puts: &puts,
            ..WriteBatch::new(APP, self.now)
        };
        done(self.tier.write(batch).await);
    }

    async fn mark(&self, scope: Scope, at: WallMillis) {
        let batch = WriteBatch {
            marks: &[Mark { scope, at }],
            ..WriteBatch::new(APP, self.now)
        };
        done(self.tier.write(batch).await);
    }

    async fn ask(&self, batch: ReadBatch<'_>) -> Answer {
        done(self.tier.read(batch).await)
    }

    /// A batch that asks for nothing yet.
    fn batch<'a>(&self) -> ReadBatch<'a> {
        ReadBatch {
            app: APP,
            now: self.now,
            entries: &[],
            scopes: &[],
            news: News::None,
            lease: None,
        }
    }

    async fn news(&self, news: News) -> Answer {
        let batch = ReadBatch {
            news,
            ..self.batch()
        };
        self.ask(batch).await
    }

    async fn get(&self, key: &str) -> Option<Vec<u8>> {
        let entries = [asked(key)];
        let batch = ReadBatch {
            entries: &entries,
            ..self.batch()
        };
        let mut answer = self.ask(batch).await;
        assert_eq!(answer.found.len(), 1, "one answer to one question");
        answer.found.remove(0).map(|found| found.bytes)
    }

    async fn lease(&self, owner: &str, now: WallMillis, even_if_fresh: bool) -> LeaseAnswer {
        let entries = [asked("leased")];
        let batch = ReadBatch {
            now,
            entries: &entries,
            lease: Some(LeaseRequest {
                owner,
                time: SECOND,
                even_if_fresh,
            }),
            ..self.batch()
        };
        self.ask(batch).await.lease
    }

    async fn release(&self, owner: &str) {
        let batch = WriteBatch {
            release: Some(Release {
                key: "leased",
                owner,
            }),
            ..WriteBatch::new(APP, self.now)
        };
        done(self.tier.write(batch).await);
    }
}

#[expect(clippy::panic, reason = "it is a test")]
fn done<T>(result: Result<T, TierError>) -> T {
    result.unwrap_or_else(|error| panic!("a tier in order fails: {error}: {:?}", error.source))
}

fn asked(key: &str) -> Asked<'_> {
    Asked {
        key,
        scopes: &[],
        expiry: Scope::from_raw(u64::MAX),
    }
}

#[expect(clippy::panic, reason = "it is a test")]
fn frame(created: WallMillis, tags: &[Scope], payload: &[u8]) -> Vec<u8> {
    let policy = Policy::fresh(10 * SECOND);
    let frame = Frame {
        schema: 1,
        life: Life::of_value(&policy, created, SECOND, 1.0),
        tags: tags.iter().map(|tag| tag.get()).collect(),
        etag: None,
        packed: false,
        sealed: false,
        payload,
    };
    frame.encode().unwrap_or_else(|error| panic!("{error}"))
}

async fn what_was_written_is_read<T: Tier>(on: &On<T>) {
    assert_eq!(on.get("missing").await, None, "not there is no error");
    let longest = "k".repeat(crate::MAX_KEY);
    let payloads = [("empty", Vec::new()), (&longest, vec![7; 200_000])];
    for (key, payload) in &payloads {
        let bytes = frame(on.now, &[], payload);
        on.put(key, &bytes, on.now).await;
        assert_eq!(on.get(key).await, Some(bytes), "under {key}");
    }
    let other = frame(on.now, &[], b"other");
    on.put("empty", &other, on.now).await;
    assert_eq!(on.get("empty").await, Some(other), "written again");
}

async fn a_batch_is_answered_in_its_order<T: Tier>(on: &On<T>) {
    let keys: Vec<_> = (0..100).map(|n| format!("key-{n}")).collect();
    let frames: Vec<_> = keys
        .iter()
        .map(|key| frame(on.now, &[], key.as_bytes()))
        .collect();
    let odd = keys.iter().zip(&frames).skip(1).step_by(2);
    let puts: Vec<_> = odd
        .map(|(key, frame)| Put {
            key,
            frame,
            created: on.now,
            until: on.now.plus(60 * SECOND),
        })
        .collect();
    let batch = WriteBatch {
        puts: &puts,
        ..WriteBatch::new(APP, on.now)
    };
    done(on.tier.write(batch).await);

    let entries: Vec<_> = keys.iter().map(|key| asked(key)).collect();
    let answer = on
        .ask(ReadBatch {
            entries: &entries,
            ..on.batch()
        })
        .await;
    assert_eq!(answer.found.len(), keys.len());
    for (n, (found, frame)) in answer.found.iter().zip(&frames).enumerate() {
        let found = found.as_ref().map(|found| &found.bytes);
        let expected = (n % 2 == 1).then_some(frame);
        assert_eq!(found, expected, "number {n}");
    }
}

async fn an_older_load_does_not_replace_a_newer_one<T: Tier>(on: &On<T>) {
    let (older, newer) = (on.now, on.now.plus(SECOND));
    let (old, new) = (frame(older, &[], b"old"), frame(newer, &[], b"new"));
    on.put("key", &new, newer).await;
    on.put("key", &old, older).await;
    assert_eq!(on.get("key").await, Some(new), "a slow load came late");
}

async fn what_was_removed_is_gone<T: Tier>(on: &On<T>) {
    let bytes = frame(on.now, &[], b"x");
    on.put("one", &bytes, on.now).await;
    on.put("other", &bytes, on.now).await;
    let batch = WriteBatch {
        removes: &["one", "missing"],
        ..WriteBatch::new(APP, on.now)
    };
    done(on.tier.write(batch).await);
    assert_eq!(on.get("one").await, None);
    assert_eq!(on.get("other").await, Some(bytes));
}

async fn marks_are_kept<T: Tier>(on: &On<T>) {
    let (early, late) = (on.now, on.now.plus(SECOND));
    let (tag, other) = (Scope::tag("tag"), Scope::tag("other"));
    on.mark(tag, late).await;
    on.mark(tag, early).await;
    on.mark(other, early).await;
    on.mark(Scope::ALL, early).await;
    let told = on.news(News::Since(0)).await;
    assert!(told.complete, "nothing was forgotten yet");
    let newest = |scope| {
        let of = told.news.iter().filter(|mark| mark.scope == scope);
        of.map(|mark| mark.at).max()
    };
    assert_eq!(newest(tag), Some(late), "the newest of each scope");
    assert_eq!(newest(other), Some(early));
    assert!(newest(Scope::ALL) >= Some(early));
    if on.tier.reach() == Reach::Shared {
        let batch = ReadBatch {
            scopes: &[other, Scope::tag("unknown")],
            ..on.batch()
        };
        let marks = on.ask(batch).await.marks;
        let asked_for = Mark {
            scope: other,
            at: early,
        };
        assert!(marks.contains(&asked_for), "what was asked for: {marks:?}");
    }
}

async fn news_is_told_once_and_in_time<T: Tier>(on: &On<T>) {
    on.mark(Scope::tag("before"), on.now).await;
    let first = on.news(News::FromNow).await;
    assert!(first.news.is_empty(), "only from now on");
    let nothing = on.news(News::Since(first.cursor)).await;
    assert!(nothing.news.is_empty() && nothing.complete, "no news yet");
    assert_eq!(nothing.cursor, first.cursor);

    on.mark(Scope::tag("marked"), on.now).await;
    let replaced = Mark {
        scope: Scope::tag("replaced"),
        at: on.now,
    };
    let batch = WriteBatch {
        news: &[replaced],
        ..WriteBatch::new(APP, on.now)
    };
    done(on.tier.write(batch).await);
    let told = on.news(News::Since(first.cursor)).await;
    let mut scopes: Vec<_> = told.news.iter().map(|mark| mark.scope).collect();
    scopes.sort_unstable();
    let mut expected = vec![Scope::tag("marked"), Scope::tag("replaced")];
    expected.sort_unstable();
    assert_eq!(scopes, expected);
    let after = on.news(News::Since(told.cursor)).await;
    assert!(after.news.is_empty() && after.complete, "told once");
    let lost = on.news(News::Since(told.cursor + 1_000)).await;
    assert!(
        !lost.complete,
        "who knows more than the tier was told by another one"
    );
}

async fn what_covers_an_entry_is_told_with_it<T: Tier>(on: &On<T>) {
    let (tag, prefix, expiry) = (Scope::tag("t"), Scope::keyspace("k"), Scope::tag("e"));
    let bytes = frame(on.now, &[Scope::tag("s"), tag], b"x");
    on.put("key", &bytes, on.now).await;
    let told = || async {
        let entries = [Asked {
            key: "key",
            scopes: &[prefix],
            expiry,
        }];
        let batch = ReadBatch {
            entries: &entries,
            ..on.batch()
        };
        let found = on.ask(batch).await.found.pop().flatten();
        found.map(|found| (found.invalidated.filter(|at| *at >= on.now), found.expired))
    };
    let later = |n: u32| on.now.plus(SECOND * n);
    on.mark(Scope::tag("unrelated"), later(9)).await;
    assert_eq!(told().await, Some((None, None)));
    on.mark(tag, later(1)).await;
    assert_eq!(told().await, Some((Some(later(1)), None)), "its tag");
    on.mark(prefix, later(2)).await;
    assert_eq!(told().await, Some((Some(later(2)), None)), "its keyspace");
    on.mark(expiry, later(3)).await;
    assert_eq!(told().await, Some((Some(later(2)), Some(later(3)))));
    on.mark(Scope::ALL, later(4)).await;
    assert_eq!(told().await, Some((Some(later(4)), Some(later(3)))), "all");
}

async fn one_holds_a_lease<T: Tier>(on: &On<T>) {
    let now = on.now;
    assert_eq!(on.lease("a", now, false).await, LeaseAnswer::Granted);
    assert_eq!(on.lease("b", now, false).await, LeaseAnswer::Held);
    assert_eq!(
        on.lease("a", now, false).await,
        LeaseAnswer::Granted,
        "again"
    );
    on.release("b").await;
    let still = on.lease("b", now, false).await;
    assert_eq!(still, LeaseAnswer::Held, "only its owner frees it");
    on.release("a").await;
    assert_eq!(on.lease("b", now, false).await, LeaseAnswer::Granted);
}

async fn what_is_fresh_needs_no_lease<T: Tier>(on: &On<T>) {
    let bytes = frame(on.now, &[], b"x");
    on.put("leased", &bytes, on.now).await;
    assert_eq!(on.lease("a", on.now, false).await, LeaseAnswer::None);
    let later = on.now.plus(10 * SECOND);
    let stale = on.lease("a", later, false).await;
    assert_eq!(stale, LeaseAnswer::Granted, "no longer fresh");
    on.release("a").await;
    let early = on.lease("a", on.now, true).await;
    assert_eq!(early, LeaseAnswer::Granted, "to refresh it early");
}
