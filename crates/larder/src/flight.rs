//! Single flight: one load for all who wait for the same value.
//!
//! The load belongs to all who wait for it, and whoever is polled polls it. So one who is cancelled, the first
//! one too, hangs nobody; and where all are, the load is dropped.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared, WeakShared},
};
use parking_lot::Mutex;

use crate::key::Ident;

/// A load that several may wait for.
pub(crate) type Flight<T> = Shared<BoxFuture<'static, T>>;

/// The key, and what the load ends as: the same key may be loaded with errors of another type.
type Route = (Ident, TypeId);

/// The loads that are under way.
#[derive(Clone, Default)]
pub(crate) struct Flights {
    airborne: Arc<Mutex<HashMap<Route, Airborne>>>,
    number: Arc<AtomicU64>,
}

struct Airborne {
    number: u64,
    /// A `WeakShared` of the route's type.
    flight: Box<dyn Any + Send>,
}

impl Flights {
    /// The load of `key` that is under way, if one is.
    pub(crate) fn present<T: Clone + 'static>(&self, key: &Ident) -> Option<Flight<T>> {
        let airborne = self.airborne.lock();
        let route = (key.clone(), TypeId::of::<T>());
        airborne.get(&route).and_then(Airborne::flight)
    }

    /// The load of `key` that is under way, or else `load`.
    pub(crate) fn join<T: Clone + Send + Sync + 'static>(
        &self,
        key: &Ident,
        load: impl Future<Output = T> + Send + 'static,
    ) -> Flight<T> {
        let route = (key.clone(), TypeId::of::<T>());
        let mut airborne = self.airborne.lock();
        if let Some(flight) = airborne.get(&route).and_then(Airborne::flight) {
            return flight;
        }
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let landing = Landing {
            flights: self.clone(),
            route: route.clone(),
            number,
        };
        let flight = async move {
            let output = load.await;
            drop(landing);
            output
        };
        let flight = flight.boxed().shared();
        if let Some(weak) = flight.downgrade() {
            let flight = Box::new(weak);
            airborne.insert(route, Airborne { number, flight });
        }
        flight
    }
}

impl Airborne {
    /// The load itself, if anybody waits for it still.
    fn flight<T: Clone + 'static>(&self) -> Option<Flight<T>> {
        let weak = self
            .flight
            .downcast_ref::<WeakShared<BoxFuture<'static, T>>>();
        weak.and_then(WeakShared::upgrade)
    }
}

/// Takes a flight off the board when it is over: whoever comes later looks anew.
struct Landing {
    flights: Flights,
    route: Route,
    number: u64,
}

impl Drop for Landing {
    fn drop(&mut self) {
        let mut airborne = self.flights.airborne.lock();
        let ours = |present: &Airborne| present.number == self.number;
        if airborne.get(&self.route).is_some_and(ours) {
            airborne.remove(&self.route);
        }
    }
}

impl fmt::Debug for Flights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::stats::Counter;

    fn key() -> Ident {
        Ident::new(0, "key")
    }

    fn load(loads: &Arc<Counter>) -> impl Future<Output = u64> + Send + use<> {
        let loads = Arc::clone(loads);
        async move {
            loads.add(1);
            tokio::time::sleep(Duration::from_millis(10)).await;
            loads.get()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn all_wait_for_one_load_and_the_next_one_loads_again() {
        let (flights, loads) = (Flights::default(), Arc::default());
        let together = (0..10).map(|_| flights.join(&key(), load(&loads)));
        assert_eq!(futures_util::future::join_all(together).await, [1; 10]);
        assert_eq!(flights.join(&key(), load(&loads)).await, 2);
        assert!(flights.airborne.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_leader_hangs_nobody() {
        let (flights, loads) = (Flights::default(), Arc::default());
        let leader = flights.join(&key(), load(&loads));
        let follower = flights.join(&key(), load(&loads));
        let cancelled = tokio::time::timeout(Duration::from_millis(5), leader).await;
        assert!(cancelled.is_err());
        let waited = tokio::time::timeout(Duration::from_secs(1), follower).await;
        assert_eq!(waited, Ok(1), "the same load went on");
    }

    #[tokio::test(start_paused = true)]
    async fn where_all_are_cancelled_the_load_is_dropped() {
        let (flights, loads) = (Flights::default(), Arc::default());
        let only = flights.join(&key(), load(&loads));
        let _ = tokio::time::timeout(Duration::from_millis(5), only).await;
        assert!(flights.airborne.lock().is_empty());
        assert_eq!(flights.join(&key(), load(&loads)).await, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn loads_of_other_types_and_keys_do_not_meet() {
        let (flights, loads) = (Flights::default(), Arc::default());
        let number = flights.join(&key(), load(&loads));
        let text = flights.join(&key(), async { "text" });
        let other = flights.join(&Ident::new(1, "key"), load(&loads));
        assert_eq!(text.await, "text");
        assert_eq!(tokio::join!(number, other), (2, 2));
    }

    /// Waiters come, wait, and give up, in a thousand orders.
    #[test]
    fn in_whatever_order_waiters_come_and_go_one_load_runs_and_nobody_hangs() {
        shuttle::check_random(
            || {
                let (flights, running, done) = (
                    Flights::default(),
                    Arc::new(AtomicU64::new(0)),
                    Arc::new(AtomicU64::new(0)),
                );
                let waiters = (0..4).map(|n| {
                    let (flights, running, done) =
                        (flights.clone(), Arc::clone(&running), Arc::clone(&done));
                    shuttle::future::spawn(async move {
                        let load = async move {
                            assert_eq!(running.fetch_add(1, Ordering::SeqCst), 0, "two at once");
                            let over = Over(running);
                            for _ in 0..3 {
                                shuttle::future::yield_now().await;
                            }
                            drop(over);
                            7_u64
                        };
                        let flight = flights.join(&key(), load);
                        if n == 0 {
                            // Polled a few times, and then dropped.
                            give_up_after(2, flight).await;
                        } else {
                            assert_eq!(flight.await, 7);
                            done.fetch_add(1, Ordering::SeqCst);
                        }
                    })
                });
                let waiters: Vec<_> = waiters.collect();
                shuttle::future::block_on(async {
                    for waiter in waiters {
                        waiter.await.unwrap();
                    }
                });
                assert_eq!(done.load(Ordering::SeqCst), 3);
                assert!(flights.airborne.lock().is_empty());
            },
            1_000,
        );
    }

    /// A load that is no longer running, whether it ended or was dropped.
    struct Over(Arc<AtomicU64>);

    impl Drop for Over {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }

    async fn give_up_after(polls: u32, flight: Flight<u64>) {
        let mut flight = std::pin::pin!(flight);
        let mut left = polls;
        std::future::poll_fn(|cx| {
            left -= 1;
            let polled = std::future::Future::poll(flight.as_mut(), cx);
            if left == 0 || polled.is_ready() {
                return std::task::Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            std::task::Poll::Pending
        })
        .await;
    }
}
