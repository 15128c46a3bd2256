//! Loads: how many there are, who waits for them, and what stands in where they fail.

use super::*;

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
