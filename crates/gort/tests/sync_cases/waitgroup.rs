//! The wait group: gates, reuse, misuse, and counters that move while others wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gort::sync::WaitGroup;

use super::{a_moment, panic_text};
use crate::env;

/// Two groups meet twice: nobody gets through the second one before it is released.
pub(crate) fn counts() {
    const N: usize = 12;
    for _ in 0..4 {
        let (ready, go) = (WaitGroup::new(), WaitGroup::new());
        ready.add(N as isize);
        go.add(1);
        let through = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..N)
            .map(|_| {
                let (ready, go, through) = (ready.clone(), go.clone(), through.clone());
                env::spawn(move || {
                    ready.done();
                    go.wait();
                    through.fetch_add(1, Ordering::Relaxed);
                })
            })
            .collect();
        ready.wait();
        assert_eq!(through.load(Ordering::Relaxed), 0);
        go.done();
        tasks.into_iter().for_each(|task| task.join().unwrap());
        assert_eq!(through.load(Ordering::Relaxed), N);
    }
}

pub(crate) fn reuse() {
    let wg = WaitGroup::new();
    let total = Arc::new(AtomicUsize::new(0));
    for round in 1..=200 {
        wg.add(2);
        let tasks: Vec<_> = (0..2)
            .map(|_| {
                let (wg, total) = (wg.clone(), total.clone());
                env::spawn(move || {
                    total.fetch_add(1, Ordering::Relaxed);
                    wg.done();
                })
            })
            .collect();
        wg.wait();
        assert_eq!(total.load(Ordering::Relaxed), 2 * round);
        tasks.into_iter().for_each(|task| task.join().unwrap());
    }
}

pub(crate) fn misuse() {
    let wg = WaitGroup::new();
    wg.add(1);
    wg.done();
    assert_eq!(panic_text(|| wg.done()), "sync: negative WaitGroup counter");
    wg.wait(); // the counter is as it was
    wg.add(3);
    assert_eq!(panic_text(|| wg.add(-4)), "sync: negative WaitGroup counter");
    let waiter = {
        let wg = wg.clone();
        env::spawn(move || wg.wait())
    };
    a_moment();
    assert!(!waiter.is_finished());
    wg.add(-3);
    waiter.join().unwrap();
}

/// Several waiters and a counter that moves up and down before it reaches zero.
pub(crate) fn race() {
    for _ in 0..100 {
        let wg = WaitGroup::new();
        wg.add(1);
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                let wg = wg.clone();
                env::spawn(move || wg.wait())
            })
            .collect();
        for _ in 0..10 {
            wg.add(1);
            wg.done();
        }
        wg.done();
        waiters.into_iter().for_each(|task| task.join().unwrap());
    }
}
