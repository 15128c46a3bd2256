//! What is to be done with an entry: a pure function of the entry and the moment.

use std::time::Duration;

use crate::{clock::WallMillis, life::Life, policy::Refresh};

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Serve it.
    Serve(Freshness),
    /// Serve it at once, and load it again beside.
    ServeAndRefresh(Freshness),
    /// Answer that there is no value.
    Negative,
    /// Load it, and wait for that.
    Load {
        /// Whether the entry may stand in if the load fails.
        fallback: bool,
    },
}

impl Decision {
    /// Load it: there is nothing else.
    pub(crate) const MISS: Self = Self::Load { fallback: false };
}

/// How old what is served is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Within its fresh time.
    Fresh,
    /// Past it.
    Stale,
}

/// What a decision depends on beside the entry and how it is refreshed.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    /// This moment.
    pub now: WallMillis,
    /// The newest invalidation that covers the entry: what was written then or before is not served,
    /// fresh or stale.
    pub invalidated: Option<WallMillis>,
    /// Until when the origin is left alone, since a load has failed.
    pub probe_after: Option<WallMillis>,
    /// From 0 to 1, drawn anew for each decision.
    pub random: f64,
}

impl Circumstances {
    /// Nothing but the moment, and the draw that makes no early refresh.
    #[must_use]
    pub const fn at(now: WallMillis) -> Self {
        Self {
            now,
            invalidated: None,
            probe_after: None,
            random: 1.0,
        }
    }
}

/// Decides what is to be done with `entry`, if there is one.
#[must_use]
pub fn decide(entry: Option<&Life>, refresh: Refresh, at: &Circumstances) -> Decision {
    let Some(life) = entry else {
        return Decision::MISS;
    };
    let invalid = at
        .invalidated
        .is_some_and(|invalidated| life.created <= invalidated);
    if invalid || at.now >= life.stale_until {
        return Decision::MISS;
    }
    if life.negative {
        return Decision::Negative;
    }
    let throttled = at.probe_after.is_some_and(|after| at.now < after);
    if at.now < life.fresh_until {
        return if !throttled && is_due(life, refresh, at) {
            Decision::ServeAndRefresh(Freshness::Fresh)
        } else {
            Decision::Serve(Freshness::Fresh)
        };
    }
    if throttled {
        return Decision::Serve(Freshness::Stale);
    }
    if at.now < life.revalidate_until {
        return Decision::ServeAndRefresh(Freshness::Stale);
    }
    Decision::Load { fallback: true }
}

/// Until when [`decide()`] says to serve an entry and to do nothing else, whatever is drawn, as long as it is
/// not invalidated.
#[must_use]
pub(crate) fn quiet_until(life: &Life, refresh: Refresh) -> WallMillis {
    if life.negative {
        return life.created;
    }
    let fresh = life.fresh_until.since(life.created);
    let early = match refresh {
        Refresh::Never => Duration::ZERO,
        Refresh::AtPercent(percent) => fresh.saturating_sub(fresh * u32::from(percent) / 100),
        Refresh::XFetch { beta } => {
            let farthest = life.load_cost.as_secs_f64() * beta * FARTHEST;
            Duration::try_from_secs_f64(farthest).unwrap_or(fresh)
        }
    };
    // To the whole millisecond, and one on the safe side.
    let early = early.saturating_add(Duration::from_millis(1)).min(fresh);
    life.created.plus(fresh.saturating_sub(early))
}

/// Whether an entry that is still fresh is loaded again all the same.
fn is_due(life: &Life, refresh: Refresh, at: &Circumstances) -> bool {
    let left = life.fresh_until.since(at.now);
    match refresh {
        Refresh::Never => false,
        Refresh::AtPercent(percent) => {
            let whole = life.fresh_until.since(life.created).as_millis();
            let over = whole.saturating_sub(left.as_millis());
            over.saturating_mul(100) >= whole.saturating_mul(u128::from(percent))
        }
        Refresh::XFetch { beta } => {
            let (left, scale) = (left.as_secs_f64(), life.load_cost.as_secs_f64() * beta);
            // Far from its end, without a logarithm: nothing is drawn that far out.
            left <= scale * FARTHEST && lead(scale, at.random) >= left
        }
    }
}

/// The smallest draw that counts as one: an `f64` has 53 bits.
const SMALLEST: f64 = f64::EPSILON / 2.0;

/// What no logarithm of a draw is beyond: `-ln(SMALLEST)` is 36.7.
const FARTHEST: f64 = 37.0;

/// By how many seconds a load is begun early: a draw from an exponential distribution of mean `scale`.
fn lead(scale: f64, random: f64) -> f64 {
    // Not 0, whose logarithm would be infinite: every entry would be due at once.
    scale * -random.clamp(SMALLEST, 1.0).ln()
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
