//! What may not lie about in the clear.

use super::*;
use crate::SealingKey;

static TOKENS: Keyspace<str, String> = Keyspace::new("tokens", 1, PLAIN).sealed();
static PLAIN_TOKENS: Keyspace<str, String> = Keyspace::new("tokens", 1, PLAIN);

/// A process that has this key.
fn process(world: &World, key: Option<u8>) -> Cache {
    let builder = Cache::builder("app")
        .memory(MEGABYTE)
        .tier(world.server.clone())
        .clock(world.clock.clone());
    match key {
        Some(key) => builder.sealing_key(SealingKey::new(&[key; 32])).build(),
        None => builder.build(),
    }
}

async fn token(cache: &Cache, key: &str) -> Option<String> {
    let got = cache.space(&TOKENS).get(key).await.unwrap().hit();
    got.map(|got| (*got.value).clone())
}

async fn keep(cache: &Cache, key: &str, secret: &str) {
    let space = cache.space(&TOKENS);
    let kept = space.put(key, secret.to_owned().into()).await;
    assert!(kept.unwrap().is_complete());
}

#[tokio::test]
async fn secrets_lie_encrypted_or_not_at_all() {
    let world = World::new();
    let keyless = process(&world, None);
    keep(&keyless, "kept", "hunter2").await;
    assert_eq!(
        token(&keyless, "kept").await.as_deref(),
        Some("hunter2"),
        "in memory"
    );
    assert!(world.server.keys().is_empty(), "and nowhere else");

    keep(&process(&world, Some(1)), "key", "hunter2").await;
    world
        .server
        .tamper(|frame| assert!(!frame.windows(7).any(|part| part == b"hunter2")));
    let other = process(&world, Some(1));
    assert_eq!(token(&other, "key").await.as_deref(), Some("hunter2"));
    assert_eq!(
        token(&process(&world, Some(2)), "key").await,
        None,
        "another key"
    );
    assert_eq!(token(&process(&world, None), "key").await, None, "no key");
}

#[tokio::test]
async fn what_somebody_plants_moves_or_prolongs_is_not_believed() {
    let world = World::new();
    let plain = Keyspace::schema(&PLAIN_TOKENS);
    assert_eq!(
        plain,
        Keyspace::schema(&TOKENS),
        "or the test below says nothing"
    );
    let planter = process(&world, None).space(&PLAIN_TOKENS);
    assert!(
        planter
            .put("planted", "mine".to_owned().into())
            .await
            .unwrap()
            .is_complete()
    );
    assert_eq!(token(&process(&world, Some(1)), "planted").await, None);

    let world = World::new();
    let here = process(&world, Some(1));
    keep(&here, "one", "first").await;
    keep(&here, "two", "second").await;
    let mut frames = Vec::new();
    world.server.tamper(|frame| frames.push(frame.clone()));
    world.server.tamper(|frame| {
        let other = frames.iter().find(|other| *other != frame);
        other.unwrap().clone_into(frame);
    });
    assert_eq!(
        token(&process(&world, Some(1)), "one").await,
        None,
        "in another's place"
    );

    world.server.tamper(|frame| {
        let own = frames.iter().find(|own| *own != frame).unwrap();
        let schema = crate::frame::schema_of(own).unwrap();
        let mut read = crate::frame::Frame::decode(own, schema).unwrap();
        read.life.stale_until = read.life.stale_until.plus(Duration::from_hours(1));
        *frame = read.encode().unwrap();
    });
    assert_eq!(
        token(&process(&world, Some(1)), "one").await,
        None,
        "with a longer life"
    );
}
