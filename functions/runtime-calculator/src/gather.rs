//! What is known of all servers of a Region: by EC2, by the ledger, and by the totals of earlier runs.

use std::collections::{HashMap, HashSet};

use futures_util::future::try_join_all;
use jiff::Timestamp;
use runtime_ledger::{
    Described, InstanceId, Month, Observation, Region,
    catch_up::CaughtUp,
    ec2::{MOST_IDS, Which},
    ledger::MonthTotal,
};

use crate::{App, server::Server};

/// How many servers are looked back at, at a time.
const AT_A_TIME: usize = 64;

/// What is known of all servers.
#[derive(Default)]
pub(crate) struct Gathered {
    described: HashMap<InstanceId, Described>,
    recorded: HashMap<InstanceId, Vec<Observation>>,
    /// Of the first month that is computed.
    first: HashMap<InstanceId, MonthTotal>,
    /// Of the last, if that is another.
    last: Option<HashMap<InstanceId, MonthTotal>>,
    /// Those that EC2 has forgotten since they were computed last.
    gone: Vec<InstanceId>,
}

impl App {
    /// Reads what the ledger has of all servers.
    pub(crate) async fn gather(
        &self,
        region: &Region,
        (first, last): (Month, Month),
        caught: &CaughtUp,
        (described, only, now): (Vec<Described>, &[InstanceId], Timestamp),
    ) -> anyhow::Result<Gathered> {
        let zone = &self.config.runtime.zone;
        let ids: Vec<_> = described.iter().map(|it| it.instance.clone()).collect();
        let mut gathered = Gathered {
            described: described
                .into_iter()
                .map(|it| (it.instance.clone(), it))
                .collect(),
            ..Gathered::default()
        };
        let since = first.start(zone);
        gathered.first = self.ledger.totals(&ids, first).await?;
        // On the first run of all nobody has a total, and all that there is is read at once.
        let is_first = gathered.first.is_empty() && !ids.is_empty();
        let from = if is_first {
            caught.mark.from.min(since)
        } else {
            since
        };
        gathered.recorded = self
            .ledger
            .observations(&region.name, (from, now), None)
            .await?;
        if !is_first {
            self.look_back(region, &mut gathered, (caught.mark.from, since))
                .await?;
        }
        if last != first {
            gathered.last = Some(self.ledger.totals(&ids, last).await?);
        }
        if !is_first {
            self.look_for_gone(region, &mut gathered, (first, last), (only, now))
                .await?;
        }
        Ok(gathered)
    }

    /// Looks for servers that were computed before and have not been described now.
    async fn look_for_gone(
        &self,
        region: &Region,
        gathered: &mut Gathered,
        (first, last): (Month, Month),
        (only, now): (&[InstanceId], Timestamp),
    ) -> anyhow::Result<()> {
        let others = gathered.recorded.keys();
        let others = others.filter(|id| !gathered.described.contains_key(*id));
        let others = others.filter(|id| only.is_empty() || only.contains(id));
        let others: Vec<_> = others.cloned().collect();
        gathered
            .first
            .extend(self.ledger.totals(&others, first).await?);
        if let Some(totals) = &mut gathered.last {
            totals.extend(self.ledger.totals(&others, last).await?);
        }
        let open = others.into_iter().filter(|id| gathered.is_open(id));
        let open = open.collect();
        self.sort_out(region, gathered, open, now).await
    }

    /// Of `open`, which have not the tag: those that EC2 does not describe at all are gone; those that it describes as terminated have
    /// lost it with all else; and those that go on have lost it by somebody's will, and are nobody's servers now, which is kept
    /// in their totals.
    async fn sort_out(
        &self,
        region: &Region,
        gathered: &mut Gathered,
        open: Vec<InstanceId>,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        let mut left = Vec::new();
        let mut there = HashSet::new();
        for ids in open.chunks(MOST_IDS) {
            for described in region.ec2.describe(&Which { tag: None, ids }, now).await? {
                let id = described.instance.clone();
                there.insert(id.clone());
                if described.state.is_final() {
                    gathered.described.insert(id, described);
                } else if let Some(total) = gathered.newest().get(&id) {
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
        self.ledger.set_totals(&left).await?;
        gathered.gone = open;
        gathered.gone.retain(|id| !there.contains(id));
        Ok(())
    }

    /// Reads the past of servers that are new here, and not because they were launched this month: they have got their tag.
    async fn look_back(
        &self,
        region: &Region,
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
                .map(|id| self.ledger.observations(&region.name, range, Some(id)));
            for (id, of) in try_join_all(past).await?.into_iter().flatten() {
                gathered.recorded.entry(id).or_default().extend(of);
            }
        }
        Ok(())
    }
}

impl Gathered {
    /// Totals of the last month.
    fn newest(&self) -> &HashMap<InstanceId, MonthTotal> {
        self.last.as_ref().unwrap_or(&self.first)
    }

    /// What the ledger has of a server last.
    fn total(&self, id: &InstanceId) -> Option<&MonthTotal> {
        self.newest().get(id).or_else(|| self.first.get(id))
    }

    /// Whether something may still become of a server that is not described.
    fn is_open(&self, id: &InstanceId) -> bool {
        let recorded = self.recorded.get(id);
        self.total(id).is_some_and(|total| total.is_open(recorded))
    }

    /// The servers that are there and those that are gone; of `only` these, if there are any.
    pub(crate) fn servers(mut self, only: &[InstanceId], covered: Timestamp) -> Vec<Server> {
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
