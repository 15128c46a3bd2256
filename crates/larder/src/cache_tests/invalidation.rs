//! What was invalidated is not served, here or elsewhere.

use super::*;

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
async fn deleting_a_deployment_removes_every_key_of_it() {
    static STATES: Keyspace<(String, String), u64> = Keyspace::new("states", 1, PLAIN);
    static LOGS: Keyspace<(String, u64), u64> = Keyspace::new("logs", 1, PLAIN);
    let world = World::new();
    let (here, there) = (world.process(), world.process());
    let key = |deployment: &str, part: &str| (deployment.to_owned(), part.to_owned());
    let (deleted, others) = ("d1", ["d", "d10", "d1:config", "d*", "*"]);
    let parts = ["config", "status", "", "*"];
    let (states, logs) = (here.space(&STATES), here.space(&LOGS));
    for deployment in std::iter::once(deleted).chain(others) {
        for part in parts {
            let _ = states.put(&key(deployment, part), 7.into()).await.unwrap();
        }
        let _ = logs
            .put(&(deployment.to_owned(), 1), 7.into())
            .await
            .unwrap();
    }
    world.clock.advance(SECOND);
    let scopes = [STATES.under(deleted), LOGS.under(deleted)];
    assert!(here.invalidate(scopes).await.is_complete());
    for process in [here, there, world.process()] {
        let (states, logs) = (process.space(&STATES), process.space(&LOGS));
        for deployment in std::iter::once(deleted).chain(others) {
            for part in parts {
                let found = states.get(&key(deployment, part)).await.unwrap().hit();
                assert_eq!(
                    found.is_some(),
                    deployment != deleted,
                    "{deployment} {part}"
                );
            }
            let found = logs.get(&(deployment.to_owned(), 1)).await.unwrap().hit();
            assert_eq!(found.is_some(), deployment != deleted, "{deployment}");
        }
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

#[tokio::test(start_paused = true)]
async fn an_invalidation_whose_caller_gave_up_is_sent_all_the_same() {
    let world = World::new();
    let slow = Faults {
        delays: 100,
        delay: Duration::from_millis(50),
        ..Faults::default()
    };
    let chaos = Arc::new(Chaos::new(world.server.clone(), slow, 1));
    let cache = Cache::builder("app")
        .tier(Arc::clone(&chaos))
        .clock(world.clock.clone())
        .build();
    let space = cache.space(&DEAR);
    ok(&space, "key", world.load(7)).await;
    world.clock.advance(SECOND);
    let given_up = cache.invalidate([DEAR.scope()]);
    let given_up = tokio::time::timeout(Duration::from_millis(10), given_up).await;
    assert!(given_up.is_err());
    let other = world.process().space(&DEAR);
    assert_eq!(get(&other, "key").await, Some(7), "it was not sent yet");
    assert_eq!(get(&space, "key").await, None);
    let third = world.process().space(&DEAR);
    assert_eq!(get(&third, "key").await, None);
}
