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
/// nothing ("Viewing events with CloudTrail Event history"). What is older than this is final.
pub const OVERLAP: SignedDuration = SignedDuration::from_hours(6);

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
    // One that begins anew has no months that are final.
    let goes_on = before.as_ref().filter(|mark| mark.until >= from);
    let mut caught = CaughtUp {
        mark: Watermark {
            from,
            until: now,
            gaps: Vec::new(),
            closed: goes_on.and_then(|mark| mark.closed),
        },
        before,
        pages: 0,
        transitions: 0,
        unreadable: 0,
    };
    let mut failed = None;
    for mut gap in gaps {
        let asked = match failed {
            None => ask(&mut caught, (trail, ledger), region, (&mut gap, time)).await,
            // Its turn comes next time.
            Some(_) => Ok(false),
        };
        match asked {
            Ok(true) => {}
            Ok(false) => caught.mark.gaps.push(gap),
            Err(error) => {
                caught.mark.gaps.push(gap);
                failed = Some(error);
            }
        }
    }
    caught.mark.gaps = merged(caught.mark.gaps);
    // Also after an error, so that what was asked for is not asked for again.
    let (read, mark) = (caught.before.as_ref(), &caught.mark);
    ledger.set_watermark(region, read, mark).await?;
    failed.map_or(Ok(caught), Err)
}

/// The same, with one for all that meet.
fn merged(mut gaps: Vec<Gap>) -> Vec<Gap> {
    gaps.sort_by(|a, b| (&a.name, a.from).cmp(&(&b.name, b.from)));
    let mut all: Vec<Gap> = Vec::with_capacity(gaps.len());
    for gap in gaps {
        match all.last_mut() {
            Some(last) if last.name == gap.name && gap.from <= last.until => {
                last.until = last.until.max(gap.until);
            }
            _ => all.push(gap),
        }
    }
    all
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
    let (left, lost): (Vec<_>, Vec<_>) = mark
        .gaps
        .iter()
        .cloned()
        .partition(|gap| gap.until >= now - HORIZON);
    all.extend(left);
    if let Some(lost) = lost.iter().map(|gap| gap.until).max() {
        return (mark.from.max(lost), all);
    }
    if wanted < mark.from {
        all.extend(gaps(wanted, mark.from));
    }
    (mark.from.min(wanted), all)
}

/// Asks for the range of `gap`, page by page, and records what comes; `false` if the time is up before all of it has come. What is left is in
/// `gap` then, and after an error, too.
async fn ask(
    caught: &mut CaughtUp,
    (trail, ledger): (&Trail, &Ledger),
    region: &str,
    (gap, time): (&mut Gap, Instant),
) -> Result<bool, CatchUpError> {
    let (mut asked, mut next) = (gap.clone(), None);
    loop {
        let (by, range) = (By::Name(&asked.name), (asked.from, asked.until));
        let page = trail.page(by, range, next.as_deref());
        let Ok(page) = tokio::time::timeout_at(time, page).await else {
            return Ok(false);
        };
        let page = match page {
            // A token does not live for ever: what is left is another range.
            Err(error) if error.is_lost_token() && gap.until < asked.until => {
                (asked.until, next) = (gap.until, None);
                continue;
            }
            page => page?,
        };
        caught.pages += 1;
        caught.transitions += page.transitions.len();
        caught.unreadable += page.unreadable;
        ledger.record(region, &page.transitions).await?;
        gap.until = page.oldest.unwrap_or(gap.until);
        next = page.next;
        if next.is_none() {
            return Ok(true);
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
        assert_eq!(stops, ["2026-11-20T04:00:00Z to 2026-11-20T11:00:00Z"]);
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

    #[test]
    fn gaps_that_meet_are_one() {
        let gap = |name: &str, from: &str, until: &str| Gap {
            name: name.to_owned(),
            from: at(&format!("2026-11-20T{from}:00:00Z")),
            until: at(&format!("2026-11-20T{until}:00:00Z")),
        };
        let (a, b) = ("RunInstances", "StopInstances");
        let all = merged(vec![
            gap(a, "05", "07"),
            gap(b, "06", "08"),
            gap(a, "06", "09"),
            gap(a, "10", "11"),
        ]);
        assert_eq!(
            all,
            [gap(a, "05", "09"), gap(a, "10", "11"), gap(b, "06", "08")]
        );
    }
}
