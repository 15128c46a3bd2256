//! Observations → when an instance ran. Pure: no clock, no zone, no I/O.
//!
//! An instance's state is known from each observation up to the next one, unless that says that it was another: then
//! something was not seen in between, and that stretch is *doubtful*. An instance whose first trace is a stop ran all the
//! time before; of one whose first trace is a start, unless that made it, nobody knows.

use jiff::{SignedDuration, Timestamp};

use crate::observation::{Observation, Power};

/// Who reports the same change, be it CloudTrail, EventBridge or EC2 itself, may be off by a few seconds; no
/// instance stops and starts again in so short a time.
pub(crate) const SAME: SignedDuration = SignedDuration::from_secs(15);

/// A stretch of time in which an instance ran, or may have run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// Whether it may have run, and may not.
    pub doubtful: bool,
}

/// When an instance ran, in order and without overlap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    spans: Vec<Span>,
    last: Option<Power>,
}

/// The state of the fold.
struct Fold {
    spans: Vec<Span>,
    /// What it is since `changed`; `None` before the first observation.
    state: Option<Power>,
    changed: Timestamp,
    /// Up to when that is certain.
    certain: Timestamp,
}

impl Timeline {
    /// Folds `observations`, in any order and with any of them several times, up to `until`; what is later is left out.
    #[must_use]
    pub fn fold(observations: &mut [Observation], until: Timestamp) -> Self {
        observations.sort_unstable();
        let mut fold = Fold {
            spans: Vec::with_capacity(observations.len() / 2 + 1),
            state: None,
            changed: Timestamp::MIN,
            certain: Timestamp::MIN,
        };
        let known = observations.partition_point(|observed| observed.at <= until);
        let (known, _) = observations.split_at_mut(known);
        for same in known.chunk_by_mut(|a, b| a.at == b.at) {
            fold.all_of_one_moment(same);
        }
        fold.end(until)
    }

    /// Nothing was asked for what happened before `known`: it may have run then, where it seems that it did, and may not.
    pub(crate) fn doubt_before(&mut self, known: Timestamp) {
        let mut spans = Vec::with_capacity(self.spans.len() + 1);
        for span in self.spans.drain(..) {
            let cut = known.clamp(span.from, span.until);
            let parts = [(span.from, cut, true), (cut, span.until, span.doubtful)];
            let parts = parts.into_iter().filter(|(from, until, _)| from < until);
            spans.extend(parts.map(|(from, until, doubtful)| Span {
                from,
                until,
                doubtful,
            }));
        }
        self.spans = spans;
    }

    /// When it ran.
    #[must_use]
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// What it was at `at`, before the end; `None` where that is doubtful, or nothing is known at all.
    #[must_use]
    pub fn at(&self, at: Timestamp) -> Option<Power> {
        self.last?;
        match self
            .spans
            .iter()
            .find(|span| (span.from..span.until).contains(&at))
        {
            Some(span) => (!span.doubtful).then_some(Power::Up),
            None => Some(Power::Down),
        }
    }

    /// What it is at the end; `None` if nothing is known of it.
    #[must_use]
    pub const fn last(&self) -> Option<Power> {
        self.last
    }
}

impl Fold {
    /// What happens in one second has no order of its own: what fits what is known comes first.
    fn all_of_one_moment(&mut self, same: &mut [Observation]) {
        if same.len() > 1 {
            let state = self.state;
            same.sort_by_key(|observed| {
                let (before, after) = (observed.before, Some(observed.after));
                match before {
                    // It confirms what is known.
                    None if after == state => 0,
                    Some(_) if before == state && after != state => 1,
                    Some(_) if before == state => 2,
                    Some(_) => 3,
                    // It says the least: who knows what was before knows better.
                    None => 4,
                }
            });
        }
        for observed in same {
            self.observe(*observed);
        }
    }

    fn observe(&mut self, observed: Observation) {
        let Observation {
            at, before, after, ..
        } = observed;
        if observed.launched {
            // There was nothing before, whatever was concluded; unless somebody told of it a little earlier.
            self.spans.clear();
            self.state = self
                .state
                .filter(|_| at.duration_since(self.changed) <= SAME);
        }
        let Some(state) = self.state else {
            return self.begin(observed);
        };
        if let Some(before) = before.filter(|before| *before != state) {
            let told_again = state == after && observed.is_change();
            let just_seen = !observed.is_change();
            if (told_again || just_seen) && at.duration_since(self.changed) <= SAME {
                // Told again by somebody else, or seen by somebody who had not heard of it.
                return;
            }
            // Something was not seen: it changed, once at least, since it was certain.
            self.close(state, at);
            self.enter(before, at);
        }
        if self.state != Some(after) {
            self.close_certain(at);
            self.enter(after, at);
        }
        self.certain = at;
    }

    /// The first observation of all.
    fn begin(&mut self, observed: Observation) {
        let Observation {
            at, before, after, ..
        } = observed;
        if !observed.launched {
            // It was not running just before, but it may have stopped without anybody seeing it.
            self.span(Timestamp::MIN, at, before != Some(Power::Up));
        }
        self.enter(after, at);
        self.certain = at;
    }

    fn enter(&mut self, state: Power, at: Timestamp) {
        self.state = Some(state);
        self.changed = at;
    }

    /// Ends what is certain to have lasted until `at`.
    fn close_certain(&mut self, at: Timestamp) {
        if self.state == Some(Power::Up) {
            self.span(self.changed, at, false);
        }
    }

    /// Ends `state`, which was another at `at`.
    fn close(&mut self, state: Power, at: Timestamp) {
        if state == Power::Up {
            self.span(self.changed, self.certain, false);
        }
        self.span(self.certain, at, true);
    }

    fn span(&mut self, from: Timestamp, until: Timestamp, doubtful: bool) {
        if from < until {
            self.spans.push(Span {
                from,
                until,
                doubtful,
            });
        }
    }

    fn end(mut self, until: Timestamp) -> Timeline {
        self.close_certain(until);
        Timeline {
            spans: self.spans,
            last: self.state,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::State;

    /// Minutes past a day's beginning.
    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_second(1_795_219_200 + minutes * 60).unwrap()
    }

    const UP: Option<Power> = Some(Power::Up);
    const DOWN: Option<Power> = Some(Power::Down);

    fn launch(minutes: i64) -> Observation {
        Observation::launched(at(minutes))
    }

    fn start(minutes: i64) -> Observation {
        Observation::new(at(minutes), DOWN, Power::Up)
    }

    fn stop(minutes: i64) -> Observation {
        Observation::new(at(minutes), UP, Power::Down)
    }

    fn told(minutes: i64, seconds: i64, state: State) -> Observation {
        Observation::changed(at(minutes) + SignedDuration::from_secs(seconds), state)
    }

    /// Beginning, end and doubt of each span, in minutes; the beginning of time is -1.
    fn spans(observations: &[Observation], until: i64) -> Vec<(i64, i64, bool)> {
        let mut observations = observations.to_vec();
        let timeline = Timeline::fold(&mut observations, at(until));
        let minute = |time: Timestamp| time.max(at(-1)).duration_since(at(0)).as_mins();
        let spans = timeline.spans().iter();
        spans
            .map(|span| (minute(span.from), minute(span.until), span.doubtful))
            .collect()
    }

    #[test]
    fn starts_and_stops_are_spans_and_the_last_goes_on() {
        let seen = [launch(10), stop(20), start(30)];
        assert_eq!(spans(&seen, 60), [(10, 20, false), (30, 60, false)]);
        assert_eq!(spans(&seen, 25), [(10, 20, false)]);
        assert_eq!(spans(&[], 60), []);
    }

    #[test]
    fn what_stops_first_ran_all_the_time_before_and_what_starts_may_have() {
        assert_eq!(spans(&[start(20)], 60), [(-1, 20, true), (20, 60, false)]);
        assert_eq!(spans(&[stop(20)], 60), [(-1, 20, false)]);
        assert_eq!(
            spans(&[Observation::seen(at(20), Power::Up)], 60),
            [(-1, 20, false), (20, 60, false)]
        );
        let down = Observation::seen(at(20), Power::Down);
        assert_eq!(spans(&[down], 60), [(-1, 20, true)]);
        let terminated = Observation::changed(at(20), State::Terminated);
        assert_eq!(spans(&[terminated], 60), [(-1, 20, true)]);
    }

    #[test]
    fn one_change_told_by_several_is_one() {
        let seen = [
            launch(10),
            told(10, 1, State::Pending),
            told(10, 25, State::Running),
            stop(20),
            told(20, 2, State::Stopping),
            told(21, 0, State::Stopped),
        ];
        assert_eq!(spans(&seen, 60), [(10, 20, false)]);
    }

    #[test]
    fn order_and_repetition_change_nothing() {
        let mut seen = vec![
            launch(10),
            told(10, 3, State::Running),
            stop(20),
            start(20),
            stop(40),
            start(50),
        ];
        let straight = spans(&seen, 60);
        assert_eq!(
            straight,
            [(10, 20, false), (20, 40, false), (50, 60, false)]
        );
        for seed in 0..200 {
            let mut random = fastrand::Rng::with_seed(seed);
            let again = seen[random.usize(..seen.len())];
            seen.push(again);
            random.shuffle(&mut seen);
            assert_eq!(spans(&seen, 60), straight, "{seed}: {seen:?}");
        }
    }

    #[test]
    fn a_stop_that_nobody_saw_is_doubtful_as_far_as_nobody_looked() {
        let looked = Observation::seen(at(30), Power::Up);
        let seen = [launch(10), looked, start(50), stop(55)];
        assert_eq!(
            spans(&seen, 60),
            [(10, 30, false), (30, 50, true), (50, 55, false)]
        );
        let gone = [launch(10), looked, Observation::seen(at(50), Power::Down)];
        assert_eq!(spans(&gone, 60), [(10, 30, false), (30, 50, true)]);
        let up_again = [stop(10), Observation::seen(at(30), Power::Up)];
        assert_eq!(
            spans(&up_again, 60),
            [(-1, 10, false), (10, 30, true), (30, 60, false)]
        );
    }

    #[test]
    fn who_looks_just_after_a_change_may_not_have_heard_of_it() {
        let late = Observation::seen(at(20) + SignedDuration::from_secs(2), Power::Up);
        assert_eq!(spans(&[launch(10), stop(20), late], 60), [(10, 20, false)]);
    }

    #[test]
    fn in_one_second_who_knows_what_was_before_knows_better() {
        let gone = told(30, 0, State::Terminated);
        let was_down = Observation::new(at(30), DOWN, Power::Down);
        let seen = [
            launch(10),
            Observation::seen(at(20), Power::Up),
            gone,
            was_down,
        ];
        assert_eq!(spans(&seen, 60), [(10, 20, false), (20, 30, true)]);
        let started = [launch(10), stop(20), start(30), told(30, 0, State::Stopped)];
        assert_eq!(spans(&started, 60), [(10, 20, false), (30, 60, false)]);
        let late = [launch(10), stop(20), told(20, 0, State::Running)];
        assert_eq!(spans(&late, 60), [(10, 20, false)]);
    }

    #[test]
    fn what_nobody_was_asked_about_is_doubtful() {
        let mut observations = [stop(20)];
        let mut timeline = Timeline::fold(&mut observations, at(60));
        timeline.doubt_before(at(5));
        let spans = timeline.spans();
        assert_eq!((spans[0].doubtful, spans[0].until), (true, at(5)));
        assert_eq!((spans[1].doubtful, spans[1].until), (false, at(20)));
        assert_eq!(timeline.at(at(1)), None);
    }

    #[test]
    fn the_end_of_stopping_does_not_lengthen_what_was_stopped() {
        let down = Observation::new(at(25), DOWN, Power::Down);
        assert_eq!(
            spans(
                &[launch(10), stop(20), down, told(30, 0, State::Terminated)],
                60
            ),
            [(10, 20, false)]
        );
    }
}
