//! The weighted semaphore: capacity, order, and waiters that give up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use gort::sync::{Mutex, Semaphore};
use gort_core::env::Rng;

use super::{Begun, a_moment, panic_text, seeded};
use crate::env;

pub(crate) fn weighted_stress() {
    const CAPACITY: usize = 10;
    let sem = Arc::new(Semaphore::new(CAPACITY));
    let out = Arc::new(AtomicUsize::new(0));
    let rng = seeded("semaphore stress");
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (sem, out) = (sem.clone(), out.clone());
            let rng = Rng::new(u64::from(rng.next()));
            env::spawn(move || {
                for _ in 0..300 {
                    let n = rng.below(CAPACITY as u32 + 1) as usize;
                    let got = match rng.below(4) {
                        0 => sem.try_acquire(n),
                        1 => sem.acquire_timeout(n, Duration::from_micros(u64::from(rng.below(80)))),
                        _ => {
                            sem.acquire(n);
                            true
                        }
                    };
                    if got {
                        let now = out.fetch_add(n, Ordering::Relaxed) + n;
                        assert!(now <= CAPACITY, "{now} units are out");
                        env::yield_now();
                        out.fetch_sub(n, Ordering::Relaxed);
                        sem.release(n);
                    }
                }
            })
        })
        .collect();
    tasks.into_iter().for_each(|task| task.join().unwrap());
    assert_eq!(sem.available(), CAPACITY);
}

pub(crate) fn first_come_first_served() {
    let sem = Arc::new(Semaphore::new(2));
    sem.acquire(2);
    let order = Arc::new(Mutex::new(Vec::new()));
    let tasks: Vec<_> = [2, 1, 2, 1]
        .into_iter()
        .enumerate()
        .map(|(i, n)| {
            let (sem, order, begun) = (sem.clone(), order.clone(), Begun::default());
            let begins = begun.clone();
            let task = env::spawn(move || {
                begins.say();
                sem.acquire(n);
                order.lock().push(i);
                a_moment();
                sem.release(n);
            });
            begun.let_it_get_in_line();
            task
        })
        .collect();
    assert!(!sem.try_acquire(0), "who tries does not overtake those who wait");
    sem.release(2);
    tasks.into_iter().for_each(|task| task.join().unwrap());
    assert_eq!(*order.lock(), [0, 1, 2, 3]);
}

/// One who wants everything gets it although others take single units all the time.
pub(crate) fn big_is_not_starved() {
    let sem = Arc::new(Semaphore::new(4));
    let stop = Arc::new(AtomicBool::new(false));
    let small: Vec<_> = (0..6)
        .map(|_| {
            let (sem, stop) = (sem.clone(), stop.clone());
            env::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let _unit = sem.acquire_guard(1);
                    env::yield_now();
                }
            })
        })
        .collect();
    for _ in 0..10 {
        sem.acquire(4);
        sem.release(4);
    }
    stop.store(true, Ordering::Relaxed);
    small.into_iter().for_each(|task| task.join().unwrap());
}

/// A waiter that gives up no longer stands in the way of those behind it.
pub(crate) fn timeout_lets_others_through() {
    let sem = Arc::new(Semaphore::new(3));
    sem.acquire(2);
    let big = {
        let sem = sem.clone();
        env::spawn(move || sem.acquire_timeout(3, Duration::from_millis(40)))
    };
    a_moment();
    let small = {
        let sem = sem.clone();
        env::spawn(move || sem.acquire(1))
    };
    assert!(!big.join().unwrap());
    small.join().unwrap();
    assert_eq!(sem.available(), 0);
}

pub(crate) fn misuse() {
    let sem = Semaphore::new(2);
    assert_eq!(panic_text(|| sem.release(1)), "semaphore: released more than held");
    assert_eq!(panic_text(|| sem.acquire(3)), "semaphore: acquire of 3 from a capacity of 2");
    assert!(!sem.try_acquire(3));
    let guard = sem.try_acquire_guard(2).unwrap();
    assert!(sem.try_acquire_guard(1).is_none());
    guard.forget();
    assert_eq!(sem.available(), 0);
    sem.release(2);
    assert_eq!(sem.available(), 2);
}
