//! The fold of transitions to minutes.

use std::time::Instant;

use anyhow::ensure;
use benches::measure::{Goal, Page, Samples};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use runtime_ledger::{Month, Observation, Power, Timeline, Total};

use crate::progress;

/// Folds many events, and cuts them into a month and its days.
pub(crate) fn measure(page: &mut Page) -> anyhow::Result<()> {
    progress("fold");
    let start: Timestamp = "2026-11-01T00:00:00Z".parse()?;
    let month: Month = "2026-11".parse()?;
    let (mut rate, mut shuffled) = (Samples::new(), Samples::new());
    // 1,000 servers with 60 events each.
    let observations = |server: i64| {
        (0..60).map(move |n| {
            let at = start + SignedDuration::from_mins(n * 700 + server % 60);
            let up = n % 2 == 0;
            let (before, after) = if up {
                (Power::Down, Power::Up)
            } else {
                (Power::Up, Power::Down)
            };
            Observation::new(at, Some(before), after)
        })
    };
    let days: Vec<_> = month.days(&TimeZone::UTC).collect();
    let end = month.end(&TimeZone::UTC);
    for (samples, mix) in [(&mut rate, false), (&mut shuffled, true)] {
        for seed in 0..15 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut all: Vec<Vec<_>> = (0..1_000)
                .map(|server| observations(server).collect())
                .collect();
            if mix {
                for of in &mut all {
                    random.shuffle(of);
                }
            }
            let count = all.iter().map(Vec::len).sum::<usize>();
            let began = Instant::now();
            let mut seconds = 0;
            for of in &mut all {
                let timeline = Timeline::fold(of, end);
                seconds += Total::between(&timeline, &days).seconds;
            }
            let took = began.elapsed();
            ensure!(seconds > 0, "nothing ran");
            samples.push_value(f64::from(u32::try_from(count)?) / took.as_secs_f64() / 1e6);
        }
    }
    page.section("The fold of transitions", "1,000 servers with 60 events each, to minutes of the month and of its days, on one thread.");
    page.figure("in order", &rate, "million events a second");
    page.figure("shuffled", &shuffled, "million events a second");
    page.ratio(
        "in order ÷ a million a second",
        rate.median(),
        Goal::AtLeast(1.0),
    );
    page.ratio(
        "shuffled ÷ a million a second",
        shuffled.median(),
        Goal::AtLeast(1.0),
    );
    Ok(())
}
