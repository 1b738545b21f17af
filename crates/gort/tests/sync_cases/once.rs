//! The onces: one run, what a panic means, and waiting for the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use gort::sync::{LazyLock, Once, OnceLock};

use super::{a_moment, panic_text};
use crate::env;

/// Whoever returns from `call_once` sees the function's work, whoever did it.
pub(crate) fn once_runs_once() {
    let once = Arc::new(Once::new());
    let runs = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (once, runs) = (once.clone(), runs.clone());
            env::spawn(move || {
                once.call_once(|| {
                    a_moment();
                    runs.fetch_add(1, Ordering::Relaxed);
                });
                assert_eq!(runs.load(Ordering::Relaxed), 1);
            })
        })
        .collect();
    once.wait();
    assert!(once.is_completed());
    tasks.into_iter().for_each(|task| task.join().unwrap());
}

pub(crate) fn a_panic_counts() {
    let once = Once::new();
    assert_eq!(panic_text(|| once.call_once(|| std::panic::resume_unwind(Box::new("first")))), "first");
    once.call_once(|| unreachable!("the function has had its turn"));
    assert!(once.is_completed());
}

pub(crate) fn once_lock_fills_once() {
    let cell = Arc::new(OnceLock::new());
    let tasks: Vec<_> = (0..8)
        .map(|i| {
            let cell = cell.clone();
            env::spawn(move || {
                *cell.get_or_init(|| {
                    env::yield_now();
                    i
                })
            })
        })
        .collect();
    let seen: Vec<usize> = tasks.into_iter().map(|task| task.join().unwrap()).collect();
    assert!(seen.iter().all(|value| value == cell.get().unwrap()), "{seen:?}");
    assert_eq!(cell.set(99), Err(99));
    let mut cell = Arc::into_inner(cell).unwrap();
    let value = cell.take().unwrap();
    assert_eq!((cell.get(), cell.set(5)), (None, Ok(())));
    assert_eq!(cell.into_inner(), Some(5));
    assert!(value < 8);
}

pub(crate) fn a_failed_init_leaves_it_empty() {
    let cell = Arc::new(OnceLock::<u32>::new());
    let entered = Arc::new(AtomicBool::new(false));
    let waiter = {
        let (cell, entered) = (cell.clone(), entered.clone());
        env::spawn(move || {
            super::eventually(|| entered.load(Ordering::Relaxed));
            *cell.get_or_init(|| 2)
        })
    };
    let text = panic_text(|| {
        cell.get_or_init(|| {
            entered.store(true, Ordering::Relaxed);
            a_moment();
            std::panic::resume_unwind(Box::new("no luck"))
        });
    });
    assert_eq!(text, "no luck");
    assert_eq!(waiter.join().unwrap(), 2, "the one who waited tried next");
    assert_eq!(OnceLock::<u32>::new().get_or_try_init(|| Err::<u32, _>("no")), Err("no"));
}

pub(crate) fn lazy_lock_panics_again() {
    let calls = Arc::new(AtomicUsize::new(0));
    let inner = calls.clone();
    let lazy = Arc::new(LazyLock::new(move || -> u32 {
        inner.fetch_add(1, Ordering::Relaxed);
        std::panic::resume_unwind(Box::new("the first panic".to_string()))
    }));
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let lazy = lazy.clone();
            env::spawn(move || panic_text(|| _ = **lazy))
        })
        .collect();
    for task in tasks {
        assert_eq!(task.join().unwrap(), "the first panic");
    }
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    assert_eq!(Arc::strong_count(&calls), 1, "the function was dropped after its call");
}

pub(crate) fn waiting_for_a_value() {
    let cell = Arc::new(OnceLock::new());
    let other = cell.clone();
    let waiter = env::spawn(move || *other.wait());
    a_moment();
    assert!(!waiter.is_finished());
    cell.set(11).unwrap();
    assert_eq!(waiter.join().unwrap(), 11);
    assert_eq!(*cell.wait(), 11);
}
