//! Hedged requests: a second request where the first is late, and the first answer wins.
//!
//! A request to S3 that takes long is most often alone in that; AWS advises to retry it on a new connection ("Best
//! practices design patterns: optimizing Amazon S3 performance", timeouts and retries for latency-sensitive
//! applications). Method: J. Dean, L. A. Barroso, "The Tail at Scale", CACM 56(2), 2013.

use std::{future::Future, pin::pin, time::Duration};

use futures_util::future::{Either, select};
use parking_lot::Mutex;
use tokio::time::Instant;

/// Latencies that are remembered.
const WINDOW: usize = 64;
/// Latencies that are needed to know their 95th percentile.
const ENOUGH: usize = 20;
/// Delay of the second request while the percentile is unknown: S3's usual latency is 100 to 200 ms at most ("S3
/// performance guidelines").
const UNKNOWN: Duration = Duration::from_millis(200);
/// Second requests that may be sent before any was earned…
const BURST: f64 = 4.0;
/// …and what each request earns of one: where all of S3 is slow, few are sent twice.
const SHARE: f64 = 0.1;

/// Decides when a second request is sent, by the latencies of earlier ones.
#[derive(Debug)]
pub(super) struct Hedge(Mutex<State>);

#[derive(Debug)]
struct State {
    latencies: Vec<Duration>,
    /// Where the next latency goes once the window is full.
    next: usize,
    /// Second requests that may be sent.
    budget: f64,
}

impl Default for Hedge {
    fn default() -> Self {
        Self(Mutex::new(State {
            latencies: Vec::new(),
            next: 0,
            budget: BURST,
        }))
    }
}

impl Hedge {
    /// Makes a request that may be made twice. The first success wins; a failure is returned once both have failed.
    pub(super) async fn run<T, E, F>(&self, request: impl Fn() -> F) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        let begun = Instant::now();
        let mut first = pin!(request());
        let early = tokio::time::timeout(self.delay(), &mut first).await;
        let result = match early {
            Ok(result) => result,
            Err(_) if self.spend() => {
                let second = pin!(request());
                match select(first, second).await {
                    Either::Left((Err(_), second)) => second.await,
                    Either::Right((Err(_), first)) => first.await,
                    Either::Left((result, _)) | Either::Right((result, _)) => result,
                }
            }
            Err(_) => first.await,
        };
        self.record(begun.elapsed(), result.is_ok());
        result
    }

    /// How long the first request is waited for: the 95th percentile of the latest latencies.
    fn delay(&self) -> Duration {
        let mut latencies = self.0.lock().latencies.clone();
        if latencies.len() < ENOUGH {
            return UNKNOWN;
        }
        let at = latencies.len() * 95 / 100;
        let (_, percentile, _) = latencies.select_nth_unstable(at);
        *percentile
    }

    /// Returns true if a second request may be sent.
    fn spend(&self) -> bool {
        let mut state = self.0.lock();
        let may = state.budget >= 1.0;
        if may {
            state.budget -= 1.0;
        }
        may
    }

    fn record(&self, latency: Duration, succeeded: bool) {
        let mut state = self.0.lock();
        state.budget = (state.budget + SHARE).min(BURST);
        // A failure tells nothing of how long an answer takes.
        if !succeeded {
            return;
        }
        if state.latencies.len() < WINDOW {
            state.latencies.push(latency);
            return;
        }
        let at = state.next;
        if let Some(oldest) = state.latencies.get_mut(at) {
            *oldest = latency;
        }
        state.next = (at + 1) % WINDOW;
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, convert::Infallible};

    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    /// Makes a request whose tries take `times`, and tells how many were sent and how long it took.
    async fn run(hedge: &Hedge, times: [Duration; 2]) -> (usize, Duration) {
        let (sent, begun) = (Cell::new(0), Instant::now());
        let request = || {
            let time = times[sent.get()];
            sent.set(sent.get() + 1);
            async move {
                tokio::time::sleep(time).await;
                Ok::<_, Infallible>(())
            }
        };
        hedge.run(request).await.unwrap();
        (sent.get(), begun.elapsed())
    }

    /// A hedge that has seen requests of 10 to 73 ms.
    fn experienced() -> Hedge {
        let hedge = Hedge::default();
        for n in 10..74 {
            hedge.record(n * MILLI, true);
        }
        hedge
    }

    #[tokio::test(start_paused = true)]
    async fn sends_a_second_request_past_the_95th_percentile_and_takes_the_first_answer() {
        let hedge = experienced();
        assert_eq!(hedge.delay(), 70 * MILLI);
        assert_eq!(run(&hedge, [60 * MILLI, MILLI]).await, (1, 60 * MILLI));
        assert_eq!(run(&hedge, [900 * MILLI, 5 * MILLI]).await, (2, 75 * MILLI));
        assert_eq!(
            run(&hedge, [80 * MILLI, 900 * MILLI]).await,
            (2, 80 * MILLI)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn sends_few_second_requests_where_every_answer_is_slow() {
        let hedge = Hedge::default();
        let mut sent = 0;
        for _ in 0..100 {
            // Slow by more than anything that was seen before.
            hedge.0.lock().latencies.clear();
            sent += run(&hedge, [600 * MILLI, 600 * MILLI]).await.0 - 1;
        }
        assert!((4..=14).contains(&sent), "{sent} second requests");
    }

    #[tokio::test(start_paused = true)]
    async fn one_failure_is_none_where_the_other_request_succeeds() {
        for failing in [0, 1] {
            let hedge = experienced();
            let sent = Cell::new(0);
            let request = || {
                let number = sent.replace(sent.get() + 1);
                async move {
                    tokio::time::sleep(100 * MILLI).await;
                    if number == failing {
                        Err(number)
                    } else {
                        Ok(number)
                    }
                }
            };
            assert_eq!(hedge.run(request).await, Ok(1 - failing));
        }
        let fails = || async { Err::<(), _>("refused") };
        assert_eq!(experienced().run(fails).await, Err("refused"));
    }
}
