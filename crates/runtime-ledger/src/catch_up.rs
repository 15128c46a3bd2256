//! Brings the ledger up to what CloudTrail has: by the name of an event, from where it was asked last. So the number of
//! requests goes with the number of events, not of servers.
//!
//! Pages come newest first. Where the time is up, the range that is left is kept as a [`Gap`], and asked for next time.

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::{
    item::TableError,
    ledger::{Gap, Ledger, Watermark},
    lookup::{By, HORIZON, Trail, TrailError},
    trail::EVENT_NAMES,
};

/// Events are asked for again for so long after they happened: most come within minutes, and CloudTrail promises
/// nothing ("Viewing events with CloudTrail Event history").
pub const OVERLAP: SignedDuration = SignedDuration::from_hours(1);

/// The ledger could not be brought up to date.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CatchUpError {
    /// CloudTrail could not be asked.
    #[error(transparent)]
    Trail(#[from] TrailError),
    /// The ledger could not be read or written.
    #[error(transparent)]
    Table(#[from] TableError),
}

impl CatchUpError {
    /// Whether another try may succeed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Trail(error) => error.is_transient(),
            Self::Table(error) => error.is_transient(),
        }
    }
}

/// How it went.
#[derive(Clone, Debug)]
pub struct CaughtUp {
    /// Up to where the ledger goes now.
    pub mark: Watermark,
    /// What it was before.
    pub before: Option<Watermark>,
    /// How many pages CloudTrail was asked for.
    pub pages: usize,
    /// How many transitions they had.
    pub transitions: usize,
    /// How many events could not be read.
    pub unreadable: usize,
}

impl CaughtUp {
    /// Whether all events between two moments are known.
    #[must_use]
    pub fn covers(&self, from: Timestamp) -> bool {
        self.mark.from <= from && self.mark.gaps.iter().all(|gap| gap.until <= from)
    }
}

/// Asks for all events up to `now` that the ledger does not have, and for those since `wanted` if it does not go back
/// so far; until `time` is up.
pub async fn catch_up(
    (trail, ledger): (&Trail, &Ledger),
    region: &str,
    (wanted, now): (Timestamp, Timestamp),
    time: Instant,
) -> Result<CaughtUp, CatchUpError> {
    let before = ledger.watermark(region).await?;
    let (from, gaps) = to_ask(before.as_ref(), wanted.max(now - HORIZON), now);
    let mut caught = CaughtUp {
        mark: Watermark {
            from,
            until: now,
            gaps: Vec::new(),
            closed: before.as_ref().and_then(|mark| mark.closed),
        },
        before,
        pages: 0,
        transitions: 0,
        unreadable: 0,
    };
    for gap in gaps {
        let left = ask(&mut caught, (trail, ledger), region, gap, time).await?;
        caught.mark.gaps.extend(left);
    }
    let (read, mark) = (caught.before.as_ref(), &caught.mark);
    ledger.set_watermark(region, read, mark).await?;
    Ok(caught)
}

/// From when on the ledger will go, and what is to be asked for: what is new, then what was left over.
fn to_ask(before: Option<&Watermark>, wanted: Timestamp, now: Timestamp) -> (Timestamp, Vec<Gap>) {
    let gaps = |from: Timestamp, until: Timestamp| {
        EVENT_NAMES.into_iter().map(move |name| Gap {
            name: name.to_owned(),
            from,
            until,
        })
    };
    // What CloudTrail has forgotten meanwhile is not to be had any more.
    let Some(mark) = before.filter(|mark| mark.until >= now - HORIZON) else {
        return (wanted, gaps(wanted, now).collect());
    };
    let mut all: Vec<_> = gaps(mark.until.min(now) - OVERLAP, now).collect();
    all.extend(
        mark.gaps
            .iter()
            .filter(|gap| gap.until >= now - HORIZON)
            .cloned(),
    );
    if wanted < mark.from {
        all.extend(gaps(wanted, mark.from));
    }
    (mark.from.min(wanted), all)
}

/// Asks for one range, page by page, and records what comes; returns what is left of it when the time is up.
async fn ask(
    caught: &mut CaughtUp,
    (trail, ledger): (&Trail, &Ledger),
    region: &str,
    gap: Gap,
    time: Instant,
) -> Result<Option<Gap>, CatchUpError> {
    let (mut gap, mut next) = (gap, None);
    let mut until = gap.until;
    loop {
        if Instant::now() >= time {
            return Ok(Some(Gap { until, ..gap }));
        }
        let range = (gap.from, gap.until);
        let page = trail
            .page(By::Name(&gap.name), range, next.as_deref())
            .await;
        let page = match page {
            // A token does not live for ever: what is left is another range.
            Err(error) if error.is_lost_token() && until < gap.until => {
                (gap.until, next) = (until, None);
                continue;
            }
            page => page?,
        };
        caught.pages += 1;
        caught.transitions += page.transitions.len();
        caught.unreadable += page.unreadable;
        ledger.record(region, &page.transitions).await?;
        until = page.oldest.unwrap_or(until);
        next = page.next;
        if next.is_none() {
            return Ok(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn ranges(before: Option<&Watermark>, wanted: &str, now: &str) -> (String, Vec<String>) {
        let (from, gaps) = to_ask(before, at(wanted), at(now));
        let stops = gaps.iter().filter(|gap| gap.name == "StopInstances");
        let stops = stops.map(|gap| format!("{} to {}", gap.from, gap.until));
        (from.to_string(), stops.collect())
    }

    #[test]
    fn the_first_run_asks_for_all_and_the_next_for_what_is_new() {
        let (wanted, now) = ("2026-09-01T00:00:00Z", "2026-11-20T10:00:00Z");
        let (from, stops) = ranges(None, wanted, now);
        assert_eq!(from, wanted);
        assert_eq!(stops, ["2026-09-01T00:00:00Z to 2026-11-20T10:00:00Z"]);
        let mark = Watermark {
            from: at(wanted),
            until: at(now),
            gaps: Vec::new(),
            closed: None,
        };
        let (from, stops) = ranges(Some(&mark), wanted, "2026-11-20T11:00:00Z");
        assert_eq!(from, wanted);
        assert_eq!(stops, ["2026-11-20T09:00:00Z to 2026-11-20T11:00:00Z"]);
        let (from, stops) = ranges(Some(&mark), "2026-08-25T00:00:00Z", "2026-11-20T11:00:00Z");
        assert_eq!(from, "2026-08-25T00:00:00Z");
        assert_eq!(stops[1..], ["2026-08-25T00:00:00Z to 2026-09-01T00:00:00Z"]);
    }

    #[test]
    fn what_was_left_over_is_asked_for_after_what_is_new() {
        let mark = Watermark {
            from: at("2026-09-01T00:00:00Z"),
            until: at("2026-11-20T10:00:00Z"),
            gaps: vec![Gap {
                name: "StopInstances".to_owned(),
                from: at("2026-09-01T00:00:00Z"),
                until: at("2026-10-10T00:00:00Z"),
            }],
            closed: None,
        };
        let (_, stops) = ranges(Some(&mark), "2026-09-01T00:00:00Z", "2026-11-20T11:00:00Z");
        assert_eq!(stops[1..], ["2026-09-01T00:00:00Z to 2026-10-10T00:00:00Z"]);
    }

    #[test]
    fn a_ledger_that_was_left_alone_too_long_begins_anew() {
        let mark = Watermark {
            from: at("2026-01-01T00:00:00Z"),
            until: at("2026-02-01T00:00:00Z"),
            gaps: Vec::new(),
            closed: None,
        };
        let (from, stops) = ranges(Some(&mark), "2026-09-01T00:00:00Z", "2026-11-20T11:00:00Z");
        assert_eq!((from.as_str(), stops.len()), ("2026-09-01T00:00:00Z", 1));
    }
}
