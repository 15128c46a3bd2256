//! One server: its account, and what is written of it.

use jiff::{Timestamp, tz::TimeZone};
use runtime_ledger::{
    Account, Described, InstanceId, Known, Looks, Minutes, Month, Observation, Power, Quality,
    Total, Transition, ledger::MonthTotal, servers::Written as InTable,
};

use crate::App;

/// What is computed, of all servers.
pub(crate) struct Plan<'a> {
    pub(crate) app: &'a App,
    pub(crate) region: &'a str,
    pub(crate) months: Vec<Calendar>,
    /// Whether the last of the months is the present one, which the servers' table has.
    pub(crate) cached: bool,
    pub(crate) now: Timestamp,
    /// From when on the ledger was read.
    pub(crate) since: Timestamp,
    /// From when on CloudTrail was asked.
    pub(crate) covered: Timestamp,
}

/// A month, and when its days begin: for thousands of servers the calendar is looked at once.
pub(crate) struct Calendar {
    month: Month,
    start: Timestamp,
    days: Vec<Timestamp>,
}

impl Calendar {
    pub(crate) fn of(month: Month, zone: &TimeZone) -> Self {
        Self {
            month,
            start: month.start(zone),
            days: month.days(zone).collect(),
        }
    }
}

/// A server, with all that is known of it.
pub(crate) struct Server {
    pub(crate) id: InstanceId,
    pub(crate) described: Option<Described>,
    pub(crate) recorded: Vec<Observation>,
    pub(crate) opening: Option<(Timestamp, Power)>,
    pub(crate) looks: Option<Looks>,
}

/// What became of a server.
pub(crate) enum Written {
    Done(Done),
    /// There was no time.
    Late,
}

/// What the ledger is to keep of it.
pub(crate) struct Done {
    /// Whether the servers' table has it; the log says why not.
    pub(crate) is_written: bool,
    pub(crate) totals: Vec<(InstanceId, MonthTotal)>,
    pub(crate) news: Vec<Transition>,
    pub(crate) is_bounded: bool,
}

impl Server {
    /// When it was looked at last; never comes first.
    pub(crate) fn looked_at(&self) -> Option<Timestamp> {
        self.looks.map(|looks| looks.last)
    }

    /// Computes its minutes and writes those of the present month to the servers' table.
    pub(crate) async fn write(mut self, plan: &Plan<'_>) -> Written {
        let known = Known {
            recorded: std::mem::take(&mut self.recorded),
            since: plan.since,
            covered: plan.covered,
            opening: self.opening,
            looks: self.looks,
            described: self.described.as_ref(),
        };
        let now = self.described.as_ref().map_or(plan.now, |it| it.at);
        let account = Account::of(known, now);
        let totals = totals(&account, plan);
        let Some((minutes, quality)) = totals.last().map(|of| (of.total.minutes(), of.quality()))
        else {
            return Written::Late;
        };
        let is_written = !plan.cached || self.cache(minutes, plan).await;
        // Whoever finds the same out again writes the same item.
        let of = |observed: Observation| {
            let id = match (observed.is_change(), observed.after) {
                (true, Power::Up) => "told-up",
                (true, Power::Down) => "told-down",
                (false, Power::Up) => "seen-up",
                (false, Power::Down) => "seen-down",
            };
            Transition {
                instance: self.id.clone(),
                observed,
                id: id.into(),
            }
        };
        Written::Done(Done {
            is_written,
            news: account.news.into_iter().map(of).collect(),
            totals: totals
                .into_iter()
                .map(|total| (self.id.clone(), total))
                .collect(),
            is_bounded: quality == Quality::Bounded,
        })
    }

    /// Writes the minutes of the present month to the servers' table, unless something newer is there; whether that went well.
    async fn cache(&self, minutes: Minutes, plan: &Plan<'_>) -> bool {
        let ended = self.described.as_ref().is_none_or(|it| it.state.is_final());
        // Dated by the beginning of the run, which is in the month that was computed.
        let at = plan.now;
        let through = plan.app.write_through(&self.id, at);
        match plan.app.servers.set(&self.id, minutes, at, !ended).await {
            Ok(InTable::Yes) => {
                tracing::info!(
                    region = plan.region,
                    "Cached runtime for {}: {minutes} minutes",
                    self.id
                );
                if let Some(through) = through {
                    through.finish(minutes).await;
                }
                true
            }
            Ok(InTable::Refused) => {
                tracing::debug!(instance = %self.id, "Something newer is there, or the server is gone");
                true
            }
            Err(error) => {
                tracing::error!(instance = %self.id, %error, "A server's minutes could not be written");
                false
            }
        }
    }
}

/// Its totals of all months.
fn totals(account: &Account, plan: &Plan<'_>) -> Vec<MonthTotal> {
    let of = |Calendar { month, start, days }: &Calendar| MonthTotal {
        month: *month,
        total: Total::between(&account.timeline, days),
        opening: account.timeline.at(*start).map(|power| (*start, power)),
        looks: account.looks,
        left: false,
    };
    plan.months.iter().map(of).collect()
}
