//! What may leaves to the program: coroutines that never yield, and calls that
//! block a worker.

use gort_bench::blocking::{BLOCKERS, call};
use gort_bench::ticks::{TICK, Ticks};
use gort_bench::{Meter, Sample, hogs::Hogs, work::share};
use may::{coroutine, go};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

pub(crate) fn preempt_latency(n: u64) -> Sample {
    let hogs = Hogs::beside(n);
    let spawn = |i| {
        let hogs = hogs.clone();
        go!(move || hogs.run(i))
    };
    let tasks: Vec<_> = (0..hogs.count()).map(spawn).collect();
    let mut ticks = Ticks::new();
    let meter = Meter::start();
    while ticks.count() < n && !hogs.stopped() {
        let asked = Instant::now();
        coroutine::sleep(TICK);
        ticks.woke(asked);
    }
    let sample = meter.stop(ticks.count());
    hogs.stop();
    tasks.into_iter().for_each(|task| task.join().unwrap());
    hogs.add_to(sample, ticks)
}

pub(crate) fn blocking_calls(n: u64) -> Sample {
    let over = Arc::new(AtomicBool::new(false));
    let seen = over.clone();
    let meter = Meter::start();
    let ticker = go!(move || {
        let mut ticks = Ticks::new();
        while !seen.load(Relaxed) {
            let asked = Instant::now();
            coroutine::sleep(TICK);
            ticks.woke(asked);
        }
        ticks
    });
    let spawn = |i| {
        go!(move || {
            let calls = share(n, BLOCKERS, i);
            (0..calls).for_each(|_| call());
            calls
        })
    };
    let tasks: Vec<_> = (0..BLOCKERS).map(spawn).collect();
    let done: u64 = tasks.into_iter().map(|task| task.join().unwrap()).sum();
    let sample = meter.stop(n).in_total();
    over.store(true, Relaxed);
    assert_eq!(done, n);
    ticker.join().unwrap().add_to(sample)
}
