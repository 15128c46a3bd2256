//! One Region: what there is, what happened, and what follows for each server.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use aws_types::SdkConfig;
use futures_util::{
    StreamExt as _,
    future::{join, try_join_all},
    stream,
};
use jiff::Timestamp;
use larder_lambda::Deadline;
use runtime_ledger::{
    Described, InstanceId, Month, Observation, State, Transition,
    catch_up::{CaughtUp, OVERLAP, catch_up},
    ec2::{Ec2, Which},
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
/// The most values of one filter of EC2's.
const FILTER: usize = 200;
/// So many totals are kept at once: a run that is ended has lost no more.
const KEPT_AT_ONCE: usize = 500;
/// Kept for writing what was found out, of the time that an invocation has.
const FOR_WRITING: u32 = 2;

/// A Region and its clients.
#[derive(Debug)]
pub(crate) struct Region {
    name: String,
    trail: Trail,
    ec2: Ec2,
}

/// A Region's calculation has failed.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) error: anyhow::Error,
    pub(crate) counts: Counts,
}

/// What is known of all servers.
#[derive(Default)]
struct Gathered {
    described: HashMap<InstanceId, Described>,
    recorded: HashMap<InstanceId, Vec<Observation>>,
    /// Of the first month that is computed.
    first: HashMap<InstanceId, MonthTotal>,
    /// Of the last.
    last: HashMap<InstanceId, MonthTotal>,
    /// Those that EC2 has forgotten since they were computed last.
    gone: Vec<InstanceId>,
}

impl Region {
    pub(crate) fn new(aws: &SdkConfig, name: &str) -> anyhow::Result<Self> {
        Ok(Self {
            name: name.to_owned(),
            trail: Trail::new(aws, name),
            ec2: Ec2::new(aws, name)?,
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
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

    /// Reads what the ledger has of all servers.
    async fn gather(
        &self,
        app: &App,
        (first, last): (Month, Month),
        caught: &CaughtUp,
        (described, only, now): (Vec<Described>, &[InstanceId], Timestamp),
    ) -> anyhow::Result<Gathered> {
        let zone = &app.config.runtime.zone;
        let ids: Vec<_> = described.iter().map(|it| it.instance.clone()).collect();
        let mut gathered = Gathered {
            described: described
                .into_iter()
                .map(|it| (it.instance.clone(), it))
                .collect(),
            ..Gathered::default()
        };
        let since = first.start(zone);
        gathered.first = app.ledger.totals(&ids, first).await?;
        // On the first run of all nobody has a total, and all that there is is read at once.
        let is_first = gathered.first.is_empty() && !ids.is_empty();
        let from = if is_first {
            caught.mark.from.min(since)
        } else {
            since
        };
        gathered.recorded = app
            .ledger
            .observations(&self.name, (from, now), None)
            .await?;
        if !is_first {
            self.look_back(app, &mut gathered, (caught.mark.from, since))
                .await?;
        }
        if last == first {
            gathered.last.clone_from(&gathered.first);
        } else {
            gathered.last = app.ledger.totals(&ids, last).await?;
        }
        if !is_first {
            self.look_for_gone(app, &mut gathered, (first, last), (only, now))
                .await?;
        }
        Ok(gathered)
    }

    /// Looks for servers that were computed before and have not been described now.
    async fn look_for_gone(
        &self,
        app: &App,
        gathered: &mut Gathered,
        (first, last): (Month, Month),
        (only, now): (&[InstanceId], Timestamp),
    ) -> anyhow::Result<()> {
        let others = gathered.recorded.keys();
        let others = others.filter(|id| !gathered.described.contains_key(*id));
        let others = others.filter(|id| only.is_empty() || only.contains(id));
        let others: Vec<_> = others.cloned().collect();
        gathered
            .last
            .extend(app.ledger.totals(&others, last).await?);
        if first != last {
            // At a month's end some have a total of the earlier one alone.
            gathered
                .first
                .extend(app.ledger.totals(&others, first).await?);
        }
        let open = others.into_iter().filter(|id| gathered.is_open(id));
        let open: Vec<_> = open.collect();
        for id in &open {
            if let Some(total) = gathered.last.get(id).filter(|_| first == last) {
                gathered.first.insert(id.clone(), total.clone());
            }
        }
        self.sort_out(app, gathered, open, now).await
    }

    /// Of `open`, which have not the tag: those that EC2 does not describe at all are gone; those that it describes as terminated have
    /// lost it with all else; and those that go on have lost it by somebody's will, and are nobody's servers now, which is kept
    /// in their totals.
    async fn sort_out(
        &self,
        app: &App,
        gathered: &mut Gathered,
        open: Vec<InstanceId>,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        let mut left = Vec::new();
        let mut there = HashSet::new();
        for ids in open.chunks(FILTER) {
            for described in self.ec2.describe(&Which { tag: None, ids }, now).await? {
                let id = described.instance.clone();
                there.insert(id.clone());
                if matches!(described.state, State::ShuttingDown | State::Terminated) {
                    gathered.described.insert(id, described);
                } else if let Some(total) = gathered.last.get(&id) {
                    let total = total.clone();
                    left.push((
                        id,
                        MonthTotal {
                            left: true,
                            ..total
                        },
                    ));
                }
            }
        }
        app.ledger.set_totals(&left).await?;
        gathered.gone = open;
        gathered.gone.retain(|id| !there.contains(id));
        Ok(())
    }

    /// Reads the past of servers that are new here, and not because they were launched this month: they have got their tag.
    async fn look_back(
        &self,
        app: &App,
        gathered: &mut Gathered,
        range: (Timestamp, Timestamp),
    ) -> anyhow::Result<()> {
        let is_new = |id: &&InstanceId| {
            let recorded = gathered.recorded.get(*id);
            let launched = recorded.is_some_and(|all| all.iter().any(|it| it.launched));
            !launched && !gathered.first.contains_key(*id)
        };
        let new: Vec<_> = gathered.described.keys().filter(is_new).cloned().collect();
        for some in new.chunks(AT_A_TIME) {
            let past = some
                .iter()
                .map(|id| app.ledger.observations(&self.name, range, Some(id)));
            for (id, of) in try_join_all(past).await?.into_iter().flatten() {
                gathered.recorded.entry(id).or_default().extend(of);
            }
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

impl Gathered {
    /// What the ledger has of a server last.
    fn total(&self, id: &InstanceId) -> Option<&MonthTotal> {
        self.last.get(id).or_else(|| self.first.get(id))
    }

    /// Whether something may still become of a server that is not described.
    fn is_open(&self, id: &InstanceId) -> bool {
        let recorded = self.recorded.get(id);
        self.total(id).is_some_and(|total| total.is_open(recorded))
    }

    /// The servers that are there and those that are gone; of `only` these, if there are any.
    fn servers(mut self, only: &[InstanceId], covered: Timestamp) -> Vec<Server> {
        let mut ids: HashSet<_> = self.described.keys().cloned().collect();
        ids.extend(std::mem::take(&mut self.gone));
        if !only.is_empty() {
            ids.retain(|id| only.contains(id));
        }
        let server = |id: InstanceId| Server {
            described: self.described.remove(&id),
            recorded: self.recorded.remove(&id).unwrap_or_default(),
            opening: self.first.get(&id).and_then(|total| total.opening),
            // A look from before all that is known bounds nothing.
            looks: self
                .total(&id)
                .map(|total| total.looks)
                .filter(|looks| looks.last >= covered),
            id,
        };
        ids.into_iter().map(server).collect()
    }
}
