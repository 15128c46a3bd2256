//! Fleets drawn at random: the same seed is the same fleet.

use std::{cmp::Reverse, collections::BinaryHeap};

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};

use super::{Change, Fleet, TAKES};

/// What servers are like.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    /// How many there are.
    pub servers: usize,
    /// From when on something happens.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// How long one stays as it is, on average.
    pub stays: SignedDuration,
    /// Of a hundred servers, how many are never stopped.
    pub steady: u8,
    /// Whether servers may shut themselves down, which CloudTrail does not see.
    pub shutdowns: bool,
    /// Whether servers may be gone for good.
    pub ends: bool,
}

impl Fleet {
    /// A fleet with these habits; all its servers have the tag `App`.
    #[must_use]
    pub fn random(region: &str, habits: &Habits, seed: u64) -> Self {
        let mut fleet = Self::new(region);
        let mut random = Rng::with_seed(seed);
        let ids: Vec<_> = (0..habits.servers)
            .map(|n| format!("i-{:08x}{n:09x}", seed & 0xffff_ffff))
            .collect();
        let mut next = Vec::new();
        for id in &ids {
            fleet.add(id, &[("App", "minecraft"), ("Name", id)]);
            let steady = random.u8(..100) < habits.steady;
            let latest = if steady { habits.from } else { habits.until };
            // Some were there long before.
            let earliest = habits.from - habits.stays;
            let at = random.i64(earliest.as_second()..=latest.as_second());
            next.push((at, steady, id));
        }
        // In order of time, so that nothing happens to a fleet before what came earlier.
        let next = next.into_iter().map(Reverse);
        let mut queue: BinaryHeap<_> = next.collect();
        while let Some(Reverse((at, steady, id))) = queue.pop() {
            let Ok(moment) = Timestamp::from_second(at) else {
                break;
            };
            if moment >= habits.until {
                break;
            }
            let last = fleet.server(id).and_then(|server| server.changes.last());
            let change = match last.map(|(_, change)| change.starts()) {
                None => Change::Launch,
                Some(up) => {
                    nuisance(&mut fleet, &mut random, moment, (id, up));
                    next_change(&mut random, habits, up)
                }
            };
            fleet.change(moment, change, &[id]);
            if !change.is_final() && !steady {
                let stay = random.i64(1..=2 * habits.stays.as_secs().max(1));
                queue.push(Reverse((at + TAKES + stay, steady, id)));
            }
        }
        fleet
    }
}

fn next_change(random: &mut Rng, habits: &Habits, up: bool) -> Change {
    match (up, random.u8(..20)) {
        (_, 0) if habits.ends => Change::Terminate,
        (true, 1) if habits.ends => Change::Reclaim,
        (true, 2..=5) if habits.shutdowns => Change::Shutdown {
            dated: random.u8(..4) > 0,
        },
        (true, _) => Change::Stop,
        (false, _) => Change::Start,
    }
}

/// Calls that come to nothing, just before something happens.
fn nuisance(fleet: &mut Fleet, random: &mut Rng, at: Timestamp, (id, up): (&str, bool)) {
    let (same, other) = if up {
        ("StartInstances", "StopInstances")
    } else {
        ("StopInstances", "StartInstances")
    };
    match random.u8(..10) {
        0 => fleet.ask_in_vain(at, other, Some("Client.UnauthorizedOperation"), &[id]),
        1 => fleet.ask_in_vain(at, other, Some("Client.DryRunOperation"), &[id]),
        2 => fleet.ask_in_vain(at, same, None, &[id]),
        3 => fleet.ask_in_vain(at, "RebootInstances", None, &[id]),
        _ => {}
    }
}
