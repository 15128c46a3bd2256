//! Contestants that take turns, so that whatever slows this machine down slows all of them.

use std::time::{Duration, Instant};

use benches::measure::Samples;

/// How many turns each has, after the first, which does not count.
const TURNS: usize = 15;

/// How long a turn takes, about.
const TURN: Duration = Duration::from_millis(40);

/// One that is measured: what it is called, and what it does a given number of times.
pub(crate) struct Contestant<'a> {
    pub(crate) name: &'a str,
    pub(crate) run: Box<dyn AsyncRun + 'a>,
}

/// Something that can be done many times.
pub(crate) trait AsyncRun {
    fn run<'a>(&'a mut self, times: u32) -> std::pin::Pin<Box<dyn Future<Output = ()> + 'a>>;
}

impl<F: AsyncFnMut(u32)> AsyncRun for F {
    fn run<'a>(&'a mut self, times: u32) -> std::pin::Pin<Box<dyn Future<Output = ()> + 'a>> {
        Box::pin(self(times))
    }
}

impl<'a> Contestant<'a> {
    /// One that does `run` so many times when told to.
    pub(crate) fn new(name: &'a str, run: impl AsyncFnMut(u32) + 'a) -> Self {
        Self {
            name,
            run: Box::new(run),
        }
    }
}

/// Nanoseconds that one operation of each takes, in their order.
pub(crate) async fn take_turns(contestants: &mut [Contestant<'_>]) -> Vec<Samples> {
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
