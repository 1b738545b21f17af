//! What the operating system does on its own: preempt, and run others while a
//! thread blocks.

use gort_bench::blocking::{BLOCKERS, call};
use gort_bench::hogs::{Overhead, spin_cpu_ns};
use gort_bench::ticks::{TICK, Ticks};
use gort_bench::{Meter, Sample, hogs::Hogs, work::share};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Instant;

pub(crate) fn preempt_latency(n: u64) -> Sample {
    let hogs = Hogs::beside(n);
    let spawn = |i| {
        let hogs = hogs.clone();
        thread::spawn(move || hogs.run(i))
    };
    let tasks: Vec<_> = (0..hogs.count()).map(spawn).collect();
    let mut ticks = Ticks::new();
    let meter = Meter::start();
    while ticks.count() < n && !hogs.stopped() {
        let asked = Instant::now();
        thread::sleep(TICK);
        ticks.woke(asked);
    }
    let sample = meter.stop(ticks.count());
    hogs.stop();
    tasks.into_iter().for_each(|task| task.join().unwrap());
    hogs.add_to(sample, ticks)
}

/// A thread beside a thread: what is left is the noise of the method.
pub(crate) fn hog_overhead(n: u64) -> Sample {
    let mut overhead = Overhead::default();
    let meter = Meter::start();
    for _ in 0..n {
        overhead.pair(|| thread::spawn(spin_cpu_ns).join().unwrap(), spin_cpu_ns);
    }
    overhead.add_to(meter.stop(n))
}

pub(crate) fn blocking_calls(n: u64) -> Sample {
    let over = Arc::new(AtomicBool::new(false));
    let seen = over.clone();
    let meter = Meter::start();
    let ticker = thread::spawn(move || {
        let mut ticks = Ticks::new();
        while !seen.load(Relaxed) {
            let asked = Instant::now();
            thread::sleep(TICK);
            ticks.woke(asked);
        }
        ticks
    });
    let spawn = |i| {
        thread::spawn(move || {
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
