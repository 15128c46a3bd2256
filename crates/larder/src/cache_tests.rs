//! The cache as its users see it: the invariants, and the bugs that others shipped.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    Cache, Codec, Entry, Freshness, Keyspace, Load, LoadError, Loaded, Lookup, Policy, Refresh,
    Scope, Source, Space, WallMillis,
    clock::Clock as _,
    stats::{Counter, Counts},
    testing::{Chaos, Faults, ManualClock, Server},
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const MEGABYTE: u64 = 1 << 20;

const PLAIN: Policy = Policy::fresh(MINUTE).refresh(Refresh::Never);
static PLAIN_SPACE: Keyspace<str, u64> = Keyspace::new("plain", 1, PLAIN);
static NEGATIVE: Keyspace<str, u64> =
    Keyspace::new("negative", 1, PLAIN.negative(Duration::from_secs(10)));
static STALE: Keyspace<str, u64> = Keyspace::new(
    "stale",
    1,
    PLAIN
        .stale_while_revalidate(MINUTE)
        .stale_on_error(Duration::from_hours(1), Duration::from_secs(30)),
);
static LEASED: Keyspace<str, u64> = Keyspace::new(
    "leased",
    1,
    PLAIN
        .stale_on_error(Duration::from_hours(1), Duration::from_secs(30))
        .lease(Duration::from_secs(10), Duration::from_secs(5)),
);

/// A clock and a server that several processes share.
struct World {
    clock: ManualClock,
    server: Server,
    loads: Arc<Counter>,
}

impl World {
    fn new() -> Self {
        Self {
            clock: ManualClock::new(),
            server: Server::new(),
            loads: Arc::default(),
        }
    }

    /// A process with memory and the server.
    fn process(&self) -> Cache {
        Cache::builder("app")
            .memory(MEGABYTE)
            .tier(self.server.clone())
            .clock(self.clock.clone())
            .build()
    }

    /// A process that has nothing but its memory.
    fn alone(&self) -> Cache {
        Cache::builder("app")
            .memory(MEGABYTE)
            .clock(self.clock.clone())
            .build()
    }

    /// A loader that counts.
    fn load<E: Send + 'static>(
        &self,
        value: u64,
    ) -> impl FnOnce(Load<u64>) -> std::future::Ready<Result<Loaded<u64>, E>> + Send + use<E> {
        let loads = Arc::clone(&self.loads);
        move |_| {
            loads.add(1);
            std::future::ready(Ok(value.into()))
        }
    }

    fn fail(
        &self,
    ) -> impl FnOnce(Load<u64>) -> std::future::Ready<Result<Loaded<u64>, &'static str>> + Send + use<>
    {
        let loads = Arc::clone(&self.loads);
        move |_| {
            loads.add(1);
            std::future::ready(Err("the origin is down"))
        }
    }
}

async fn get(space: &Space<str, u64>, key: &str) -> Option<u64> {
    space.get(key).await.unwrap().hit().map(|hit| *hit.value)
}

fn counts(cache: &Cache, keyspace: &str, tier: &str) -> Counts {
    let rows = cache.snapshot().tiers;
    let row = rows
        .into_iter()
        .find(|row| row.keyspace == keyspace && row.tier == tier);
    row.unwrap().counts
}

async fn ok(
    space: &Space<str, u64>,
    key: &str,
    load: impl FnOnce(Load<u64>) -> std::future::Ready<Result<Loaded<u64>, Infallible>> + Send + 'static,
) -> crate::Cached<u64> {
    space.get_or_load(key, load).await.unwrap().unwrap()
}

#[tokio::test]
async fn what_was_loaded_is_not_loaded_again_in_this_process_or_another() {
    let world = World::new();
    let first = world.process().space(&PLAIN_SPACE);
    let loaded = ok(&first, "key", world.load(7)).await;
    assert_eq!((*loaded.value, loaded.source), (7, Source::Origin));
    let again = ok(&first, "key", world.load(8)).await;
    assert_eq!((*again.value, again.source), (7, Source::Memory));
    let other = world.process().space(&PLAIN_SPACE);
    let shared = ok(&other, "key", world.load(9)).await;
    assert_eq!((*shared.value, shared.source), (7, Source::Tier("server")));
    let near = ok(&other, "key", world.load(9)).await;
    assert_eq!(near.source, Source::Memory, "brought nearer");
    assert_eq!(world.loads.get(), 1);
}

#[tokio::test]
async fn false_0_empty_text_and_empty_lists_come_back_from_the_cache() {
    async fn comes_back<V>(cache: &Cache, keyspace: &'static Keyspace<str, V>, value: V)
    where
        V: Clone + PartialEq + std::fmt::Debug + Send + Sync + 'static,
    {
        let space = cache.space(keyspace);
        let loaded = Loaded::from(value.clone());
        assert!(space.put("key", loaded).await.unwrap().is_complete());
        let got = space.get("key").await.unwrap().hit();
        assert_eq!(got.map(|hit| (*hit.value).clone()), Some(value));
    }
    static FALSE: Keyspace<str, bool> = Keyspace::new("false", 1, PLAIN);
    static ZERO: Keyspace<str, u64> = Keyspace::new("zero", 1, PLAIN);
    static TEXT: Keyspace<str, String> = Keyspace::new("text", 1, PLAIN);
    static LIST: Keyspace<str, Vec<String>> = Keyspace::new("list", 1, PLAIN);
    static NONE: Keyspace<str, Option<u64>> = Keyspace::new("none", 1, PLAIN);
    static BYTES: Keyspace<str, Vec<u8>> = Keyspace::with_codec("bytes", 1, PLAIN, Codec::bytes());
    let world = World::new();
    let far = Cache::builder("app").tier(world.server.clone()).build();
    for cache in [world.alone(), world.process(), far] {
        comes_back(&cache, &FALSE, false).await;
        comes_back(&cache, &ZERO, 0).await;
        comes_back(&cache, &TEXT, String::new()).await;
        comes_back(&cache, &LIST, Vec::new()).await;
        comes_back(&cache, &NONE, None).await;
        comes_back(&cache, &BYTES, Vec::new()).await;
    }
}

#[tokio::test]
async fn an_outage_is_not_not_found() {
    let world = World::new();
    let down = Faults {
        errors: 100,
        ..Faults::default()
    };
    let cache = Cache::builder("app")
        .tier(Chaos::new(world.server.clone(), down, 1))
        .build();
    let space = cache.space(&PLAIN_SPACE);
    let error = space.get("key").await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert_eq!(error.to_string(), "the server tier cannot be reached");
    assert!(matches!(
        world.process().space(&PLAIN_SPACE).get("key").await,
        Ok(Lookup::Miss)
    ));
    let loaded = ok(&space, "key", world.load(7)).await;
    assert_eq!(*loaded.value, 7, "the answer is there all the same");
    assert!(counts(&cache, "plain", "server").errors > 0);
}

#[tokio::test]
async fn that_there_is_nothing_is_kept_but_a_failure_is_not() {
    let world = World::new();
    let cache = world.process();
    let space = cache.space(&NEGATIVE);
    let failed = space.get_or_load("key", world.fail()).await.unwrap_err();
    assert!(matches!(&failed, LoadError::Origin(error) if **error == "the origin is down"));
    assert!(matches!(space.get("key").await, Ok(Lookup::Miss)));

    let loads = Arc::clone(&world.loads);
    let absent = async move |_| {
        loads.add(1);
        Ok::<_, Infallible>(Loaded::Absent)
    };
    assert!(
        space
            .get_or_load("key", absent.clone())
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        space
            .get_or_load("key", absent.clone())
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(world.loads.get(), 2, "one failed, one found nothing");
    let other = world.process().space(&NEGATIVE);
    assert!(matches!(other.get("key").await, Ok(Lookup::Absent)));
    world.clock.advance(Duration::from_secs(10));
    assert!(space.get_or_load("key", absent).await.unwrap().is_none());
    assert_eq!(world.loads.get(), 3);
}

#[tokio::test]
async fn where_an_absence_is_not_kept_it_takes_the_old_value_away() {
    let world = World::new();
    let space = world.process().space(&STALE);
    ok(&space, "key", world.load(7)).await;
    world.clock.advance(10 * MINUTE);
    let absent = async |_| Ok::<_, Infallible>(Loaded::Absent);
    assert!(space.get_or_load("key", absent).await.unwrap().is_none());
    let failed = space.get_or_load("key", world.fail()).await;
    assert!(failed.is_err(), "nothing may stand in: {failed:?}");
    assert!(world.server.keys().is_empty());
}

#[tokio::test]
async fn what_is_brought_nearer_lives_no_longer() {
    let world = World::new();
    ok(&world.process().space(&PLAIN_SPACE), "key", world.load(7)).await;
    world.clock.advance(50 * SECOND);
    let other = world.process().space(&PLAIN_SPACE);
    let found = ok(&other, "key", world.load(8)).await;
    assert_eq!(found.age, 50 * SECOND);
    world.clock.advance(9 * SECOND);
    assert_eq!(get(&other, "key").await, Some(7));
    world.clock.advance(SECOND);
    assert_eq!(get(&other, "key").await, None, "60 s after it was loaded");
}

#[tokio::test]
async fn what_cannot_be_decoded_is_a_miss_and_a_counter() {
    let world = World::new();
    ok(&world.process().space(&PLAIN_SPACE), "key", world.load(7)).await;
    world.server.tamper(|frame| frame[70] ^= 1);
    let cache = world.process();
    let space = cache.space(&PLAIN_SPACE);
    assert_eq!(*ok(&space, "key", world.load(8)).await.value, 8);
    let counted = counts(&cache, "plain", "server");
    assert_eq!((counted.undecodable, counted.hits), (1, 0));
}

#[tokio::test]
async fn a_reader_of_schema_2_does_not_fail_on_entries_of_schema_1() {
    static NEXT: Keyspace<str, String> = Keyspace::new("plain", 2, PLAIN);
    let world = World::new();
    let old = world.process().space(&PLAIN_SPACE);
    ok(&old, "key", world.load(7)).await;
    let new = world.process().space(&NEXT);
    let load = async |_| Ok::<_, Infallible>("seven".to_owned().into());
    let got = new.get_or_load("key", load).await.unwrap().unwrap();
    assert_eq!(*got.value, "seven");
    let old_again = world.process().space(&PLAIN_SPACE);
    assert_eq!(get(&old_again, "key").await, Some(7), "side by side");
}

#[tokio::test]
async fn an_invalidation_is_seen_here_at_once_and_elsewhere_soon() {
    static PAIRS: Keyspace<(String, u64), u64> = Keyspace::new("pairs", 1, PLAIN);
    let one = ("one".to_owned(), 1);
    let other = ("other".to_owned(), 1);
    let cases: [(fn() -> Scope, bool); 6] = [
        (|| Scope::tag("red"), false),
        (|| PAIRS.scope(), false),
        (|| PAIRS.under("one"), true),
        (|| Scope::ALL, false),
        (|| Scope::tag("blue"), true),
        (|| PAIRS.under(&("one".to_owned(), 1)), true),
    ];
    for (scope, other_stays) in cases {
        let world = World::new();
        let (here, there) = (world.process(), world.process());
        let (at_home, abroad) = (here.space(&PAIRS), there.space(&PAIRS));
        let put = |key, tags: &'static [&str]| {
            let entry = Entry::new(7).tags(tags);
            at_home.put(key, entry.into())
        };
        assert!(put(&one, &["red", "blue"]).await.unwrap().is_complete());
        assert!(put(&other, &["red"]).await.unwrap().is_complete());
        world.clock.advance(SECOND);
        for key in [&one, &other] {
            assert!(abroad.get(key).await.unwrap().hit().is_some());
        }
        assert!(here.invalidate([scope()]).await.is_complete());
        assert!(
            at_home.get(&one).await.unwrap().hit().is_none(),
            "here, at once"
        );
        let kept = at_home.get(&other).await.unwrap().hit().is_some();
        assert_eq!(kept, other_stays, "{:?}", scope());
        // Not longer than `max_unverified`.
        world.clock.advance(5 * SECOND + Duration::from_millis(1));
        assert!(abroad.get(&one).await.unwrap().hit().is_none(), "there");
        let kept = abroad.get(&other).await.unwrap().hit().is_some();
        assert_eq!(kept, other_stays, "{:?}", scope());
        let fresh = world.process().space(&PAIRS);
        assert!(
            fresh.get(&one).await.unwrap().hit().is_none(),
            "a new process"
        );
        // And it can be loaded again.
        let load = async |_| Ok::<_, Infallible>(8_u64.into());
        let again = abroad.get_or_load(&one, load).await.unwrap().unwrap();
        assert_eq!(*again.value, 8);
        assert!(abroad.get(&one).await.unwrap().hit().is_some());
    }
}

#[tokio::test]
async fn what_was_removed_put_or_expired_elsewhere_is_noticed() {
    let world = World::new();
    let here = world.process().space(&STALE);
    let there = world.process().space(&STALE);
    for key in ["removed", "replaced", "expired"] {
        ok(&here, key, world.load(7)).await;
        assert_eq!(get(&there, key).await, Some(7));
    }
    world.clock.advance(SECOND);
    assert!(here.remove("removed").await.unwrap().is_complete());
    assert!(here.put("replaced", 8.into()).await.unwrap().is_complete());
    assert!(here.expire("expired").await.unwrap().is_complete());
    assert_eq!(get(&here, "removed").await, None);
    assert_eq!(get(&here, "replaced").await, Some(8));
    assert_eq!(get(&here, "expired").await, None);
    world.clock.advance(6 * SECOND);
    assert_eq!(get(&there, "removed").await, None);
    assert_eq!(get(&there, "replaced").await, Some(8));
    assert_eq!(get(&there, "expired").await, None);
    let stale = there.get_or_load("expired", world.fail()).await.unwrap();
    let stale = stale.unwrap();
    assert_eq!(
        (*stale.value, stale.state),
        (7, Freshness::Stale),
        "it stands in"
    );
    let gone = there.get_or_load("removed", world.fail()).await;
    assert!(gone.is_err(), "it does not");
}

#[tokio::test]
async fn a_slow_reader_does_not_put_an_old_value_back_after_an_invalidation() {
    let world = World::new();
    let (here, there) = (world.process(), world.process());
    let slow = here.space(&PLAIN_SPACE);
    let (go, wait) = tokio::sync::oneshot::channel();
    let reading = tokio::spawn({
        let slow = slow.clone();
        async move {
            let load = async move |_| {
                let _ = wait.await;
                Ok::<_, Infallible>(7_u64.into())
            };
            slow.get_or_load("key", load).await
        }
    });
    tokio::task::yield_now().await;
    world.clock.advance(SECOND);
    assert!(
        there
            .space(&PLAIN_SPACE)
            .remove("key")
            .await
            .unwrap()
            .is_complete()
    );
    world.clock.advance(SECOND);
    go.send(()).unwrap();
    let read = reading.await.unwrap().unwrap().unwrap();
    assert_eq!(*read.value, 7, "it asked before");
    world.clock.advance(6 * SECOND);
    for process in [&here, &there, &world.process()] {
        let space = process.space(&PLAIN_SPACE);
        assert_eq!(get(&space, "key").await, None);
    }
}

#[tokio::test]
async fn what_is_stale_is_served_at_once_and_refreshed_beside() {
    let world = World::new();
    let cache = world.process();
    let space = cache.space(&STALE);
    ok(&space, "key", world.load(7)).await;
    world.clock.advance(MINUTE);
    let (served, left) = cache
        .invocation(None)
        .run(async {
            let served = ok(&space, "key", world.load(8)).await;
            assert_eq!(world.loads.get(), 1, "nobody waited for it");
            tokio::task::yield_now().await;
            served
        })
        .await;
    assert_eq!((*served.value, served.state), (7, Freshness::Stale));
    let _ = left.drain(SECOND).await;
    assert_eq!(world.loads.get(), 2);
    assert_eq!(get(&space, "key").await, Some(8));
    assert_eq!(get(&world.process().space(&STALE), "key").await, Some(8));
}

#[tokio::test]
async fn without_an_invocation_what_is_stale_is_refreshed_first() {
    let world = World::new();
    let space = world.process().space(&STALE);
    ok(&space, "key", world.load(7)).await;
    world.clock.advance(MINUTE);
    assert_eq!(*ok(&space, "key", world.load(8)).await.value, 8);
    world.clock.advance(MINUTE);
    let stale = space.get_or_load("key", world.fail()).await.unwrap();
    assert_eq!(
        *stale.unwrap().value,
        8,
        "and where that fails, it stands in"
    );
}

#[tokio::test]
async fn a_refresh_looks_for_what_another_process_has_loaded_first() {
    let world = World::new();
    let (here, there) = (world.process(), world.process());
    let (at_home, abroad) = (here.space(&STALE), there.space(&STALE));
    ok(&at_home, "key", world.load(7)).await;
    ok(&abroad, "key", world.load(7)).await;
    world.clock.advance(MINUTE);
    ok(&at_home, "key", world.load(8)).await;
    assert_eq!(world.loads.get(), 2);
    let refreshed = ok(&abroad, "key", world.load(9)).await;
    assert_eq!(*refreshed.value, 8);
    assert_eq!(world.loads.get(), 2, "the origin was not asked");
}

#[tokio::test]
async fn while_the_origin_is_down_stale_values_are_served_and_it_is_probed_now_and_then() {
    let world = World::new();
    let space = world.process().space(&STALE);
    ok(&space, "key", world.load(7)).await;
    world.clock.advance(5 * MINUTE);
    for _ in 0..600 {
        world.clock.advance(Duration::from_millis(100));
        let served = space.get_or_load("key", world.fail()).await.unwrap();
        assert_eq!(*served.unwrap().value, 7);
    }
    assert_eq!(world.loads.get() - 1, 2, "one every 30 s of this minute");
    world.clock.advance(30 * SECOND);
    assert_eq!(
        *ok(&space, "key", world.load(8)).await.value,
        8,
        "it is back"
    );
    world.clock.advance(2 * Duration::from_hours(1));
    assert!(
        space.get_or_load("key", world.fail()).await.is_err(),
        "too old"
    );
}

#[tokio::test(start_paused = true)]
async fn a_load_past_its_soft_timeout_goes_on_beside_and_past_its_hard_one_is_given_up() {
    static TIMED: Keyspace<str, u64> = Keyspace::new(
        "timed",
        1,
        PLAIN
            .stale_on_error(Duration::from_hours(1), Duration::ZERO)
            .soft_timeout(Duration::from_millis(100))
            .hard_timeout(Duration::from_millis(500)),
    );
    let slow = |value: u64, millis| {
        async move |_| {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            Ok::<_, Infallible>(value.into())
        }
    };
    let world = World::new();
    let cache = world.alone();
    let space = cache.space(&TIMED);
    let too_slow = space.get_or_load("key", slow(1, 600)).await.unwrap_err();
    assert!(matches!(too_slow, LoadError::Timeout(after) if after.as_millis() == 500));
    ok(&space, "key", world.load(7)).await;
    world.clock.advance(2 * MINUTE);
    let (served, left) = cache
        .invocation(None)
        .run(space.get_or_load("key", slow(8, 300)))
        .await;
    assert_eq!(*served.unwrap().unwrap().value, 7);
    let drained = left.drain(SECOND).await;
    assert_eq!((drained.done, drained.dropped), (1, 0));
    assert_eq!(get(&space, "key").await, Some(8));
}

#[tokio::test(start_paused = true)]
async fn a_load_ends_with_its_invocation() {
    let world = World::new();
    let cache = world.alone();
    let space = cache.space(&PLAIN_SPACE);
    let endless = async |load: Load<u64>| {
        assert_eq!(load.time_left.map(|left| left.as_secs()), Some(1));
        std::future::pending::<Result<Loaded<u64>, Infallible>>().await
    };
    let time = Duration::from_millis(1_900);
    let invocation = cache.invocation(Some(time));
    let (outcome, _) = invocation.run(space.get_or_load("key", endless)).await;
    assert!(matches!(outcome, Err(LoadError::Timeout(_))), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn fifty_waiters_are_one_load_and_get_one_error() {
    let world = World::new();
    let space = world.process().space(&PLAIN_SPACE);
    let slow = |result: Result<u64, &'static str>| {
        let loads = Arc::clone(&world.loads);
        async move |_| {
            loads.add(1);
            tokio::time::sleep(Duration::from_millis(10)).await;
            result.map(Loaded::from)
        }
    };
    let all = (0..50).map(|_| space.get_or_load("key", slow(Err("down"))));
    let outcomes = futures_util::future::join_all(all).await;
    assert!(outcomes.iter().all(Result::is_err));
    assert_eq!(world.loads.get(), 1);
    let all = (0..50).map(|_| space.get_or_load("key", slow(Ok(7))));
    let outcomes = futures_util::future::join_all(all).await;
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(world.loads.get(), 2);
}

#[tokio::test]
async fn a_loader_that_panics_fails_its_load_alone() {
    let world = World::new();
    let space = world.alone().space(&PLAIN_SPACE);
    let panics = async |_| -> Result<Loaded<u64>, Infallible> { panic!("as the test wants it") };
    let outcome = space.get_or_load("key", panics).await;
    assert!(matches!(outcome, Err(LoadError::Panicked)));
    assert_eq!(*ok(&space, "key", world.load(7)).await.value, 7);
}

#[tokio::test]
async fn of_two_processes_one_loads_and_the_other_waits() {
    let world = World::new();
    let (go, wait) = tokio::sync::oneshot::channel();
    let leader = tokio::spawn({
        let space = world.process().space(&LEASED);
        let loads = Arc::clone(&world.loads);
        async move {
            let load = async move |_| {
                loads.add(1);
                let _ = wait.await;
                Ok::<_, Infallible>(7_u64.into())
            };
            space.get_or_load("key", load).await
        }
    });
    tokio::task::yield_now().await;
    let follower = tokio::spawn({
        let (space, load) = (world.process().space(&LEASED), world.load(8));
        async move { ok(&space, "key", load).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    go.send(()).unwrap();
    assert!(leader.await.unwrap().is_ok());
    let followed = follower.await.unwrap();
    assert_eq!(
        (*followed.value, followed.source),
        (7, Source::Tier("server"))
    );
    assert_eq!(world.loads.get(), 1);
}

#[tokio::test]
async fn who_does_not_hold_the_lease_serves_what_is_stale() {
    let world = World::new();
    let (here, there) = (world.process(), world.process());
    ok(&here.space(&LEASED), "key", world.load(7)).await;
    world.clock.advance(5 * MINUTE);
    let holder = tokio::spawn({
        let space = here.space(&LEASED);
        async move {
            let never = async |_| std::future::pending::<Result<Loaded<u64>, Infallible>>().await;
            space.get_or_load("key", never).await
        }
    });
    tokio::task::yield_now().await;
    let served = ok(&there.space(&LEASED), "key", world.load(8)).await;
    assert_eq!((*served.value, served.state), (7, Freshness::Stale));
    assert_eq!(world.loads.get(), 1);
    holder.abort();
    // A lease has an end, whatever became of who held it.
    world.clock.advance(11 * SECOND);
    assert_eq!(
        *ok(&there.space(&LEASED), "key", world.load(8)).await.value,
        8
    );
}

#[tokio::test]
async fn a_failed_load_gives_its_lease_back() {
    let world = World::new();
    let space = world.process().space(&LEASED);
    assert!(space.get_or_load("key", world.fail()).await.is_err());
    let other = world.process().space(&LEASED);
    assert_eq!(*ok(&other, "key", world.load(7)).await.value, 7);
}

#[tokio::test]
async fn a_refused_token_is_replaced_but_not_the_one_that_took_its_place() {
    let world = World::new();
    let (here, there) = (world.process().space(&STALE), world.process().space(&STALE));
    let seen = ok(&here, "token", world.load(7)).await.version;
    assert_eq!(get(&there, "token").await, Some(7));
    world.clock.advance(SECOND);
    assert!(
        here.refresh_after_failure("token", seen)
            .await
            .unwrap()
            .is_complete()
    );
    assert_eq!(*ok(&here, "token", world.load(8)).await.value, 8);
    world.clock.advance(6 * SECOND);
    // It saw the same token refused, later.
    assert!(
        there
            .refresh_after_failure("token", seen)
            .await
            .unwrap()
            .is_complete()
    );
    assert_eq!(*ok(&there, "token", world.load(9)).await.value, 8);
    assert_eq!(world.loads.get(), 2);
}

#[tokio::test]
async fn a_token_is_never_served_past_its_own_expiry() {
    let world = World::new();
    let space = world.process().space(&STALE);
    let expiry = world.clock.now().plus(20 * SECOND);
    let token =
        move |value: u64| async move |_| Ok::<_, &str>(Entry::new(value).until(expiry).into());
    world.clock.advance(15 * SECOND);
    space.get_or_load("token", token(7)).await.unwrap();
    world.clock.advance(4 * SECOND);
    assert_eq!(get(&space, "token").await, Some(7));
    world.clock.advance(SECOND);
    assert_eq!(get(&space, "token").await, None);
    let failed = space.get_or_load("token", world.fail()).await;
    assert!(failed.is_err(), "not even where it cannot be had anew");
}

#[tokio::test]
async fn what_is_not_modified_lives_anew() {
    let world = World::new();
    let space = world.process().space(&STALE);
    let first = async |_| Ok::<_, &str>(Entry::new(7).etag("v1").into());
    space.get_or_load("key", first).await.unwrap();
    world.clock.advance(10 * MINUTE);
    let conditional = async |load: Load<u64>| {
        assert_eq!(load.etag.as_deref(), Some("v1"));
        assert_eq!(load.stale.as_deref(), Some(&7));
        Ok::<_, &str>(Loaded::NotModified)
    };
    let again = space
        .get_or_load("key", conditional)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((*again.value, again.state), (7, Freshness::Fresh));
    let other = world.process().space(&STALE);
    let kept = other.get("key").await.unwrap().hit().unwrap();
    assert_eq!((*kept.value, kept.state), (7, Freshness::Fresh));
    let nothing = async |_| Ok::<_, &str>(Loaded::NotModified);
    let outcome = space.get_or_load("unknown", nothing).await;
    assert!(
        matches!(outcome, Err(LoadError::NothingToKeep)),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_hanging_cache_server_costs_the_timeout_once() {
    let world = World::new();
    let hangs = Faults {
        hangs: 100,
        ..Faults::default()
    };
    let cache = Cache::builder("app")
        .tier(Chaos::new(world.server.clone(), hangs, 1))
        .timeout(Duration::from_millis(50))
        .build();
    let space = cache.space(&PLAIN_SPACE);
    let begun = Instant::now();
    let handler = async {
        for key in ["a", "b", "c", "d", "e"] {
            assert_eq!(*ok(&space, key, world.load(7)).await.value, 7);
        }
        begun.elapsed()
    };
    let (took, left) = cache.invocation(Some(MINUTE)).run(handler).await;
    assert!(left.drain(SECOND).await.dropped == 0);
    // A bound on what it costs, not a measurement of speed: five timeouts would be 250 ms.
    assert!(
        took >= Duration::from_millis(50) && took < Duration::from_millis(200),
        "{took:?}"
    );
}

#[tokio::test]
async fn an_invalidation_that_did_not_reach_a_tier_is_sent_again() {
    let world = World::new();
    let chaos = Arc::new(Chaos::new(world.server.clone(), Faults::default(), 1));
    let cache = Cache::builder("app")
        .memory(MEGABYTE)
        .tier(Arc::clone(&chaos))
        .clock(world.clock.clone())
        .build();
    let space = cache.space(&PLAIN_SPACE);
    ok(&space, "key", world.load(7)).await;
    chaos.set(Faults {
        errors: 100,
        ..Faults::default()
    });
    world.clock.advance(SECOND);
    let receipt = cache.invalidate([PLAIN_SPACE.scope()]).await;
    assert_eq!(receipt.missed.len(), 1);
    let other = world.process().space(&PLAIN_SPACE);
    assert_eq!(get(&other, "key").await, Some(7), "nobody could tell it");
    chaos.set(Faults::default());
    assert_eq!(
        get(&space, "key").await,
        None,
        "this process does not believe the tier"
    );
    let third = world.process().space(&PLAIN_SPACE);
    assert_eq!(get(&third, "key").await, None, "it was told again");
}

#[tokio::test]
async fn what_is_off_asks_the_origin_and_writes_nothing() {
    let world = World::new();
    let cache = Cache::builder("app")
        .enabled(false)
        .memory(MEGABYTE)
        .tier(world.server.clone())
        .build();
    let space = cache.space(&STALE);
    for value in 1..=3 {
        assert_eq!(*ok(&space, "key", world.load(value)).await.value, value);
    }
    let _ = space.put("key", 9.into()).await.unwrap();
    assert!(matches!(space.get("key").await, Ok(Lookup::Miss)));
    assert!(world.server.keys().is_empty());
    assert_eq!(world.server.reads(), 0);
    assert!(space.get_or_load("key", world.fail()).await.is_err());
}

#[tokio::test]
async fn what_is_for_memory_only_is_nowhere_else() {
    static SECRETS: Keyspace<str, u64> = Keyspace::new("secrets", 1, PLAIN).memory_only();
    let world = World::new();
    let space = world.process().space(&SECRETS);
    ok(&space, "key", world.load(7)).await;
    assert_eq!(get(&space, "key").await, Some(7));
    assert!(world.server.keys().is_empty());
    world.clock.advance(SECOND);
    let _ = world.process().invalidate([SECRETS.scope()]).await;
    world.clock.advance(6 * SECOND);
    assert_eq!(get(&space, "key").await, None, "but invalidations reach it");
}

#[tokio::test]
async fn what_cannot_be_cached_is_served_all_the_same() {
    let world = World::new();
    let space = world.process().space(&PLAIN_SPACE);
    let long = "x".repeat(1_000);
    assert_eq!(*ok(&space, &long, world.load(7)).await.value, 7);
    assert!(space.put(&long, 7.into()).await.is_err());
    let tags: Vec<_> = (0..65).map(|n| n.to_string()).collect();
    let tagged = async move |_| Ok::<_, Infallible>(Entry::new(8).tags(&tags).into());
    let got = space.get_or_load("key", tagged).await.unwrap().unwrap();
    assert_eq!(*got.value, 8);
    assert!(world.server.keys().is_empty());
}

#[tokio::test]
async fn what_may_have_been_invalidated_is_not_served_while_nobody_can_be_asked() {
    let world = World::new();
    let chaos = Arc::new(Chaos::new(world.server.clone(), Faults::default(), 1));
    let cache = Cache::builder("app")
        .memory(MEGABYTE)
        .tier(Arc::clone(&chaos))
        .clock(world.clock.clone())
        .build();
    let space = cache.space(&STALE);
    ok(&space, "key", world.load(7)).await;
    chaos.set(Faults {
        errors: 100,
        ..Faults::default()
    });
    world.clock.advance(5 * SECOND);
    assert_eq!(
        *ok(&space, "key", world.load(8)).await.value,
        7,
        "believed for 5 s"
    );
    world.clock.advance(SECOND);
    assert_eq!(*ok(&space, "key", world.load(8)).await.value, 8);
    world.clock.advance(6 * SECOND);
    let stale = space
        .get_or_load("key", world.fail())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(*stale.value, 8, "short of anything better");
}

#[tokio::test]
async fn counters_say_what_was_served_and_what_it_saved() {
    let world = World::new();
    let cache = world.process();
    let space = cache.space(&PLAIN_SPACE);
    let slow = async |_| {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok::<_, Infallible>(7_u64.into())
    };
    space.get_or_load("key", slow).await.unwrap();
    for _ in 0..3 {
        ok(&space, "key", world.load(8)).await;
    }
    let memory = counts(&cache, "plain", "memory");
    assert_eq!((memory.hits, memory.misses, memory.errors), (3, 1, 0));
    assert!(
        memory.saved >= 3 * Duration::from_millis(20),
        "{:?}",
        memory.saved
    );
    let server = counts(&cache, "plain", "server");
    assert_eq!((server.hits, server.misses), (0, 1));
    assert!(server.written_bytes >= 72);
    let stats = cache.snapshot();
    assert_eq!((stats.loads[0].loads, stats.loads[0].errors), (1, 0));
    assert_eq!(stats.memory_entries, 1);
}

/// Whatever goes wrong in a tier, what is served is right, and the answer comes.
#[tokio::test(start_paused = true)]
async fn with_all_faults_at_once_no_answer_is_wrong_missing_or_invalidated() {
    for seed in 0..40 {
        let world = World::new();
        let faults = Faults {
            errors: 10,
            late_errors: 10,
            hangs: 2,
            delays: 10,
            delay: Duration::from_millis(20),
            corrupt: 10,
            partial: 10,
        };
        let cache = Cache::builder("app")
            .memory(64 << 10)
            .tier(Chaos::new(world.server.clone(), faults, seed))
            .clock(world.clock.clone())
            .build();
        let space = cache.space(&STALE);
        let mut random = fastrand::Rng::with_seed(seed);
        let truth = Arc::new(Counter::default());
        let mut newest_allowed = 0;
        for _ in 0..200 {
            world
                .clock
                .advance(Duration::from_millis(random.u64(1..5_000)));
            if random.u8(..) < 32 {
                // The truth changes, and this process says so: nothing older may be served from now on.
                truth.add(1);
                newest_allowed = truth.get();
                let _ = cache.invalidate([STALE.scope()]).await;
            }
            let now = Arc::clone(&truth);
            let load = async move |_| Ok::<_, Infallible>(now.get().into());
            let work = async { space.get_or_load("key", load).await.unwrap().unwrap() };
            let (served, left) = cache.invocation(Some(MINUTE)).run(work).await;
            assert_eq!(*served.value, newest_allowed, "seed {seed}");
            let _ = left.drain(SECOND).await;
        }
    }
}

#[test]
fn everything_may_be_used_from_many_threads() {
    fn is_shared<T: Send + Sync>() {}
    is_shared::<Cache>();
    is_shared::<Space<str, u64>>();
    is_shared::<crate::Invocation>();
    is_shared::<WallMillis>();
    is_shared::<LoadError<Infallible>>();
}
