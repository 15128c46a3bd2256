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
    /// From when on CloudTrail was asked about all that happened.
    pub covered: Timestamp,
    /// What it was at some moment before all that, such as the beginning of a month.
    pub opening: Option<(Timestamp, Power)>,
    /// What it was when it was looked at before.
    pub looks: Option<Looks>,
    /// What EC2 says of it now; `None` for one that EC2 has forgotten.
    pub described: Option<&'a Described>,
}

/// Looks at a server, one after the other, that all saw the same, and between which nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Looks {
    /// The first of them.
    pub first: Timestamp,
    /// The last.
    pub last: Timestamp,
    /// What they saw.
    pub power: Power,
}

/// What follows.
#[derive(Clone, Debug)]
pub struct Account {
    /// When it ran.
    pub timeline: Timeline,
    /// This look at it, and those before that saw the same.
    pub looks: Looks,
    /// What will not be said again: to be recorded.
    pub news: Vec<Observation>,
}

impl Looks {
    fn observations(self) -> [Observation; 2] {
        [self.first, self.last].map(|at| Observation::seen(at, self.power))
    }
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
            let told = described.observations().filter(Observation::is_change);
            let told: Vec<_> = told.filter(|told| !is_recorded(&all, told)).collect();
            news.extend(told.iter().filter(|told| told.at >= known.since));
            all.extend(told);
        }
        let mut looks = Looks {
            first: now,
            last: now,
            power,
        };
        if let Some(before) = known.looks {
            let changed = all.iter().any(|it| it.is_change() && it.at > before.last);
            if before.last > now {
                // Another run has looked meanwhile, and knows better.
                looks = before;
            } else if before.power == power && !changed {
                looks.first = before.first;
            } else {
                // This look takes their place, so what they saw is kept otherwise: it bounds what nobody saw.
                news.extend(before.observations());
            }
            all.extend(before.observations());
        }
        all.extend(
            known
                .opening
                .map(|(at, power)| Observation::seen(at, power)),
        );
        all.extend(looks.observations());
        let mut timeline = Timeline::fold(&mut all, now);
        // Since its last start EC2 itself says what became of it.
        let launched = known.described.map_or(Timestamp::MAX, |it| it.launched);
        let opened = known.opening.map_or(Timestamp::MAX, |(at, _)| at);
        timeline.doubt_before(known.covered.min(launched).min(opened));
        Self {
            timeline,
            looks,
            news,
        }
    }
}

/// Whether somebody has told of the same already.
fn is_recorded(recorded: &[Observation], told: &Observation) -> bool {
    let is_near = |gap: SignedDuration| gap.abs() <= SAME;
    let is_same = |it: &Observation| it.is_change() && it.after == told.after;
    recorded
        .iter()
        .any(|it| is_same(it) && is_near(it.at.duration_since(told.at)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::State;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_second(1_795_219_200 + minutes * 60).unwrap()
    }

    fn described(state: State, launched: i64, changed: Option<i64>, now: i64) -> Described {
        Described {
            instance: "i-0000000a".parse().unwrap(),
            state,
            launched: at(launched),
            changed: changed.map(at),
            at: at(now),
        }
    }

    fn known<'a>(recorded: &[Observation], described: &'a Described) -> Known<'a> {
        Known {
            recorded: recorded.to_vec(),
            since: at(0),
            covered: at(-100_000),
            described: Some(described),
            ..Known::default()
        }
    }

    fn ran(account: &Account) -> Vec<(i64, i64, bool)> {
        let minute = |time: Timestamp| time.max(at(0)).duration_since(at(0)).as_mins();
        let spans = account.timeline.spans().iter();
        let spans = spans.filter(|it| it.until > at(0));
        spans
            .map(|it| (minute(it.from), minute(it.until), it.doubtful))
            .collect()
    }

    #[test]
    fn a_stop_that_only_ec2_tells_of_is_remembered() {
        let stopped = described(State::Stopped, 10, Some(30), 60);
        let launch = Observation::launched(at(10));
        let account = Account::of(known(&[launch], &stopped), at(60));
        assert_eq!(ran(&account), [(10, 30, false)]);
        let stop = Observation::new(at(30), Some(Power::Up), Power::Down);
        assert_eq!(account.news, [stop]);
        // It is started again, and EC2 says no more when it was stopped.
        let running = described(State::Running, 90, None, 120);
        let start = Observation::new(at(90), Some(Power::Down), Power::Up);
        let account = Account::of(known(&[launch, stop, start], &running), at(120));
        assert_eq!(ran(&account), [(10, 30, false), (90, 120, false)]);
        assert_eq!(account.news, []);
    }

    #[test]
    fn what_was_seen_bounds_what_was_not() {
        let gone = Known {
            recorded: vec![Observation::launched(at(10))],
            looks: Some(Looks {
                first: at(20),
                last: at(60),
                power: Power::Up,
            }),
            ..Known::default()
        };
        let account = Account::of(gone, at(120));
        assert_eq!(ran(&account), [(10, 60, false), (60, 120, true)]);
        let seen = [20, 60].map(|minutes| Observation::seen(at(minutes), Power::Up));
        assert_eq!(account.news, seen);
        assert_eq!(
            account.looks,
            Looks {
                first: at(120),
                last: at(120),
                power: Power::Down
            }
        );
    }

    /// Hour by hour, with what the ledger would keep from one to the next.
    fn by_the_hour(
        opening: Power,
        told: &[(i64, Described)],
        recorded: &[Observation],
    ) -> Vec<Vec<(i64, i64, bool)>> {
        let (mut news, mut looks): (Vec<Observation>, _) = (recorded.to_vec(), None);
        let hour = |(now, described): &(i64, Described)| {
            let known_by_then: Vec<_> = news
                .iter()
                .filter(|it| it.at <= at(*now))
                .copied()
                .collect();
            let known = Known {
                opening: Some((at(0), opening)),
                looks,
                ..known(&known_by_then, described)
            };
            let account = Account::of(known, at(*now));
            news.extend(&account.news);
            looks = Some(account.looks);
            ran(&account)
        };
        told.iter().map(hour).collect()
    }

    #[test]
    fn a_shutdown_and_a_start_between_two_looks_take_away_no_more_than_that_hour() {
        // It has run since long ago; at 610 it shuts itself down, at 640 it is started.
        let up = |launched, now| (now, described(State::Running, launched, None, now));
        let start = Observation::new(at(640), Some(Power::Down), Power::Up);
        let told = [
            up(-9_000, 540),
            up(-9_000, 600),
            up(640, 660),
            up(640, 720),
            up(640, 780),
        ];
        let hours = by_the_hour(Power::Up, &told, &[start]);
        assert_eq!(hours[1], [(0, 600, false)]);
        for (hour, now) in [(2, 660), (3, 720), (4, 780)] {
            assert_eq!(
                hours[hour],
                [(0, 600, false), (600, 640, true), (640, now, false)]
            );
        }
    }

    #[test]
    fn what_is_doubtful_does_not_grow_by_the_hour() {
        let down = |now| (now, described(State::Stopped, 100, None, now));
        let told = [down(300), down(360), down(420), down(480)];
        for hour in by_the_hour(Power::Down, &told, &[]) {
            assert_eq!(hour, [(100, 300, true)]);
        }
    }

    #[test]
    fn a_look_is_no_report_of_a_change() {
        // Somebody stopped again what had shut itself down just before.
        let again = Observation::seen(at(30) + SignedDuration::from_secs(10), Power::Down);
        let stopped = described(State::Stopped, 10, Some(30), 60);
        let recorded = [Observation::launched(at(10)), again];
        let account = Account::of(known(&recorded, &stopped), at(60));
        assert_eq!(ran(&account), [(10, 30, false)]);
    }

    #[test]
    fn the_opening_of_a_month_stands_for_all_before() {
        let running = described(State::Running, -10_000, None, 60);
        let known = Known {
            opening: Some((at(0), Power::Up)),
            ..known(&[], &running)
        };
        let account = Account::of(known, at(60));
        assert_eq!(account.timeline.at(at(30)), Some(Power::Up));
    }

    #[test]
    fn what_cloudtrail_was_not_asked_about_is_doubtful_unless_ec2_says_so() {
        let stop = Observation::new(at(50), Some(Power::Up), Power::Down);
        let start = Observation::new(at(70), Some(Power::Down), Power::Up);
        let running = described(State::Running, 70, None, 90);
        let partly = Known {
            covered: at(20),
            ..known(&[stop, start], &running)
        };
        assert_eq!(
            ran(&Account::of(partly, at(90))),
            [(0, 20, true), (20, 50, false), (70, 90, false)]
        );
        let always = described(State::Running, -10_000, None, 90);
        let partly = Known {
            covered: at(20),
            ..known(&[], &always)
        };
        assert_eq!(ran(&Account::of(partly, at(90))), [(0, 90, false)]);
    }
}
