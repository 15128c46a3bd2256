//! One Region: what there is, what happened, and what follows for each server.

use std::time::Duration;

use aws_types::SdkConfig;
use futures_util::{StreamExt as _, future::join, stream};
use jiff::Timestamp;
use larder_lambda::Deadline;
use runtime_ledger::{
    InstanceId, Month, Transition,
    catch_up::{CaughtUp, OVERLAP, catch_up},
    ec2::Ec2,
    ledger::MonthTotal,
    lookup::{HORIZON, Trail},
};
use tokio::time::Instant;

use crate::{
    App, Counts, Event,
    server::{Plan, Server, Written},
};

/// How many servers are written at a time.
const AT_A_TIME: usize = 64;
/// So many totals are kept at once: a run that is ended has lost no more.
const KEPT_AT_ONCE: usize = 500;
/// Kept for writing what was found out, of the time that an invocation has.
const FOR_WRITING: u32 = 2;

/// A Region and its clients.
#[derive(Debug)]
pub(crate) struct Region {
    pub(crate) name: String,
    trail: Trail,
    pub(crate) ec2: Ec2,
}

/// A Region's calculation has failed.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) error: anyhow::Error,
    pub(crate) counts: Counts,
}

impl Region {
    pub(crate) fn new(aws: &SdkConfig, name: &str) -> anyhow::Result<Self> {
        Ok(Self {
            name: name.to_owned(),
            trail: Trail::new(aws, name),
            ec2: Ec2::new(aws, name)?,
        })
    }

    /// Computes what `event` asks for, of the servers that are here.
    pub(crate) async fn calculate(
        &self,
        app: &App,
        event: &Event,
        now: Timestamp,
        deadline: &Deadline,
    ) -> Result<Counts, Failed> {
        let mut counts = Counts::default();
        let done = self
            .try_calculate(app, event, (now, deadline), &mut counts)
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
        app: &App,
        event: &Event,
        (now, deadline): (Timestamp, &Deadline),
        counts: &mut Counts,
    ) -> anyhow::Result<()> {
        let runtime = &app.config.runtime;
        let which = runtime.servers(&event.instances);
        let time = Instant::now() + deadline.time_to_work() / FOR_WRITING;
        // Both to their end: what CloudTrail said is kept, whatever EC2 says.
        let (described, caught) = join(
            self.ec2.describe(&which, now),
            catch_up(
                (&self.trail, &app.ledger),
                &self.name,
                (now - HORIZON, now),
                time,
            ),
        )
        .await;
        let (described, caught) = (described?, caught?);
        counts.lookups = caught.pages;
        let months = months(app, event, &caught, now);
        let Some((first, last)) = months.first().zip(months.last()) else {
            return Ok(());
        };
        counts.total_servers = described.len();
        if !caught.covers(first.start(&runtime.zone).max(now - HORIZON)) {
            tracing::warn!(
                region = self.name,
                "Not all events are known yet: the next run goes on"
            );
            counts.pending = described.len();
            return Ok(());
        }
        let gathered = self
            .gather(
                app,
                (*first, *last),
                &caught,
                (described, &event.instances, now),
            )
            .await?;
        let servers = gathered.servers(&event.instances, caught.mark.from);
        counts.total_servers = servers.len();
        let plan = Plan {
            app,
            region: &self.name,
            months: &months,
            cached: event.month.is_none(),
            now,
            since: caught.mark.from.max(first.start(&runtime.zone)),
            covered: caught.mark.from,
        };
        self.write(&plan, servers, deadline, counts).await?;
        if event.instances.is_empty() && event.month.is_none() && counts.pending == 0 {
            self.close(app, &caught, now).await?;
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
                found.keep(self, plan.app).await?;
            }
        }
        found.keep(self, plan.app).await
    }

    /// Makes the months final that ended long enough ago.
    async fn close(&self, app: &App, caught: &CaughtUp, now: Timestamp) -> anyhow::Result<()> {
        let zone = &app.config.runtime.zone;
        let closed = Month::of(now - OVERLAP, zone).previous();
        if closed > caught.mark.closed {
            let mut mark = caught.mark.clone();
            mark.closed = closed;
            app.ledger
                .set_watermark(&self.name, Some(&caught.mark), &mark)
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
    async fn keep(&mut self, region: &Region, app: &App) -> anyhow::Result<()> {
        app.ledger.record(&region.name, &self.news).await?;
        app.ledger.set_totals(&self.totals).await?;
        *self = Self::default();
        Ok(())
    }
}
