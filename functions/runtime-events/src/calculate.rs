//! Computing one server's minutes now: from the ledger and from what EC2 says, and from CloudTrail only where the
//! hourly run has not been.

use futures_util::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use larder_lambda::{Error, ErrorKind, Kind as _};
use runtime_ledger::{
    Account, Described, InstanceId, Known, Month, Power, Quality, Region, State, Total,
    catch_up::OVERLAP,
    ec2::Which,
    ledger::{MonthTotal, Watermark},
    lookup::{By, HORIZON},
};

use crate::{
    App,
    answer::{Reading, Source},
};

/// The hourly run has come, or CloudTrail has to be asked about the server itself.
const RECENT: SignedDuration = SignedDuration::from_hours(2);
/// No server has more pages of events than this: 5,000.
const MOST_PAGES: usize = 100;

/// A server's minutes, computed just now.
#[derive(Debug)]
pub(crate) struct Calculated {
    pub(crate) total: Total,
    state: State,
    /// Whether it says more than the ledger does.
    pub(crate) is_new: bool,
}

impl Calculated {
    /// Whether it is gone for good.
    pub(crate) const fn is_over(&self) -> bool {
        self.state.is_final()
    }

    pub(crate) fn reading(&self, instance: &InstanceId) -> Reading {
        let bounded = self.total.quality() == Quality::Bounded;
        Reading {
            instance_id: instance.clone(),
            state: Some(self.state.as_str()),
            minutes: self.total.minutes().as_f64(),
            timestamp: None,
            source: Source::Calculated,
            upper: bounded.then(|| self.total.upper().as_f64()),
        }
    }
}

impl App {
    /// Computes the minutes of `instance` in the present month; `None` if it is no server. It is looked for in `region`, or
    /// in all.
    pub(crate) async fn calculate(
        &self,
        instance: &InstanceId,
        region: Option<&str>,
        now: Timestamp,
    ) -> Result<Option<Calculated>, Error> {
        let month = Month::of(now, &self.config.runtime.zone);
        let ids = [instance.clone()];
        let (found, totals) = tokio::join!(
            self.find(self.config.runtime.servers(&ids), region, now),
            self.ledger.totals(&ids, month)
        );
        let total = totals.kind(ErrorKind::Upstream)?.remove(instance);
        match (found?, total) {
            (Some((region, described)), total) => {
                let account = self
                    .account(region, &described, total.as_ref(), (month, now))
                    .await?;
                Ok(Some(account))
            }
            // EC2 has forgotten it, and the ledger has not.
            (None, Some(total))
                if total.looks.power == Power::Down
                    && !self.is_there(&ids, region, now).await? =>
            {
                Ok(Some(Calculated {
                    total: total.total,
                    state: State::Terminated,
                    is_new: false,
                }))
            }
            (None, _) => Ok(None),
        }
    }

    /// Whether EC2 has an instance, with the tag or without.
    async fn is_there(
        &self,
        ids: &[InstanceId],
        region: Option<&str>,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let found = self.find(Which { tag: None, ids }, region, now).await?;
        Ok(found.is_some())
    }

    /// Where an instance is, and what EC2 says of it.
    async fn find(
        &self,
        which: Which<'_>,
        region: Option<&str>,
        now: Timestamp,
    ) -> Result<Option<(&Region, Described)>, Error> {
        let regions = self.regions.iter();
        let regions = regions.filter(|it| region.is_none_or(|region| it.name == region));
        let asked = regions.map(async |region| {
            let described = region.ec2.describe(&which, now).await?;
            Ok::<_, runtime_ledger::ec2::Ec2Error>(
                described.into_iter().next().map(|it| (region, it)),
            )
        });
        let found = try_join_all(asked).await.kind(ErrorKind::Upstream)?;
        Ok(found.into_iter().flatten().next())
    }

    async fn account(
        &self,
        region: &Region,
        described: &Described,
        total: Option<&MonthTotal>,
        (month, now): (Month, Timestamp),
    ) -> Result<Calculated, Error> {
        let zone = &self.config.runtime.zone;
        let instance = &described.instance;
        let mark = self
            .ledger
            .watermark(&region.name)
            .await
            .kind(ErrorKind::Upstream)?;
        let start = month.start(zone);
        self.ask_trail(region, instance, mark.as_ref(), (start, now))
            .await?;
        let opening = total.and_then(|total| total.opening);
        let since = if opening.is_some() {
            start
        } else {
            (now - HORIZON).min(start)
        };
        let recorded = self
            .ledger
            .observations(&region.name, (since, now), Some(instance))
            .await;
        let known = Known {
            recorded: recorded
                .kind(ErrorKind::Upstream)?
                .remove(instance)
                .unwrap_or_default(),
            since,
            covered: mark.map_or(now - HORIZON, |mark| mark.from.min(now - HORIZON)),
            opening,
            looks: total.map(|total| total.looks),
            described: Some(described),
        };
        let account = Account::of(known, described.at);
        Ok(Calculated {
            total: Total::of(&account.timeline, month, zone),
            state: described.state,
            is_new: true,
        })
    }

    /// Asks CloudTrail about a server, if nobody has asked about all of them since `start`, and of late.
    async fn ask_trail(
        &self,
        region: &Region,
        instance: &InstanceId,
        mark: Option<&Watermark>,
        (start, now): (Timestamp, Timestamp),
    ) -> Result<(), Error> {
        let horizon = now - HORIZON;
        let knows = |mark: &&Watermark| {
            mark.from <= start.max(horizon) && mark.gaps.iter().all(|gap| gap.until <= start)
        };
        let until = mark.filter(knows).map(|mark| mark.until);
        if until.is_some_and(|until| until >= now - RECENT) {
            return Ok(());
        }
        let from = until.map_or(horizon, |until| (until - OVERLAP).max(horizon));
        let mut next: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let by = By::Instance(instance);
            let page = region.trail.page(by, (from, now), next.as_deref()).await;
            let page = page.kind(ErrorKind::Upstream)?;
            // A call may have been for many servers.
            let own = page
                .transitions
                .into_iter()
                .filter(|it| it.instance == *instance);
            let own: Vec<_> = own.collect();
            let recorded = self.ledger.record(&region.name, &own).await;
            recorded.kind(ErrorKind::Upstream)?;
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        Ok(())
    }
}
