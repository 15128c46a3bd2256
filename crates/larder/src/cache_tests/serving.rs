//! What is kept, where, and what is served of it.

use super::*;

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
    assert_eq!(found.age(), 50 * SECOND);
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
async fn put_keeps_an_entry_that_was_put_after_its_start() {
    let world = World::new();
    let spaces = [(); 3].map(|()| world.process().space(&PLAIN_SPACE));
    let [slow, quick, reader] = &spaces;
    let start = slow.begin_put("key");
    world.clock.advance(SECOND);
    assert!(quick.put("key", 2.into()).await.unwrap().is_complete());
    let late = slow.put_since("key", 1.into(), start).await.unwrap();
    assert!(late.is_complete());
    assert_eq!(get(reader, "key").await, Some(2));
    world.clock.advance(SECOND);
    assert!(slow.put("key", 3.into()).await.unwrap().is_complete());
    assert_eq!(
        get(&world.process().space(&PLAIN_SPACE), "key").await,
        Some(3)
    );
}

#[tokio::test]
async fn shared_only_cache_writes_for_others_and_is_none_without_a_shared_tier() {
    let world = World::new();
    let all = || Cache::builder("app").memory(MEGABYTE);
    assert!(all().shared_only().is_none());
    let cache = all().tier(world.server.clone()).shared_only();
    let cache = cache.unwrap().clock(world.clock.clone()).build();
    let space = cache.space(&PLAIN_SPACE);
    let _ = space.put("key", 7.into()).await.unwrap();
    assert_eq!(cache.snapshot().memory_entries, 0);
    assert_eq!(
        get(&world.process().space(&PLAIN_SPACE), "key").await,
        Some(7)
    );
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

#[test]
fn everything_may_be_used_from_many_threads() {
    fn is_shared<T: Send + Sync>() {}
    is_shared::<Cache>();
    is_shared::<Space<str, u64>>();
    is_shared::<crate::Invocation>();
    is_shared::<WallMillis>();
    is_shared::<LoadError<Infallible>>();
}

#[cfg(feature = "lz4")]
#[tokio::test]
async fn what_is_large_is_kept_compressed() {
    static TEXTS: Keyspace<str, String> = Keyspace::new("texts", 1, PLAIN);
    let world = World::new();
    let text = "the same again and ".repeat(1_000);
    let here = world.process().space(&TEXTS);
    assert!(
        here.put("key", text.clone().into())
            .await
            .unwrap()
            .is_complete()
    );
    world
        .server
        .tamper(|frame| assert!(frame.len() < 2_000, "{}", frame.len()));
    let there = world.process().space(&TEXTS);
    let got = there.get("key").await.unwrap().hit().unwrap();
    assert_eq!(*got.value, text);
}

#[tokio::test]
async fn what_is_warmed_in_time_is_there_and_the_rest_is_let_be() {
    let world = World::new();
    let cache = world.process();
    let space = cache.space(&PLAIN_SPACE);
    let slow = async |_: Load<u64>| std::future::pending::<Result<Loaded<u64>, Infallible>>().await;
    let (quick, slow) = (
        space.get_or_load("a", world.load::<Infallible>(1)),
        space.get_or_load("b", slow),
    );
    let plan: [futures_util::future::BoxFuture<'_, ()>; 2] = [
        Box::pin(async { drop(quick.await) }),
        Box::pin(async { drop(slow.await) }),
    ];
    let warmed = cache.warm(plan, Duration::from_millis(50)).await;
    assert_eq!((warmed.done, warmed.dropped), (1, 1));
    assert_eq!(get(&space, "a").await, Some(1));
    assert_eq!(get(&space, "b").await, None);
}

#[tokio::test]
async fn a_restored_process_asks_before_it_believes() {
    let world = World::new();
    let cache = world.process();
    let space = cache.space(&PLAIN_SPACE);
    ok(&space, "key", world.load(7)).await;
    let other = world.process();
    world.clock.advance(SECOND);
    let _ = other.invalidate([PLAIN_SPACE.scope()]).await;
    assert_eq!(get(&space, "key").await, Some(7), "believed for 5 s");
    let owner = cache.owner();
    cache.restored();
    assert_eq!(get(&space, "key").await, None);
    assert_ne!(
        cache.owner(),
        owner,
        "nor is it mistaken for another copy of itself"
    );
    world.clock.advance(SECOND);
    ok(&space, "key", world.load(8)).await;
    assert_eq!(get(&space, "key").await, Some(8), "and it goes on");
    let alone = world.alone();
    ok(&alone.space(&PLAIN_SPACE), "key", world.load(9)).await;
    alone.restored();
    assert_eq!(get(&alone.space(&PLAIN_SPACE), "key").await, Some(9));
}
