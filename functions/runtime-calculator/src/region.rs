//! One Region: what there is, what happened, and what follows for each server.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use aws_types::SdkConfig;
use futures_util::{StreamExt as _, future::try_join, stream};
use jiff::{SignedDuration, Timestamp};
use larder_lambda::Deadline;
use runtime_ledger::{
    Described, InstanceId, Month, Observation,
    catch_up::{CaughtUp, catch_up},
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
/// Totals of a month are final so long after its end: by then CloudTrail has told of all that happened in it.
const CLOSING: SignedDuration = SignedDuration::from_hours(6);
/// The most values of one filter of EC2's.
const FILTER: usize = 200;
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
        let describing = async { Ok::<_, anyhow::Error>(self.ec2.describe(&which).await?) };
        let catching_up = async {
            let clients = (&self.trail, &app.ledger);
            let range = (now - HORIZON, now);
            Ok(catch_up(clients, &self.name, range, time).await?)
        };
        let (described, caught) = try_join(describing, catching_up).await?;
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
            .gather(app, (*first, *last), &caught, (described, now))
            .await?;
        let servers = gathered.servers(&event.instances);
        counts.total_servers = servers.len();
        let plan = Plan {
            app,
            region: &self.name,
            months: &months,
            cached: event.month.is_none(),
            now,
            since: caught.mark.from.max(first.start(&runtime.zone)),
        };
        self.write(&plan, servers, deadline, counts).await?;
        if event.instances.is_empty()
            && event.month.is_none()
            && counts.processed == counts.total_servers
        {
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
        (described, now): (Vec<Described>, Timestamp),
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
        // One that was there before the month and has no total yet has its past in earlier months, too.
        let is_new =
            |it: &&Described| it.launched < since && !gathered.first.contains_key(&it.instance);
        let deep = gathered.described.values().any(|it| is_new(&it));
        let from = if deep {
            caught.mark.from.min(since)
        } else {
            since
        };
        gathered.recorded = app
            .ledger
            .observations(&self.name, (from, now), None)
            .await?;
        let others = gathered.recorded.keys();
        let others = others.filter(|id| !gathered.described.contains_key(*id));
        let others: Vec<_> = others.cloned().collect();
        gathered
            .first
            .extend(app.ledger.totals(&others, first).await?);
        if last == first {
            gathered.last.clone_from(&gathered.first);
        } else {
            let all: Vec<_> = ids.into_iter().chain(others.iter().cloned()).collect();
            gathered.last = app.ledger.totals(&all, last).await?;
        }
        let open = others.into_iter().filter(|id| gathered.is_open(id));
        gathered.gone = self.gone(open.collect()).await?;
        Ok(gathered)
    }

    /// Those of `open` that EC2 does not describe any more. One that it does has lost its tag, and is nobody's server now.
    async fn gone(&self, open: Vec<InstanceId>) -> anyhow::Result<Vec<InstanceId>> {
        let mut there = HashSet::new();
        for some in open.chunks(FILTER) {
            let described = self
                .ec2
                .describe(&Which {
                    tag: None,
                    ids: some,
                })
                .await?;
            there.extend(described.into_iter().map(|it| it.instance));
        }
        let mut gone = open;
        gone.retain(|id| !there.contains(id));
        Ok(gone)
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
        let (mut totals, mut news) = (Vec::new(), Vec::new());
        while let Some(written) = writes.next().await {
            match written {
                Written::Done(done) => {
                    counts.processed += 1;
                    counts.bounded += usize::from(done.is_bounded);
                    totals.extend(done.totals);
                    news.extend(done.news);
                }
                Written::Failed => counts.errors += 1,
                Written::Late => counts.pending += 1,
            }
        }
        let ledger = &plan.app.ledger;
        ledger.record(&self.name, &news).await?;
        ledger.set_totals(&totals).await?;
        Ok(())
    }

    /// Makes the months final that ended long enough ago.
    async fn close(&self, app: &App, caught: &CaughtUp, now: Timestamp) -> anyhow::Result<()> {
        let zone = &app.config.runtime.zone;
        let closed = Month::of(now - CLOSING, zone).previous();
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
    fn servers(mut self, only: &[InstanceId]) -> Vec<Server> {
        let mut ids: HashSet<_> = self.described.keys().cloned().collect();
        ids.extend(std::mem::take(&mut self.gone));
        if !only.is_empty() {
            ids.retain(|id| only.contains(id));
        }
        let server = |id: InstanceId| Server {
            described: self.described.remove(&id),
            recorded: self.recorded.remove(&id).unwrap_or_default(),
            opening: self.first.get(&id).and_then(|total| total.opening),
            seen: self.total(&id).and_then(MonthTotal::seen),
            id,
        };
        ids.into_iter().map(server).collect()
    }
}
