//! One Region: what there is, what happened, and what follows for each server.

use std::time::Duration;

use futures_util::{StreamExt as _, future::join, stream};
use jiff::Timestamp;
use larder_lambda::Deadline;
use runtime_ledger::{
    InstanceId, Month, Region, Transition,
    catch_up::{CaughtUp, OVERLAP, catch_up},
    ledger::MonthTotal,
    lookup::HORIZON,
};
use tokio::time::Instant;

use crate::{
    App, Counts, Event,
    server::{Calendar, Plan, Server, Written},
};

/// How many servers are written at a time.
const AT_A_TIME: usize = 64;
/// So many totals are kept at once: a run that is ended has lost no more.
const KEPT_AT_ONCE: usize = 500;
/// Kept for writing what was found out, of the time that an invocation has.
const FOR_WRITING: u32 = 2;

/// A Region's calculation has failed.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) error: anyhow::Error,
    pub(crate) counts: Counts,
}

impl App {
    /// Computes what `event` asks for, of the servers that are here.
    pub(crate) async fn calculate_in(
        &self,
        region: &Region,
        event: &Event,
        now: Timestamp,
        deadline: &Deadline,
    ) -> Result<Counts, Failed> {
        let mut counts = Counts::default();
        let done = self
            .try_calculate(region, event, (now, deadline), &mut counts)
            .await;
        done.map_err(|error| {
            // That of none is known how many there are does not make it no error.
            counts.errors = (counts.total_servers - counts.processed).max(1);
            counts.total_servers = counts.total_servers.max(1);
            Failed { error, counts }
        })?;
        Ok(counts)
    }

    async fn try_calculate(
        &self,
        region: &Region,
        event: &Event,
        (now, deadline): (Timestamp, &Deadline),
        counts: &mut Counts,
    ) -> anyhow::Result<()> {
        let runtime = &self.config.runtime;
        let which = runtime.servers(&event.instances);
        let time = Instant::now() + deadline.time_to_work() / FOR_WRITING;
        // Both to their end: what CloudTrail said is kept, whatever EC2 says.
        let (described, caught) = join(
            region.ec2.describe(&which, now),
            catch_up(
                (&region.trail, &self.ledger),
                &region.name,
                (now - HORIZON, now),
                time,
            ),
        )
        .await;
        let (described, caught) = (described?, caught?);
        counts.lookups = caught.pages;
        let months = months(self, event, &caught, now);
        let Some((first, last)) = months.first().zip(months.last()) else {
            return Ok(());
        };
        counts.total_servers = described.len();
        if !caught.covers(first.start(&runtime.zone).max(now - HORIZON)) {
            tracing::warn!(
                region = region.name,
                "Not all events are known yet: the next run goes on"
            );
            counts.pending = described.len();
            return Ok(());
        }
        let gathered = self
            .gather(
                region,
                (*first, *last),
                &caught,
                (described, &event.instances, now),
            )
            .await?;
        let servers = gathered.servers(&event.instances, caught.mark.from);
        counts.total_servers = servers.len();
        let plan = Plan {
            app: self,
            region: &region.name,
            months: months
                .iter()
                .map(|month| Calendar::of(*month, &runtime.zone))
                .collect(),
            cached: event.month.is_none(),
            now,
            since: caught.mark.from.max(first.start(&runtime.zone)),
            covered: caught.mark.from,
        };
        self.write(&plan, servers, deadline, counts).await?;
        if event.instances.is_empty() && event.month.is_none() && counts.pending == 0 {
            self.close(region, &caught, now).await?;
        }
        Ok(())
    }

    /// Writes all servers; those that were not looked at for longest come first.
    async fn write(
        &self,
        plan: &Plan<'_>,
        mut servers: Vec<Server>,
        deadline: &Deadline,
        counts: &mut Counts,
    ) -> anyhow::Result<()> {
        servers.sort_by_key(Server::looked_at);
        let time = Instant::now()
            + deadline
                .time_to_work()
                .saturating_sub(Duration::from_secs(2));
        let mut writes = stream::iter(servers)
            .map(async |server| {
                if Instant::now() >= time {
                    return Written::Late;
                }
                server.write(plan).await
            })
            .buffer_unordered(AT_A_TIME);
        let mut found = Found::default();
        while let Some(written) = writes.next().await {
            match written {
                Written::Done(done) => {
                    counts.processed += usize::from(done.is_written);
                    counts.errors += usize::from(!done.is_written);
                    counts.bounded += usize::from(done.is_written && done.is_bounded);
                    found.totals.extend(done.totals);
                    found.news.extend(done.news);
                }
                Written::Late => counts.pending += 1,
            }
            if found.totals.len() >= KEPT_AT_ONCE {
                found.keep(plan).await?;
            }
        }
        found.keep(plan).await
    }

    /// Makes the months final that ended long enough ago.
    async fn close(
        &self,
        region: &Region,
        caught: &CaughtUp,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        let zone = &self.config.runtime.zone;
        let closed = Month::of(now - OVERLAP, zone).previous();
        if closed > caught.mark.closed {
            let mut mark = caught.mark.clone();
            mark.closed = closed;
            self.ledger
                .set_watermark(&region.name, Some(&caught.mark), &mark)
                .await?;
        }
        Ok(())
    }
}

/// The months to compute: the present one, and those before it whose totals are not final.
fn months(app: &App, event: &Event, caught: &CaughtUp, now: Timestamp) -> Vec<Month> {
    if let Some(month) = event.month {
        return vec![month];
    }
    let zone = &app.config.runtime.zone;
    let present = Month::of(now, zone);
    let covered = || {
        let known = Month::of(caught.mark.from, zone);
        if known.start(zone) < caught.mark.from {
            known.next()
        } else {
            Some(known)
        }
    };
    let first = caught.mark.closed.map_or_else(covered, Month::next);
    first.unwrap_or(present).min(present).to(present).collect()
}

/// What was found out, and is not in the ledger yet.
#[derive(Default)]
struct Found {
    totals: Vec<(InstanceId, MonthTotal)>,
    news: Vec<Transition>,
}

impl Found {
    /// Keeps it. What will not be said again comes first: totals can be computed anew.
    async fn keep(&mut self, plan: &Plan<'_>) -> anyhow::Result<()> {
        plan.app.ledger.record(plan.region, &self.news).await?;
        plan.app.ledger.set_totals(&self.totals).await?;
        *self = Self::default();
        Ok(())
    }
}
