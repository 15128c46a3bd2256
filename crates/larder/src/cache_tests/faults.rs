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
