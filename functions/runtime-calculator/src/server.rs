//! One server: its account, and what is written of it.

use jiff::{Timestamp, tz::TimeZone};
use runtime_ledger::{
    Account, Described, InstanceId, Known, Month, Observation, Power, Quality, State, Total,
    Transition, ledger::MonthTotal,
};

use crate::App;

/// What is computed, of all servers.
pub(crate) struct Plan<'a> {
    pub(crate) app: &'a App,
    pub(crate) region: &'a str,
    pub(crate) months: &'a [Month],
    /// Whether the last of the months is the present one, which the servers' table has.
    pub(crate) cached: bool,
    pub(crate) now: Timestamp,
    /// From when on the ledger was read.
    pub(crate) since: Timestamp,
}

/// A server, with all that is known of it.
pub(crate) struct Server {
    pub(crate) id: InstanceId,
    pub(crate) described: Option<Described>,
    pub(crate) recorded: Vec<Observation>,
    pub(crate) opening: Option<(Timestamp, Power)>,
    pub(crate) seen: Option<(Timestamp, Power)>,
}

/// What became of a server.
pub(crate) enum Written {
    Done(Done),
    /// It failed, and the log says how.
    Failed,
    /// There was no time.
    Late,
}

/// What the ledger is to keep of it.
pub(crate) struct Done {
    pub(crate) totals: Vec<(InstanceId, MonthTotal)>,
    pub(crate) news: Vec<Transition>,
    pub(crate) is_bounded: bool,
}

impl Server {
    /// When it was looked at last; never comes first.
    pub(crate) fn looked_at(&self) -> Option<Timestamp> {
        self.seen.map(|(at, _)| at)
    }

    /// Computes its minutes and writes those of the present month to the servers' table.
    pub(crate) async fn write(self, plan: &Plan<'_>) -> Written {
        let zone = &plan.app.config.runtime.zone;
        let known = Known {
            recorded: self.recorded,
            since: plan.since,
            opening: self.opening,
            seen: self.seen,
            described: self.described.as_ref(),
        };
        let account = Account::of(known, plan.now);
        let totals = totals(&account, plan, zone);
        let Some(last) = totals.last().map(|of| of.total.clone()) else {
            return Written::Late;
        };
        let minutes = last.minutes();
        if plan.cached {
            let ended = self
                .described
                .as_ref()
                .is_none_or(|it| matches!(it.state, State::ShuttingDown | State::Terminated));
            let written = plan
                .app
                .servers
                .set(&self.id, minutes, plan.now, !ended)
                .await;
            if let Err(error) = written {
                tracing::error!(instance = %self.id, %error, "A server's minutes could not be written");
                return Written::Failed;
            }
            tracing::info!(
                region = plan.region,
                "Cached runtime for {}: {minutes} minutes",
                self.id
            );
        }
        let of = |observed| Transition {
            instance: self.id.clone(),
            observed,
            id: "described".into(),
        };
        Written::Done(Done {
            news: account.news.into_iter().map(of).collect(),
            totals: totals
                .into_iter()
                .map(|total| (self.id.clone(), total))
                .collect(),
            is_bounded: last.quality() == Quality::Bounded,
        })
    }
}

/// Its totals of all months.
fn totals(account: &Account, plan: &Plan<'_>, zone: &TimeZone) -> Vec<MonthTotal> {
    let of = |month: &Month| {
        let start = month.start(zone);
        MonthTotal {
            month: *month,
            total: Total::of(&account.timeline, *month, zone),
            opening: account.timeline.at(start).map(|power| (start, power)),
            power: account.power,
            seen: plan.now,
        }
    };
    plan.months.iter().map(of).collect()
}
