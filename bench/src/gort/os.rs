//! What the runtime does about those that do not call it: goroutines that
//! compute without end, and calls that block the OS thread.

use gort_bench::blocking::{BLOCKERS, call};
use gort_bench::hogs::{Census, Hogs, Overhead, long_spin, spin_cpu_ns};
use gort_bench::ticks::{TICK, Ticks};
use gort_bench::{Meter, Sample, work::share};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

pub(crate) fn preempt_latency(n: u64) -> Sample {
    let hogs = Hogs::beside(n);
    let spawn = |i| {
        let hogs = hogs.clone();
        gort::go(move || hogs.run(i))
    };
    let tasks: Vec<_> = (0..hogs.count()).map(spawn).collect();
    let mut ticks = Ticks::new();
    let meter = Meter::start();
    while ticks.count() < n && !hogs.stopped() {
        let asked = Instant::now();
        gort::sleep(TICK);
        ticks.woke(asked);
    }
    let sample = meter.stop(ticks.count());
    hogs.stop();
    tasks.into_iter().for_each(|task| task.join().unwrap());
    hogs.add_to(sample, ticks)
}

pub(crate) fn hog_overhead(n: u64) -> Sample {
    let mut overhead = Overhead::default();
    let meter = Meter::start();
    for _ in 0..n {
        overhead.pair(|| on_thread(spin_cpu_ns), || gort::go(spin_cpu_ns).join().unwrap());
    }
    let sample = meter.stop(n);
    let census = Census::of("gort-m");
    gort::go(long_spin).join().unwrap();
    census.add_to(overhead.add_to(sample))
}

/// Nobody is told.
pub(crate) fn blocking_calls(n: u64) -> Sample {
    beside_a_ticker(n, call)
}

/// Each call is announced.
pub(crate) fn blocking_announced(n: u64) -> Sample {
    beside_a_ticker(n, || gort::blocking(call))
}

fn beside_a_ticker(n: u64, call: fn()) -> Sample {
    let over = Arc::new(AtomicBool::new(false));
    let seen = over.clone();
    let meter = Meter::start();
    let ticker = gort::go(move || {
        let mut ticks = Ticks::new();
        while !seen.load(Relaxed) {
            let asked = Instant::now();
            gort::sleep(TICK);
            ticks.woke(asked);
        }
        ticks
    });
    let spawn = |i| {
        gort::go(move || {
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

/// Does something that blocks on an OS thread; the goroutine waits.
pub(crate) fn on_thread<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    let (tx, rx) = gort::chan(1);
    std::thread::spawn(move || tx.send(f()));
    rx.recv().unwrap()
}
