//! Sleeping and calls that come later (time/sleep_test.go). No test here is about how late something may be: only about
//! too early, about order, and about whether it comes at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gort::sync::WaitGroup;
use gort::time::{self, Timer};

use crate::support::{Chan, Chance, on_procs, settle};

const MS: Duration = Duration::from_millis(1);

/// TestSleep: never too short.
#[gort::test(unsafe(migrate))]
fn sleep_is_long_enough() {
    on_procs(|_| {
        gort::scope(|s| {
            for us in [1, 50, 99, 100, 1000, 1001, 20_000] {
                s.go(move || {
                    let (d, start) = (Duration::from_micros(us), Instant::now());
                    gort::sleep(d);
                    assert!(start.elapsed() >= d, "slept {:?} instead of {d:?}", start.elapsed());
                });
            }
        });
    });
}

/// TestSleepZeroDeadlock: sleeping not at all, among goroutines that do the same, gets nobody stuck.
#[gort::test(unsafe(migrate))]
fn sleep_of_nothing() {
    on_procs(|_| {
        gort::scope(|s| {
            for _ in 0..2 {
                s.go(|| {
                    for _ in 0..100 {
                        gort::sleep(Duration::from_nanos(1));
                        gort::sleep(Duration::ZERO);
                        let (tx, rx) = gort::chan(0);
                        gort::go!({
                            gort::sleep(Duration::ZERO);
                            tx.send(()).unwrap();
                        });
                        rx.recv().unwrap();
                    }
                });
            }
        });
    });
}

/// TestOverflowSleep: the end of time does not come early.
#[gort::test(unsafe(migrate))]
fn sleep_for_ever() {
    on_procs(|_| {
        let ends = [Duration::MAX, Duration::MAX - Duration::from_nanos(1), Duration::from_secs(1 << 40)];
        let channels = ends.map(time::after);
        let timers = ends.map(Timer::new);
        gort::sleep(5 * MS);
        assert!(channels.iter().all(|c| c.try_recv().is_err()));
        assert!(timers.iter().all(|timer| timer.c().try_recv().is_err() && timer.stop()));
        assert!(time::after(Duration::ZERO).recv().is_ok());
    });
}

/// TestAfterFunc: a call that sets the timer for the next call, ten times.
#[gort::test(unsafe(migrate))]
fn calls_that_set_timers() {
    fn again(left: usize, done: Chan<usize>) {
        if left == 0 {
            return done.send(0);
        }
        time::after_func(Duration::from_micros(100), move || again(left - 1, done.clone()));
    }
    on_procs(|_| {
        let done = Chan::new(1);
        time::after_func(Duration::ZERO, {
            let done = done.clone();
            move || again(10, done.clone())
        });
        assert_eq!(done.take(), 0);
    });
}

/// TestAfterQueuing: timers fire in the order in which they are due, in whichever order they were set. As in Go's, what was set
/// too late on a busy system is set again, with more time in between.
#[gort::test(unsafe(migrate))]
fn timers_fire_in_order() {
    on_procs(|_| {
        let unit = (1..=9).map(|doubled| MS * (1 << doubled)).find(|&unit| fire_in_order(unit));
        assert!(unit.is_some());
    });
}

/// Whether they were.
fn fire_in_order(unit: Duration) -> bool {
    const SLOTS: [u32; 12] = [5, 3, 6, 6, 6, 1, 1, 2, 7, 9, 4, 8];
    let (start, results) = (Instant::now() + unit / 2, Chan::new(SLOTS.len()));
    gort::scope(|s| {
        for slot in SLOTS {
            let results = &results;
            s.go(move || {
                let due = start + slot * unit;
                let fired = time::after(due.saturating_duration_since(Instant::now())).recv().unwrap();
                results.send((slot, fired));
            });
        }
    });
    let mut fired: Vec<_> = results.rx.try_iter().collect();
    assert_eq!(fired.len(), SLOTS.len());
    // By the moments at which they were due; who was told of it first is up to the machine.
    fired.sort_by_key(|(_, at)| *at);
    assert!(fired.iter().all(|(slot, at)| *at >= start + *slot * unit));
    fired.is_sorted_by_key(|(slot, _)| *slot)
}

/// One processor, timers set beforehand: the calls run in the order in which they are due.
#[gort::test(unsafe(migrate))]
fn calls_come_in_order() {
    crate::support::alone(1, || {
        // Told apart they are only if nothing holds the process up for as long as they lie apart.
        let mut unit = Duration::from_micros(100);
        while calls_in_order(unit) < 60 {
            unit *= 2;
            assert!(unit < Duration::from_millis(100), "they never come in order");
        }
    });
}

/// A hundred calls, so far apart: how many come before those that are due after them.
fn calls_in_order(unit: Duration) -> usize {
    let results = Chan::new(100);
    let chance = Chance::new();
    let mut delays: Vec<u64> = (0..100).collect();
    for i in (1..delays.len()).rev() {
        delays.swap(i, chance.below(i as u64 + 1) as usize);
    }
    let start = Instant::now();
    for delay in delays {
        let results = results.clone();
        let due = start + (20 + delay as u32) * unit;
        time::after_func(due.saturating_duration_since(Instant::now()), move || {
            results.send((delay, Instant::now()));
        });
    }
    let order: Vec<_> = results.rx.iter().take(100).collect();
    for (delay, at) in &order {
        assert!(*at >= start + (20 + *delay as u32) * unit, "call {delay} came early");
    }
    // Calls due in the same pass are started together and may run in any order. Between passes none is overtaken:
    // a hundred delays in random order would be in place one time in a hundred.
    order.windows(2).filter(|pair| pair[0].0 < pair[1].0).count()
}

/// TestAfterFuncStarvation: a call comes though a pair of goroutines keeps one another running for ever.
#[gort::test(unsafe(migrate))]
fn calls_come_beside_a_busy_pair() {
    on_procs(|_| {
        let over = Arc::new(AtomicBool::new(false));
        let (ping, pong) = (Chan::new(1), Chan::new(1));
        let pair = WaitGroup::new();
        for (from, to) in [(ping.clone(), pong.clone()), (pong, ping.clone())] {
            let over = Arc::clone(&over);
            pair.go(move || {
                for value in &from.rx {
                    if over.load(Ordering::Relaxed) || to.tx.send(value).is_err() {
                        break;
                    }
                }
                to.close();
            });
        }
        ping.send(1_u32);
        time::after_func(20 * MS, move || over.store(true, Ordering::Relaxed));
        pair.wait();
    });
}

/// TestAfterStress: timers beside goroutines that yield and allocate.
#[gort::test(unsafe(migrate))]
fn after_stress() {
    on_procs(|_| {
        let over = AtomicBool::new(false);
        gort::scope(|s| {
            s.go(|| {
                while !over.load(Ordering::Relaxed) {
                    std::hint::black_box(vec![0_u8; 100_000]);
                    gort::gosched();
                }
            });
            let ticker = time::Ticker::new(Duration::from_micros(50));
            assert_eq!(ticker.c().iter().take(100).count(), 100);
            over.store(true, Ordering::Relaxed);
        });
    });
}

/// TestTimerStopStress: stopped in time means never called.
#[gort::test(unsafe(migrate))]
fn stopped_calls_do_not_come() {
    on_procs(|_| {
        let called = Arc::new(AtomicUsize::new(0));
        gort::scope(|s| {
            for _ in 0..100 {
                let called = Arc::clone(&called);
                s.go(move || {
                    let timer = time::after_func(Duration::from_secs(100), move || {
                        called.fetch_add(1, Ordering::Relaxed);
                    });
                    gort::sleep(MS);
                    assert!(timer.stop());
                    assert!(!timer.stop());
                });
            }
        });
        settle();
        assert_eq!(called.load(Ordering::Relaxed), 0);
    });
}

/// TestIssue5745: a timer that was never set right after one that fires does not confuse the heap: random sets, stops
/// and resets from many goroutines, every call accounted for.
#[gort::test(unsafe(migrate))]
fn every_call_is_accounted_for() {
    on_procs(|_| {
        let chance = Arc::new(Chance::new());
        let (calls, expected) = (Arc::new(AtomicUsize::new(0)), AtomicUsize::new(0));
        gort::scope(|s| {
            for _ in 0..8 {
                s.go(|| {
                    let mut timers = Vec::new();
                    for _ in 0..300 {
                        let calls = Arc::clone(&calls);
                        let call = move || {
                            calls.fetch_add(1, Ordering::Relaxed);
                        };
                        let timer = time::after_func(Duration::from_micros(chance.below(3000)), call);
                        let mut due = 1;
                        match chance.below(4) {
                            0 if timer.stop() => due -= 1,
                            1 => {
                                let taken_back = timer.reset(Duration::from_micros(chance.below(3000)));
                                due += usize::from(!taken_back);
                            }
                            2 => gort::gosched(),
                            _ => (),
                        }
                        expected.fetch_add(due, Ordering::Relaxed);
                        if chance.below(2) == 0 {
                            timers.push(timer);
                        }
                    }
                    gort::sleep(2 * MS);
                    for timer in timers {
                        if timer.stop() {
                            expected.fetch_sub(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        let expected = expected.load(Ordering::Relaxed);
        crate::support::until("all calls", || calls.load(Ordering::Relaxed) == expected);
        settle();
        assert_eq!(calls.load(Ordering::Relaxed), expected);
    });
}
