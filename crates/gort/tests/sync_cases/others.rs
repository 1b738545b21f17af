//! The barrier and the single flight.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use gort::sync::{Barrier, SingleFlight};

use super::{a_moment, eventually, panic_text};
use crate::env;

/// Nobody is a generation ahead, and each generation has one leader.
pub(crate) fn barrier_generations() {
    const PARTIES: usize = 5;
    const ROUNDS: usize = 50;
    let barrier = Arc::new(Barrier::new(PARTIES));
    let arrived = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..PARTIES)
        .map(|_| {
            let (barrier, arrived) = (barrier.clone(), arrived.clone());
            env::spawn(move || {
                let mut led = 0;
                for round in 1..=ROUNDS {
                    arrived.fetch_add(1, Ordering::Relaxed);
                    led += usize::from(barrier.wait().is_leader());
                    assert!(arrived.load(Ordering::Relaxed) >= round * PARTIES);
                    barrier.wait();
                }
                led
            })
        })
        .collect();
    let led: usize = tasks.into_iter().map(|task| task.join().unwrap()).sum();
    assert_eq!(led, ROUNDS);
    assert!(Barrier::new(0).wait().is_leader() && Barrier::new(1).wait().is_leader());
}

/// Each run serves those who came while it ran, and says truly whether they were several. (A task that comes too late
/// for the first run makes one of its own.)
pub(crate) fn single_flight_runs_once() {
    const TASKS: usize = 6;
    let flights = Arc::new(SingleFlight::new());
    let (runs, callers) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let (flights, runs, callers) = (flights.clone(), runs.clone(), callers.clone());
            env::spawn(move || {
                callers.fetch_add(1, Ordering::Relaxed);
                flights.run_shared("key", || {
                    eventually(|| callers.load(Ordering::Relaxed) == TASKS);
                    a_moment();
                    runs.fetch_add(1, Ordering::Relaxed)
                })
            })
        })
        .collect();
    let got: Vec<(usize, bool)> = tasks.into_iter().map(|task| task.join().unwrap()).collect();
    for run in 0..runs.load(Ordering::Relaxed) {
        let served: Vec<bool> = got.iter().filter(|(of, _)| *of == run).map(|(_, shared)| *shared).collect();
        assert!(!served.is_empty() && served.iter().all(|&shared| shared == (served.len() > 1)), "{got:?}");
    }
    assert_eq!(flights.run_shared("key", || 99), (99, false));
}

pub(crate) fn single_flight_panics_for_all() {
    let flights = Arc::new(SingleFlight::<u8, u8>::new());
    let started = Arc::new(AtomicUsize::new(0));
    let leader = {
        let (flights, started) = (flights.clone(), started.clone());
        env::spawn(move || {
            panic_text(|| {
                flights.run(1, || {
                    started.store(1, Ordering::Relaxed);
                    eventually(|| started.load(Ordering::Relaxed) == 4);
                    a_moment();
                    std::panic::resume_unwind(Box::new("on purpose"))
                });
            })
        })
    };
    eventually(|| started.load(Ordering::Relaxed) == 1);
    let others: Vec<_> = (0..3)
        .map(|_| {
            let (flights, started) = (flights.clone(), started.clone());
            env::spawn(move || {
                started.fetch_add(1, Ordering::Relaxed);
                // One that comes too late makes a flight of its own, which panics as well.
                panic_text(|| _ = flights.run(1, || std::panic::resume_unwind(Box::new("on purpose"))))
            })
        })
        .collect();
    assert_eq!(leader.join().unwrap(), "on purpose");
    for other in others {
        assert_eq!(other.join().unwrap(), "on purpose");
    }
    assert_eq!(flights.run(1, || 9), 9, "the key is free again");
}

/// A key that can not be hashed while `broken`.
struct Key<'a> {
    broken: &'a AtomicBool,
}

impl Hash for Key<'_> {
    fn hash<H: Hasher>(&self, _: &mut H) {
        if self.broken.load(Ordering::Relaxed) {
            std::panic::resume_unwind(Box::new("no hash"));
        }
    }
}

impl PartialEq for Key<'_> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Key<'_> {}

/// Nobody waits for ever for a call whose key could not be looked up at its end.
pub(crate) fn single_flight_keys_that_panic() {
    static BROKEN: AtomicBool = AtomicBool::new(false);
    let flights = Arc::new(SingleFlight::new());
    let flight = |value: u8| {
        flights.run(Key { broken: &BROKEN }, || {
            BROKEN.store(true, Ordering::Relaxed);
            value
        })
    };
    assert_eq!(flight(1), 1);
    BROKEN.store(false, Ordering::Relaxed);
    assert_eq!(flight(2), 2, "the first call has left the table");
}

pub(crate) fn single_flight_forget() {
    let flights = SingleFlight::new();
    let value = flights.run("key", || {
        flights.forget(&"key");
        assert_eq!(flights.run("key", || 2), 2);
        1
    });
    assert_eq!(value, 1);
}
