//! What `DescribeInstances` says of an instance now, and what follows for the past.

use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};

use crate::{
    instance::InstanceId,
    observation::{Observation, Power, State},
};

/// An instance as EC2 describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Which one.
    pub instance: InstanceId,
    /// Its state.
    pub state: State,
    /// When it was started last, which is not when it was made.
    pub launched: Timestamp,
    /// When its state was changed last, where EC2 says so.
    pub changed: Option<Timestamp>,
    /// When EC2 said all this.
    pub at: Timestamp,
}

impl Described {
    /// The same, said `at` that moment by our clock. EC2's may be a little ahead: what it tells of happened before it told of it.
    #[must_use]
    pub fn dated(self, at: Timestamp) -> Self {
        const AHEAD: SignedDuration = SignedDuration::from_mins(5);
        const SECOND: SignedDuration = SignedDuration::from_secs(1);
        let told = [Some(self.launched), self.changed].into_iter().flatten();
        let told = told.filter(|told| told.duration_since(at) < AHEAD);
        let told = told.filter_map(|told| told.checked_add(SECOND).ok()).max();
        Self {
            at: told.map_or(at, |told| told.max(at)),
            ..self
        }
    }

    /// What is known of it.
    pub fn observations(&self) -> impl Iterator<Item = Observation> {
        let power = self.state.power();
        let launched = Observation::new(self.launched, Some(Power::Down), Power::Up);
        let changed = self
            .changed
            .filter(|at| power == Power::Down && *at >= self.launched);
        let stopped = changed.map(|at| {
            // It may have been stopped already, and terminated then.
            let was_up = matches!(self.state, State::Stopping | State::Stopped);
            Observation::new(at, was_up.then_some(Power::Up), Power::Down)
        });
        [launched]
            .into_iter()
            .chain(stopped)
            .chain([Observation::seen(self.at, power)])
    }
}

/// The moment in a `StateTransitionReason` such as `User initiated (2021-10-04 14:13:33 GMT)`; there is none while an
/// instance runs, and sometimes none afterwards.
#[must_use]
pub fn moment_in_reason(reason: &str) -> Option<Timestamp> {
    let (_, rest) = reason.rsplit_once('(')?;
    let text = rest.trim_end().strip_suffix(')')?.trim();
    let text = text
        .strip_suffix("GMT")
        .or_else(|| text.strip_suffix("UTC"))?;
    let moment = DateTime::strptime("%Y-%m-%d %H:%M:%S", text.trim()).ok()?;
    Some(moment.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_reason_may_have_a_moment() {
        let moment = at("2021-10-04T14:13:33Z");
        for reason in [
            "User initiated (2021-10-04 14:13:33 GMT)",
            "Instance initiated (2021-10-04 14:13:33 UTC) ",
        ] {
            assert_eq!(moment_in_reason(reason), Some(moment), "{reason}");
        }
        for reason in [
            "",
            "User initiated",
            "User initiated ()",
            "User initiated (yesterday GMT)",
            "(2021-13-04 14:13:33 GMT)",
            "User initiated (2021-10-04 14:13:33",
            "Server.SpotInstanceTermination: Spot instance termination",
        ] {
            assert_eq!(moment_in_reason(reason), None, "{reason}");
        }
    }

    #[test]
    fn a_moment_from_before_the_last_start_is_none_of_its_stop() {
        let now = at("2026-11-03T00:00:00Z");
        let described = Described {
            instance: "i-0000000a".parse().unwrap(),
            state: State::Stopped,
            launched: at("2026-11-02T00:00:00Z"),
            changed: Some(at("2026-11-01T00:00:00Z")),
            at: now,
        };
        let observations: Vec<_> = described.observations().collect();
        assert_eq!(observations.len(), 2);
        assert_eq!(observations[1], Observation::seen(now, Power::Down));
    }
}
