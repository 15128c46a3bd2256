//! All that is known of one server → when it ran, and what of it should be remembered. Pure.

use jiff::{SignedDuration, Timestamp};

use crate::{
    described::Described,
    observation::{Observation, Power},
    timeline::{SAME, Timeline},
};

/// All that is known of one server.
#[derive(Clone, Debug, Default)]
pub struct Known<'a> {
    /// What the ledger has of it, from `since` on.
    pub recorded: Vec<Observation>,
    /// From when on that was asked for.
    pub since: Timestamp,
    /// What it was at some moment before all that, such as the beginning of a month.
    pub opening: Option<(Timestamp, Power)>,
    /// What it was when it was looked at last.
    pub seen: Option<(Timestamp, Power)>,
    /// What EC2 says of it now; `None` for one that EC2 has forgotten.
    pub described: Option<&'a Described>,
}

/// What follows.
#[derive(Clone, Debug)]
pub struct Account {
    /// When it ran.
    pub timeline: Timeline,
    /// What it is now.
    pub power: Power,
    /// What will not be said again: to be recorded.
    pub news: Vec<Observation>,
}

impl Account {
    /// Of what is `known` at `now`.
    #[must_use]
    pub fn of(known: Known<'_>, now: Timestamp) -> Self {
        let mut all = known.recorded;
        // One that EC2 has forgotten was terminated.
        let power = known.described.map_or(Power::Down, |it| it.state.power());
        let mut news = Vec::new();
        if let Some(described) = known.described {
            let told = described.observations(now).filter(Observation::is_change);
            let told: Vec<_> = told.filter(|told| !is_recorded(&all, told)).collect();
            news.extend(told.iter().filter(|told| told.at >= known.since));
            all.extend(told);
        }
        if let Some((at, was)) = known.seen
            && was != power
        {
            // Both, since what is seen now takes the place of what was seen then.
            news.extend([Observation::seen(at, was), Observation::seen(now, power)]);
        }
        all.extend(
            known
                .opening
                .map(|(at, power)| Observation::seen(at, power)),
        );
        all.extend(known.seen.map(|(at, power)| Observation::seen(at, power)));
        all.push(Observation::seen(now, power));
        Self {
            timeline: Timeline::fold(&mut all, now),
            power,
            news,
        }
    }
}

/// Whether somebody has told of the same already.
fn is_recorded(recorded: &[Observation], told: &Observation) -> bool {
    let is_near = |gap: SignedDuration| gap.abs() <= SAME;
    recorded
        .iter()
        .any(|it| it.after == told.after && is_near(it.at.duration_since(told.at)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::State;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_second(1_795_219_200 + minutes * 60).unwrap()
    }

    fn described(state: State, launched: i64, changed: Option<i64>) -> Described {
        Described {
            instance: "i-0000000a".parse().unwrap(),
            state,
            launched: at(launched),
            changed: changed.map(at),
        }
    }

    fn ran(account: &Account) -> Vec<(i64, i64, bool)> {
        let minute = |time: Timestamp| time.max(at(-1)).duration_since(at(0)).as_mins();
        let spans = account.timeline.spans().iter();
        spans
            .map(|it| (minute(it.from), minute(it.until), it.doubtful))
            .collect()
    }

    #[test]
    fn a_stop_that_only_ec2_tells_of_is_remembered() {
        let stopped = described(State::Stopped, 10, Some(30));
        let known = |recorded: &[Observation], described| Known {
            recorded: recorded.to_vec(),
            since: at(0),
            described: Some(described),
            ..Known::default()
        };
        let launch = Observation::launched(at(10));
        let account = Account::of(known(&[launch], &stopped), at(60));
        assert_eq!(ran(&account), [(10, 30, false)]);
        let stop = Observation::new(at(30), Some(Power::Up), Power::Down);
        assert_eq!(account.news, [stop]);
        // It is started again, and EC2 says no more when it was stopped.
        let running = described(State::Running, 90, None);
        let start = Observation::new(at(90), Some(Power::Down), Power::Up);
        let account = Account::of(known(&[launch, stop, start], &running), at(120));
        assert_eq!(ran(&account), [(10, 30, false), (90, 120, false)]);
        assert_eq!(account.news, []);
    }

    #[test]
    fn what_was_seen_bounds_what_was_not() {
        let known = Known {
            recorded: vec![Observation::launched(at(10))],
            seen: Some((at(60), Power::Up)),
            described: None,
            ..Known::default()
        };
        let account = Account::of(known, at(120));
        assert_eq!(ran(&account), [(10, 60, false), (60, 120, true)]);
        assert_eq!(
            account.news,
            [
                Observation::seen(at(60), Power::Up),
                Observation::seen(at(120), Power::Down)
            ]
        );
        assert_eq!(account.power, Power::Down);
    }

    #[test]
    fn the_opening_of_a_month_stands_for_all_before() {
        let running = described(State::Running, -10_000, None);
        let known = Known {
            opening: Some((at(0), Power::Up)),
            described: Some(&running),
            ..Known::default()
        };
        let account = Account::of(known, at(60));
        assert_eq!(account.timeline.at(at(30)), Some(Power::Up));
    }
}
