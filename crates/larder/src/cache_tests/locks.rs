//! Locks.

use super::*;

#[tokio::test]
async fn a_lock_has_an_owner_and_an_end_and_only_the_owner_frees_it() {
    let world = World::new();
    let (here, there) = (world.process(), world.process());
    let name = ("project", "track");
    let lock = here.lock(&name, 10 * SECOND).await.unwrap().unwrap();
    assert_eq!(there.lock(&name, 10 * SECOND).await.unwrap(), None);
    assert_eq!(
        here.lock(&name, 10 * SECOND).await.unwrap(),
        None,
        "not even twice here"
    );
    assert!(
        there
            .lock(&("project", "other"), SECOND)
            .await
            .unwrap()
            .is_some()
    );

    there.unlock(&name, "somebody").await.unwrap();
    assert_eq!(
        there.lock(&name, SECOND).await.unwrap(),
        None,
        "it was not theirs"
    );
    there.unlock(&name, &lock.token).await.unwrap();
    let next = there.lock(&name, 10 * SECOND).await.unwrap().unwrap();
    assert_ne!(next.token, lock.token);
    here.unlock(&name, &lock.token).await.unwrap();
    assert_eq!(
        here.lock(&name, SECOND).await.unwrap(),
        None,
        "the old owner frees nobody's"
    );

    world.clock.advance(10 * SECOND);
    assert_eq!(next.until, world.clock.now());
    assert!(
        here.lock(&name, SECOND).await.unwrap().is_some(),
        "it has ended"
    );
}

#[tokio::test]
async fn where_nobody_can_be_asked_there_is_no_lock_and_an_error() {
    let world = World::new();
    let error = world.alone().lock("name", SECOND).await.unwrap_err();
    assert!(!error.is_retryable());
    let down = Faults {
        errors: 100,
        ..Faults::default()
    };
    let tier = Chaos::new(world.server.clone(), down, 1);
    let cache = Cache::builder("app").tier(tier).build();
    assert!(cache.lock("name", SECOND).await.unwrap_err().is_retryable());
}
