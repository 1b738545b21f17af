//! Spawning, yielding, sleeping.

use gort_bench::{BATCH, Meter, Sample, work::Lateness, work::share, work::sleep_of};
use may::coroutine::yield_now;
use may::{coroutine, go, sync::mpsc};
use std::sync::Arc;
use std::time::Instant;

pub(crate) fn yield_2(n: u64) -> Sample {
    let meter = Meter::start();
    let spawn = |count| {
        go!(move || {
            for _ in 0..count {
                yield_now();
            }
            count
        })
    };
    let (a, b) = (spawn(share(n, 2, 0)), spawn(share(n, 2, 1)));
    let done = a.join().unwrap() + b.join().unwrap();
    let sample = meter.stop(n);
    assert_eq!(done, n);
    sample
}

pub(crate) fn spawn_join(n: u64) -> Sample {
    let meter = Meter::start();
    let (mut left, mut ran) = (n, 0);
    let mut handles = Vec::with_capacity(BATCH as usize);
    while left > 0 {
        let now = left.min(BATCH);
        handles.extend((0..now).map(|_| go!(|| 1)));
        for handle in handles.drain(..) {
            ran += handle.join().unwrap();
        }
        left -= now;
    }
    let sample = meter.stop(n);
    assert_eq!(ran, n);
    sample
}

pub(crate) fn spawn_chain(n: u64) -> Sample {
    let meter = Meter::start();
    let (end, ended) = mpsc::channel();
    link(n, 1, end);
    let length = ended.recv().unwrap();
    let sample = meter.stop(n);
    assert_eq!(length, n);
    sample
}

fn link(n: u64, i: u64, end: mpsc::Sender<u64>) {
    go!(move || if i == n { end.send(i).unwrap() } else { link(n, i + 1, end) });
}

pub(crate) fn timers_sleep(n: u64) -> Sample {
    let late = Arc::new(Lateness::new(n));
    let meter = Meter::start();
    let mut tasks = Vec::with_capacity(n as usize);
    for i in 0..n {
        let late = late.clone();
        tasks.push(go!(move || {
            let pause = sleep_of(i);
            let due = Instant::now() + pause;
            coroutine::sleep(pause);
            late.woke(i, due);
        }));
    }
    let spawned = Instant::now();
    for task in tasks {
        task.join().unwrap();
    }
    let sample = meter.stop(n);
    late.add_to(sample, spawned)
}
