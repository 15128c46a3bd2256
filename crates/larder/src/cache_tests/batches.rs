//! Many keys at once.

use super::*;

static MANY: Keyspace<String, u64> = Keyspace::new(
    "many",
    1,
    PLAIN
        .stale_while_revalidate(MINUTE)
        .stale_on_error(Duration::from_hours(1), Duration::ZERO),
);

fn keys(range: std::ops::Range<u64>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

type Numbers = Result<Vec<(String, Loaded<u64>)>, &'static str>;

/// Loads the number that a key is, and counts calls and keys. What is called none is not there.
fn numbers(
    calls: &Arc<Counter>,
    loads: &Arc<Counter>,
) -> impl FnOnce(Vec<String>) -> std::future::Ready<Numbers> + Send + use<> {
    let (calls, loads) = (Arc::clone(calls), Arc::clone(loads));
    move |keys| {
        calls.add(1);
        loads.add(u64::try_from(keys.len()).unwrap());
        let there = keys.into_iter().filter(|key| !key.starts_with("none"));
        let number = |key: String| {
            let number: u64 = key.parse().unwrap();
            (key, number.into())
        };
        std::future::ready(Ok(there.map(number).collect()))
    }
}

fn values(got: &[Option<crate::Cached<u64>>]) -> Vec<Option<u64>> {
    let value = |cached: &Option<crate::Cached<u64>>| cached.as_ref().map(|cached| *cached.value);
    got.iter().map(value).collect()
}

#[tokio::test]
async fn one_hundred_keys_are_one_trip_and_one_load() {
    let world = World::new();
    let calls = Arc::default();
    let first = world.process().space(&MANY);
    let mut wanted = keys(0..100);
    wanted.push("none".to_owned());
    wanted.push("7".to_owned());
    let load = numbers(&calls, &world.loads);
    let got = first.get_many(&wanted, load).await.unwrap();
    let mut expected: Vec<_> = (0..100).map(Some).collect();
    expected.extend([None, Some(7)]);
    assert_eq!(values(&got), expected);
    assert_eq!((calls.get(), world.loads.get()), (1, 101), "each key once");

    let reads = world.server.reads();
    let other = world.process().space(&MANY);
    let load = numbers(&calls, &world.loads);
    let got = other.get_many(&keys(0..100), load).await.unwrap();
    assert!(
        got.iter()
            .flatten()
            .all(|cached| cached.source == Source::Tier("server"))
    );
    assert_eq!(world.server.reads() - reads, 1, "one trip");
    let load = numbers(&calls, &world.loads);
    let got = other.get_many(&keys(0..100), load).await.unwrap();
    assert!(
        got.iter()
            .flatten()
            .all(|cached| cached.source == Source::Memory)
    );
    assert_eq!((world.server.reads() - reads, calls.get()), (1, 1));
}

#[tokio::test]
async fn only_what_is_missing_is_loaded() {
    let world = World::new();
    let space = world.process().space(&MANY);
    let calls = Arc::default();
    let load = numbers(&calls, &world.loads);
    space.get_many(&keys(0..10), load).await.unwrap();
    let load = numbers(&calls, &world.loads);
    let got = space.get_many(&keys(5..15), load).await.unwrap();
    assert_eq!(values(&got), (5..15).map(Some).collect::<Vec<_>>());
    assert_eq!((calls.get(), world.loads.get()), (2, 15));
    let nothing = space.get_many(&[], numbers(&calls, &world.loads)).await;
    assert!(nothing.unwrap().is_empty());
    assert_eq!(calls.get(), 2);
}

#[tokio::test]
async fn what_is_stale_is_refreshed_beside_and_what_fails_stands_in() {
    let world = World::new();
    let cache = world.process();
    let space = cache.space(&MANY);
    let calls = Arc::default();
    let load = numbers(&calls, &world.loads);
    space.get_many(&keys(0..10), load).await.unwrap();
    world.clock.advance(MINUTE);
    let load = numbers(&calls, &world.loads);
    let (got, left) = cache
        .invocation(None)
        .run(space.get_many(&keys(0..10), load))
        .await;
    assert!(
        got.unwrap()
            .iter()
            .flatten()
            .all(|cached| cached.state == Freshness::Stale)
    );
    let _ = left.drain(SECOND).await;
    assert_eq!((calls.get(), world.loads.get()), (2, 20));

    world.clock.advance(10 * MINUTE);
    let fail = async |_| Err::<Vec<(String, Loaded<u64>)>, _>("down");
    let got = space.get_many(&keys(0..10), fail).await.unwrap();
    assert_eq!(values(&got), (0..10).map(Some).collect::<Vec<_>>());
    let failed = space.get_many(&keys(5..15), fail).await;
    assert!(failed.is_err(), "nothing can stand in for some");
}

#[tokio::test(start_paused = true)]
async fn what_somebody_else_is_loading_is_waited_for() {
    let world = World::new();
    let space = world.alone().space(&MANY);
    let calls: Arc<Counter> = Arc::default();
    let slow = {
        let (load, calls) = (numbers(&calls, &world.loads), Arc::clone(&calls));
        async move |keys| {
            assert_eq!(calls.get(), 0);
            tokio::time::sleep(SECOND).await;
            load(keys).await
        }
    };
    let wanted = keys(0..10);
    let one = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let load = async |_| Ok::<_, &str>(Loaded::from(99));
        space.get_or_load(&"3".to_owned(), load).await
    };
    let (all, one) = tokio::join!(space.get_many(&wanted, slow), one);
    assert_eq!(*one.unwrap().unwrap().value, 3);
    assert_eq!(all.unwrap().len(), 10);
    assert_eq!((calls.get(), world.loads.get()), (1, 10));
}

#[tokio::test]
async fn what_is_off_loads_all_and_keeps_nothing() {
    let world = World::new();
    let cache = Cache::builder("app")
        .enabled(false)
        .memory(MEGABYTE)
        .tier(world.server.clone())
        .build();
    let space = cache.space(&MANY);
    let calls = Arc::default();
    for _ in 0..2 {
        let load = numbers(&calls, &world.loads);
        let got = space.get_many(&keys(0..3), load).await.unwrap();
        assert_eq!(values(&got), [Some(0), Some(1), Some(2)]);
    }
    assert_eq!((calls.get(), world.server.reads()), (2, 0));
    assert!(world.server.keys().is_empty());
}
