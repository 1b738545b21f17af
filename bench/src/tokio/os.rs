//! What tokio leaves to the program: tasks that never yield, and calls that
//! block a worker.

use gort_bench::blocking::{BLOCKERS, call};
use gort_bench::ticks::{TICK, Ticks};
use gort_bench::{Meter, Sample, hogs::Hogs, work::share};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;
use tokio::time::sleep;

pub(crate) async fn preempt_latency(n: u64) -> Sample {
    let hogs = Hogs::beside(n);
    let spawn = |i| {
        let hogs = hogs.clone();
        tokio::spawn(async move { hogs.run(i) })
    };
    let tasks: Vec<_> = (0..hogs.count()).map(spawn).collect();
    let mut ticks = Ticks::new();
    let meter = Meter::start();
    while ticks.count() < n && !hogs.stopped() {
        let asked = Instant::now();
        sleep(TICK).await;
        ticks.woke(asked);
    }
    let sample = meter.stop(ticks.count());
    hogs.stop();
    for task in tasks {
        task.await.unwrap();
    }
    hogs.add_to(sample, ticks)
}

/// On the workers, which nobody has told.
pub(crate) async fn blocking_calls(n: u64) -> Sample {
    let blocker = |calls| async move {
        (0..calls).for_each(|_| call());
        calls
    };
    beside_a_ticker(n, |calls| tokio::spawn(blocker(calls))).await
}

/// Each call on tokio's pool of threads for this.
pub(crate) async fn blocking_announced(n: u64) -> Sample {
    let blocker = |calls| async move {
        for _ in 0..calls {
            tokio::task::spawn_blocking(call).await.unwrap();
        }
        calls
    };
    beside_a_ticker(n, |calls| tokio::spawn(blocker(calls))).await
}

async fn beside_a_ticker(n: u64, spawn: impl Fn(u64) -> tokio::task::JoinHandle<u64>) -> Sample {
    let over = Arc::new(AtomicBool::new(false));
    let seen = over.clone();
    let meter = Meter::start();
    let ticker = tokio::spawn(async move {
        let mut ticks = Ticks::new();
        while !seen.load(Relaxed) {
            let asked = Instant::now();
            sleep(TICK).await;
            ticks.woke(asked);
        }
        ticks
    });
    let tasks: Vec<_> = (0..BLOCKERS).map(|i| spawn(share(n, BLOCKERS, i))).collect();
    let mut done = 0;
    for task in tasks {
        done += task.await.unwrap();
    }
    let sample = meter.stop(n).in_total();
    over.store(true, Relaxed);
    assert_eq!(done, n);
    ticker.await.unwrap().add_to(sample)
}
