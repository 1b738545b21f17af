//! Condition variables on goroutines (sync/cond_test.go).

use gort::sync::{Condvar, Mutex};

use crate::support::{Chan, on_procs, settle};

/// TestCondSignal: one signal wakes one.
#[gort::test(unsafe(migrate))]
fn a_signal_wakes_one() {
    on_procs(|_| {
        const WAITERS: usize = 3;
        let (mutex, cond) = (Mutex::new(()), Condvar::new());
        let (running, awake) = (Chan::new(WAITERS), Chan::new(WAITERS));
        gort::scope(|s| {
            for _ in 0..WAITERS {
                s.go(|| {
                    let guard = mutex.lock();
                    running.send(());
                    let _guard = cond.wait(guard);
                    awake.send(());
                });
            }
            (0..WAITERS).for_each(|_| running.take());
            for _ in 0..WAITERS {
                settle();
                assert!(awake.rx.is_empty(), "awake before it was signalled");
                let guard = mutex.lock();
                cond.notify_one();
                drop(guard);
                awake.take();
            }
            cond.notify_one();
        });
        assert!(awake.rx.is_empty());
    });
}

/// TestCondSignalGenerations: the signal is for the one who has waited longest, not for who comes after it.
#[gort::test(unsafe(migrate))]
fn signals_wake_in_order() {
    on_procs(|_| {
        const WAITERS: usize = 100;
        let (mutex, cond) = (Mutex::new(()), Condvar::new());
        let (running, awake) = (Chan::new(WAITERS), Chan::new(WAITERS));
        gort::scope(|s| {
            for i in 0..WAITERS {
                let (mutex, cond, running, awake) = (&mutex, &cond, &running, &awake);
                s.go(move || {
                    let guard = mutex.lock();
                    running.send(());
                    let _guard = cond.wait(guard);
                    awake.send(i);
                });
                if i > 0 {
                    assert_eq!(awake.take(), i - 1);
                }
                running.take();
                // The lock is free when the waiter has taken its number.
                let guard = mutex.lock();
                cond.notify_one();
                drop(guard);
            }
        });
        assert_eq!(awake.take(), WAITERS - 1);
    });
}

/// TestCondBroadcast: everybody wakes, and those who wait again wait for the next one.
#[gort::test(unsafe(migrate))]
fn a_broadcast_wakes_all() {
    on_procs(|_| {
        const WAITERS: usize = 200;
        let (over, cond) = (Mutex::new(false), Condvar::new());
        let (running, awake) = (Chan::new(WAITERS), Chan::new(WAITERS));
        gort::scope(|s| {
            for i in 0..WAITERS {
                let (over, cond, running, awake) = (&over, &cond, &running, &awake);
                s.go(move || {
                    let mut guard = over.lock();
                    while !*guard {
                        running.send(i);
                        guard = cond.wait(guard);
                        awake.send(i);
                    }
                });
            }
            for round in 0..4 {
                assert_eq!(running.rx.iter().take(WAITERS).count(), WAITERS);
                let mut guard = over.lock();
                assert!(awake.rx.is_empty());
                *guard = round == 3;
                cond.notify_all();
                drop(guard);
                let mut seen = [false; WAITERS];
                for _ in 0..WAITERS {
                    let i = awake.take();
                    assert!(!std::mem::replace(&mut seen[i], true), "{i} woke twice");
                }
            }
            assert!(running.rx.is_empty());
        });
    });
}

/// TestCondSignalStealing: a waiter that comes while a broadcast is under way does not take it from the one who was
/// there first.
#[gort::test(unsafe(migrate))]
fn a_signal_is_not_stolen() {
    on_procs(|_| {
        for _ in 0..500 {
            let (over, cond, steps) = (Mutex::new(false), Condvar::new(), Chan::new(0));
            gort::scope(|s| {
                s.go(|| {
                    let guard = over.lock();
                    steps.send("waits");
                    drop(cond.wait(guard));
                    steps.send("woken");
                });
                steps.take();
                drop(over.lock());
                s.go(|| cond.notify_one());
                s.go(|| drop(cond.wait_while(over.lock(), |over| !*over)));
                assert_eq!(steps.take(), "woken");
                *over.lock() = true;
                cond.notify_all();
            });
        }
    });
}

/// TestCondRace: three goroutines move a number on, each when it is its turn.
#[gort::test(unsafe(migrate))]
fn turns_by_condition() {
    on_procs(|_| {
        for _ in 0..50 {
            let (turn, cond) = (Mutex::new(0), Condvar::new());
            gort::scope(|s| {
                for me in [2, 0, 1] {
                    let (turn, cond) = (&turn, &cond);
                    s.go(move || {
                        for round in 0..20 {
                            let mut turn = cond.wait_while(turn.lock(), |turn| *turn != 3 * round + me);
                            *turn += 1;
                            cond.notify_all();
                        }
                    });
                }
            });
            assert_eq!(*turn.lock(), 60);
        }
    });
}
