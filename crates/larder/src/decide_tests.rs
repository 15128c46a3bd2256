//! The decisions, against a model and by their properties.

use proptest::prelude::*;

use super::*;
use crate::policy::Policy;

const WRITTEN: WallMillis = WallMillis::new(1_795_338_000_000);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Any policy of small figures, so that its edges are met.
fn policies() -> impl Strategy<Value = Policy> {
    let refresh = prop_oneof![
        Just(Refresh::Never),
        (0_u8..=120).prop_map(Refresh::AtPercent),
        (0.0..4.0).prop_map(|beta| Refresh::XFetch { beta }),
    ];
    (0..20_u64, 0..20_u64, 0..20_u64, refresh).prop_map(|(fresh, while_, error, refresh)| {
        Policy::fresh(seconds(fresh))
            .stale_while_revalidate(seconds(while_))
            .stale_on_error(seconds(error), seconds(5))
            .negative(seconds(while_))
            .refresh(refresh)
    })
}

fn lives(policy: &Policy) -> [Life; 2] {
    [
        Life::of_value(policy, WRITTEN, seconds(1), 1.0),
        Life::of_absence(policy, WRITTEN, seconds(1)),
    ]
}

/// What the policy says in plain words, second by second after the entry was written.
fn model(policy: &Policy, negative: bool, age: u64) -> Decision {
    let fresh = if negative {
        policy.negative
    } else {
        policy.fresh
    };
    let past = age.checked_sub(fresh.as_secs());
    match (negative, past) {
        (true, None) => Decision::Negative,
        (false, None) => Decision::Serve(Freshness::Fresh),
        (false, Some(past)) if past < policy.stale_while_revalidate.as_secs() => {
            Decision::ServeAndRefresh(Freshness::Stale)
        }
        (false, Some(past)) => Decision::Load {
            fallback: past < policy.stale_on_error.as_secs(),
        },
        (true, Some(_)) => Decision::Load { fallback: false },
    }
}

fn rank(decision: Decision) -> u8 {
    match decision {
        Decision::Serve(Freshness::Fresh) | Decision::Negative => 0,
        Decision::ServeAndRefresh(Freshness::Fresh) => 1,
        Decision::ServeAndRefresh(Freshness::Stale) | Decision::Serve(Freshness::Stale) => 2,
        Decision::Load { fallback: true } => 3,
        Decision::Load { fallback: false } => 4,
    }
}

proptest! {
    #[test]
    fn without_early_refresh_the_model_is_followed(policy in policies(), age in 0..60_u64) {
        let policy = policy.refresh(Refresh::Never);
        for life in lives(&policy) {
            let at = Circumstances::at(WRITTEN.plus(seconds(age)));
            prop_assert_eq!(decide(Some(&life), policy.refresh, &at), model(&policy, life.negative, age));
        }
    }

    #[test]
    fn an_early_refresh_changes_nothing_but_that(policy in policies(), age in 0..60_u64, random in 0.0..=1.0) {
        let at = Circumstances { random, ..Circumstances::at(WRITTEN.plus(seconds(age))) };
        for life in lives(&policy) {
            let late = decide(Some(&life), Refresh::Never, &at);
            let early = decide(Some(&life), policy.refresh, &at);
            let refreshed = late == Decision::Serve(Freshness::Fresh)
                && early == Decision::ServeAndRefresh(Freshness::Fresh);
            prop_assert!(early == late || refreshed, "{late:?} became {early:?}");
        }
    }

    #[test]
    fn as_long_as_it_is_quiet_it_is_served_and_nothing_else(policy in policies(), age in 0..60_u64, random in 0.0..=1.0) {
        for life in lives(&policy) {
            let now = WRITTEN.plus(seconds(age));
            let at = Circumstances { random, ..Circumstances::at(now) };
            if now < quiet_until(&life, policy.refresh) {
                prop_assert_eq!(decide(Some(&life), policy.refresh, &at), Decision::Serve(Freshness::Fresh));
            }
        }
    }

    #[test]
    fn as_time_goes_on_less_is_served(policy in policies(), age in 0..60_u64, random in 0.0..=1.0) {
        let at = |age| Circumstances { random, ..Circumstances::at(WRITTEN.plus(seconds(age))) };
        for life in lives(&policy) {
            let now = decide(Some(&life), policy.refresh, &at(age));
            let later = decide(Some(&life), policy.refresh, &at(age + 1));
            prop_assert!(rank(now) <= rank(later), "{now:?}, then {later:?}");
        }
    }

    #[test]
    fn what_was_invalidated_is_never_served(policy in policies(), age in 0..60_u64, mark in 0..60_u64, throttled: bool) {
        let now = WRITTEN.plus(seconds(age));
        let at = Circumstances {
            invalidated: Some(WRITTEN.plus(seconds(mark))),
            probe_after: throttled.then(|| now.plus(seconds(1))),
            ..Circumstances::at(now)
        };
        for life in lives(&policy) {
            prop_assert_eq!(decide(Some(&life), policy.refresh, &at), Decision::Load { fallback: false });
        }
    }

    #[test]
    fn while_the_origin_is_left_alone_it_is_loaded_only_where_nothing_can_stand_in(
        policy in policies(),
        age in 0..60_u64,
        random in 0.0..=1.0,
    ) {
        let now = WRITTEN.plus(seconds(age));
        let at = Circumstances { random, probe_after: Some(now.plus(seconds(1))), ..Circumstances::at(now) };
        for life in lives(&policy) {
            match decide(Some(&life), policy.refresh, &at) {
                Decision::Load { .. } => prop_assert!(now >= life.stale_until),
                Decision::ServeAndRefresh(_) => prop_assert!(false, "the origin was asked"),
                Decision::Serve(_) | Decision::Negative => prop_assert!(now < life.stale_until),
            }
        }
    }
}

#[test]
fn what_was_written_after_an_invalidation_is_served() {
    let policy = Policy::fresh(seconds(60)).refresh(Refresh::Never);
    let life = Life::of_value(&policy, WRITTEN, Duration::ZERO, 1.0);
    let at = Circumstances {
        invalidated: Some(WallMillis::new(WRITTEN.get() - 1)),
        ..Circumstances::at(WRITTEN)
    };
    assert_eq!(
        decide(Some(&life), policy.refresh, &at),
        Decision::Serve(Freshness::Fresh)
    );
    assert_eq!(
        decide(None, policy.refresh, &at),
        Decision::Load { fallback: false }
    );
}

#[test]
fn a_share_of_the_fresh_time_is_met_to_the_second() {
    let policy = Policy::fresh(seconds(100)).refresh(Refresh::AtPercent(80));
    let life = Life::of_value(&policy, WRITTEN, Duration::ZERO, 1.0);
    let after = |age| {
        decide(
            Some(&life),
            policy.refresh,
            &Circumstances::at(WRITTEN.plus(seconds(age))),
        )
    };
    assert_eq!(after(79), Decision::Serve(Freshness::Fresh));
    assert_eq!(after(80), Decision::ServeAndRefresh(Freshness::Fresh));
}

#[test]
fn of_many_processes_a_few_refresh_early_and_the_sooner_the_longer_a_load_takes() {
    let policy = Policy::fresh(seconds(60));
    let early = |load_cost, left: u64| {
        let life = Life::of_value(&policy, WRITTEN, load_cost, 1.0);
        let draws = (1..=1_000_u32).map(|n| f64::from(n) / 1_000.0);
        let due = draws.filter(|random| {
            let at = Circumstances {
                random: *random,
                ..Circumstances::at(WRITTEN.plus(seconds(60 - left)))
            };
            decide(Some(&life), policy.refresh, &at) == Decision::ServeAndRefresh(Freshness::Fresh)
        });
        due.count()
    };
    // P(lead ≥ left) = e^(-left / load cost): 1/e, e^-2 and e^-10 of a thousand.
    assert_eq!(early(seconds(1), 1), 367);
    assert_eq!(early(seconds(1), 2), 135);
    assert_eq!(early(seconds(1), 10), 0);
    assert_eq!(early(seconds(10), 10), 367);
    assert_eq!(early(Duration::ZERO, 1), 0);
}
