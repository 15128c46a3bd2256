//! What is known of an instance at one moment, whoever says so.

use std::str::FromStr;

use jiff::Timestamp;

use crate::instance::InstanceId;

/// Whether an instance counts as running: from an accepted start to the accepted stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Power {
    /// It is `pending` or `running`.
    Up,
    /// It is `stopping`, `stopped`, `shutting-down` or `terminated`.
    Down,
}

/// A state that EC2 names ("Amazon EC2 instance lifecycle").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// It starts.
    Pending,
    /// It runs.
    Running,
    /// It stops.
    Stopping,
    /// It may be started again.
    Stopped,
    /// It goes for good.
    ShuttingDown,
    /// It is gone.
    Terminated,
}

impl State {
    /// What it means for the minutes.
    #[must_use]
    pub const fn power(self) -> Power {
        match self {
            Self::Pending | Self::Running => Power::Up,
            Self::Stopping | Self::Stopped | Self::ShuttingDown | Self::Terminated => Power::Down,
        }
    }

    /// Whether it goes, or is gone, for good.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::ShuttingDown | Self::Terminated)
    }

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::ShuttingDown => "shutting-down",
            Self::Terminated => "terminated",
        }
    }
}

impl FromStr for State {
    type Err = UnknownState;

    fn from_str(name: &str) -> Result<Self, UnknownState> {
        [
            Self::Pending,
            Self::Running,
            Self::Stopping,
            Self::Stopped,
            Self::ShuttingDown,
            Self::Terminated,
        ]
        .into_iter()
        .find(|state| state.as_str() == name)
        .ok_or_else(|| UnknownState(name.chars().take(40).collect()))
    }
}

/// A state that EC2 does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is none of pending, running, stopping, stopped, shutting-down and terminated")]
pub struct UnknownState(String);

/// What is known of one instance at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Observation {
    /// The moment.
    pub at: Timestamp,
    /// What it was until then, if that is known.
    pub before: Option<Power>,
    /// What it is from then on.
    pub after: Power,
    /// Whether it was made then, and was nothing before.
    pub launched: bool,
}

impl Observation {
    /// It became this.
    #[must_use]
    pub const fn new(at: Timestamp, before: Option<Power>, after: Power) -> Self {
        Self {
            at,
            before,
            after,
            launched: false,
        }
    }

    /// It was made, and started.
    #[must_use]
    pub const fn launched(at: Timestamp) -> Self {
        Self {
            launched: true,
            ..Self::new(at, Some(Power::Down), Power::Up)
        }
    }

    /// It was seen to be this, before and after.
    #[must_use]
    pub const fn seen(at: Timestamp, power: Power) -> Self {
        Self::new(at, Some(power), power)
    }

    /// It was told to have changed to `state`.
    #[must_use]
    pub const fn changed(at: Timestamp, state: State) -> Self {
        let before = match state {
            State::Pending => Some(Power::Down),
            State::Stopping => Some(Power::Up),
            // These follow the two above, in general, and how far behind is not known.
            State::Running | State::Stopped | State::ShuttingDown | State::Terminated => None,
        };
        Self::new(at, before, state.power())
    }

    /// Whether it is a change, and not only seen.
    #[must_use]
    pub fn is_change(&self) -> bool {
        self.before != Some(self.after)
    }
}

/// An observation as the ledger keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Transition {
    /// Of whom.
    pub instance: InstanceId,
    /// What.
    pub observed: Observation,
    /// Tells it from others of the same instance and moment: the id of the event that it comes from.
    pub id: Box<str>,
}
