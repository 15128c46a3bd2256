//! Tiers that fail in every way.

use super::*;

#[tokio::test]
async fn a_hanging_cache_server_costs_the_timeout_once() {
    let world = World::new();
    let hangs = Faults {
        hangs: 100,
        ..Faults::default()
    };
    let cache = Cache::builder("app")
        .tier(Chaos::new(world.server.clone(), hangs, 1))
        .timeout(SECOND)
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
    // A bound on what it costs, not a measurement of speed: five timeouts would be 5 s.
    assert!(took >= SECOND && took < 2 * SECOND, "{took:?}");
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

const MILLI: Duration = Duration::from_millis(1);
static CHEAP: Keyspace<str, u64> = Keyspace::new("cheap", 1, PLAIN.load_cost(MILLI));

/// A tier like S3, whose answers take `delay`.
fn slow(world: &World, delay: Duration) -> Arc<Chaos<Server>> {
    let faults = Faults {
        delays: 100,
        delay,
        ..Faults::default()
    };
    Arc::new(Chaos::new(world.server.clone(), faults, 1))
}

fn distant(tier: &Arc<Chaos<Server>>) -> Cache {
    Cache::builder("app")
        .tier(Arc::clone(tier))
        .timeout(5 * SECOND)
        .build()
}

/// The time that a look-up of `value` takes, and how often it was loaded.
async fn look_up(
    cache: &Cache,
    space: &Space<str, u64>,
    world: &World,
    value: u64,
) -> (Duration, u64) {
    let (begun, loads) = (tokio::time::Instant::now(), world.loads.get());
    let handler = async { *ok(space, "key", world.load(value)).await.value };
    let (found, left) = cache.invocation(Some(MINUTE)).run(handler).await;
    let took = begun.elapsed();
    assert_eq!(found, value);
    assert_eq!(left.drain(MINUTE).await.dropped, 0);
    (took, world.loads.get() - loads)
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_is_a_hit_where_the_value_is_worth_the_wait() {
    let world = World::new();
    let tier = slow(&world, 600 * MILLI);
    let cache = distant(&tier);
    let dear = cache.space(&DEAR);
    assert_eq!(
        look_up(&cache, &dear, &world, 7).await.1,
        1,
        "it was not there"
    );
    for _ in 0..10 {
        let (took, loads) = look_up(&cache, &dear, &world, 7).await;
        assert_eq!((took, loads), (600 * MILLI, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_look_up_takes_no_longer_than_the_load_and_opens_no_breaker() {
    let world = World::new();
    let tier = slow(&world, 600 * MILLI);
    let cache = distant(&tier);
    let (dear, cheap) = (cache.space(&DEAR), cache.space(&CHEAP));
    look_up(&cache, &dear, &world, 7).await;
    for _ in 0..10 {
        let (took, loads) = look_up(&cache, &cheap, &world, 8).await;
        assert!(took <= 50 * MILLI, "{took:?}");
        assert_eq!(loads, 1);
    }
    assert_eq!(look_up(&cache, &dear, &world, 7).await.1, 0, "still asked");
}

#[tokio::test(start_paused = true)]
async fn what_a_load_takes_is_learned_from_loads_and_entries() {
    let world = World::new();
    let tier = slow(&world, Duration::ZERO);
    let cache = distant(&tier);
    let space = cache.space(&PLAIN_SPACE);
    // Loads that take no time: from now on a look-up is worth the least.
    look_up(&cache, &space, &world, 7).await;
    tier.set(Faults {
        delays: 100,
        delay: 600 * MILLI,
        ..Faults::default()
    });
    let (took, loads) = look_up(&cache, &space, &world, 7).await;
    assert!(took <= 50 * MILLI && loads == 1, "{took:?}");
    // A process that knows nothing yet gives the tier its time.
    let fresh = distant(&tier);
    let (took, loads) = look_up(&fresh, &fresh.space(&PLAIN_SPACE), &world, 7).await;
    assert_eq!((took, loads), (600 * MILLI, 0));
    let (_, loads) = look_up(&fresh, &fresh.space(&PLAIN_SPACE), &world, 7).await;
    assert_eq!(loads, 1, "the entry told that it is not worth that much");
}

#[tokio::test(start_paused = true)]
async fn a_hanging_tier_opens_the_breaker_for_dear_values_too() {
    let world = World::new();
    let tier = slow(&world, Duration::from_hours(1));
    let cache = distant(&tier);
    let dear = cache.space(&DEAR);
    let mut took = Vec::new();
    for _ in 0..4 {
        // Only the look-up: what is written back is tried for as long as the load is worth.
        let begun = tokio::time::Instant::now();
        assert!(dear.get("key").await.is_err());
        took.push(begun.elapsed());
    }
    assert_eq!(took, [5 * SECOND, 5 * SECOND, 5 * SECOND, Duration::ZERO]);
}

#[tokio::test(start_paused = true)]
async fn a_dear_value_is_written_back_once_the_tier_recovers() {
    let world = World::new();
    let failing = Faults {
        errors: 100,
        ..Faults::default()
    };
    let tier = Arc::new(Chaos::new(world.server.clone(), failing, 1));
    let cache = distant(&tier);
    let (dear, cheap) = (cache.space(&DEAR), cache.space(&CHEAP));
    let handler = async {
        ok(&dear, "key", world.load(7)).await;
        ok(&cheap, "key", world.load(8)).await;
    };
    let ((), left) = cache.invocation(Some(MINUTE)).run(handler).await;
    let recovery = async {
        tokio::time::sleep(10 * SECOND).await;
        tier.set(Faults::default());
    };
    let (drained, ()) = tokio::join!(left.drain(MINUTE), recovery);
    assert_eq!(drained.dropped, 0);
    let other = world.process();
    assert_eq!(get(&other.space(&DEAR), "key").await, Some(7));
    assert_eq!(
        get(&other.space(&CHEAP), "key").await,
        None,
        "cheaper to load again"
    );
    assert_eq!(cache.snapshot().dropped, 1);
}
