//! Contestants that take turns, so that whatever slows this machine down slows all of them.

use std::{
    pin::Pin,
    time::{Duration, Instant},
};

use benches::measure::{Goal, Page, Samples};

/// How many turns each has, after the first, which does not count.
const TURNS: usize = 15;

/// How long a turn takes, about.
const TURN: Duration = Duration::from_millis(40);

/// One that is measured: what it is called, and what it does a given number of times.
pub(crate) struct Contestant<'a> {
    name: &'a str,
    run: Box<dyn AsyncRun + 'a>,
    /// What it is to take at most, in times of the first.
    goal: Option<f64>,
}

/// Something that can be done many times.
trait AsyncRun {
    fn run<'a>(&'a mut self, times: u32) -> Pin<Box<dyn Future<Output = ()> + 'a>>;
}

impl<F: AsyncFnMut(u32)> AsyncRun for F {
    fn run<'a>(&'a mut self, times: u32) -> Pin<Box<dyn Future<Output = ()> + 'a>> {
        Box::pin(self(times))
    }
}

impl<'a> Contestant<'a> {
    /// One that does `run` so many times when told to.
    pub(crate) fn new(name: &'a str, run: impl AsyncFnMut(u32) + 'a) -> Self {
        Self {
            name,
            run: Box::new(run),
            goal: None,
        }
    }

    /// One that does `run` with each of `keys` in turn.
    pub(crate) fn each(
        name: &'a str,
        keys: &'a [String],
        mut run: impl AsyncFnMut(&'a String) + 'a,
    ) -> Self {
        let mut keys = keys.iter().cycle();
        Self::new(name, async move |times| {
            for _ in 0..times {
                if let Some(key) = keys.next() {
                    run(key).await;
                }
            }
        })
    }

    /// What it is to take at most, in times of the first one.
    pub(crate) fn goal(self, goal: f64) -> Self {
        Self {
            goal: Some(goal),
            ..self
        }
    }
}

/// Has `contestants` take turns, and writes a section: the first is what the others are measured by. `others` were
/// measured by somebody else, in the same minute.
pub(crate) async fn compare(
    page: &mut Page,
    (title, how): (&str, &str),
    mut contestants: Vec<Contestant<'_>>,
    others: &[(String, Samples)],
) {
    let samples = take_turns(&mut contestants).await;
    let ours = contestants.iter().map(|contestant| contestant.name);
    let rows: Vec<_> = ours
        .zip(&samples)
        .chain(
            others
                .iter()
                .map(|(name, samples)| (name.as_str(), samples)),
        )
        .collect();
    page.comparison(title, how, &rows, "ns");
    let Some((floor, first)) = rows.first() else {
        return;
    };
    for (contestant, samples) in contestants.iter().zip(&samples) {
        if let Some(goal) = contestant.goal {
            let what = format!("{} ÷ {floor}", contestant.name);
            page.ratio(&what, samples.median() / first.median(), Goal::AtMost(goal));
        }
    }
}

/// Nanoseconds that one operation of each takes, in their order.
async fn take_turns(contestants: &mut [Contestant<'_>]) -> Vec<Samples> {
    let mut times = Vec::new();
    for contestant in &mut *contestants {
        let mut many = 1_u32;
        loop {
            let begun = Instant::now();
            contestant.run.run(many).await;
            if begun.elapsed() >= TURN / 4 {
                break;
            }
            many = many.saturating_mul(2);
        }
        times.push(many.saturating_mul(4));
    }
    let mut samples = vec![Samples::new(); contestants.len()];
    for turn in 0..=TURNS {
        for ((contestant, times), samples) in contestants.iter_mut().zip(&times).zip(&mut samples) {
            let begun = Instant::now();
            contestant.run.run(*times).await;
            let each = begun.elapsed().as_secs_f64() * 1e9 / f64::from(*times);
            if turn > 0 {
                samples.push_value(each);
            }
        }
    }
    samples
}
