//! Spawning and yielding.

use gort_bench::{Meter, Sample, work::share};
use std::thread;

pub(crate) fn yield_2(n: u64) -> Sample {
    let meter = Meter::start();
    let spawn = |count| {
        thread::spawn(move || {
            for _ in 0..count {
                thread::yield_now();
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

/// In batches of a hundred: a thousand live threads would measure the kernel's
/// memory more than the spawning.
pub(crate) fn spawn_join(n: u64) -> Sample {
    const FEW: u64 = 100;
    let meter = Meter::start();
    let (mut left, mut ran) = (n, 0);
    while left > 0 {
        let now = left.min(FEW);
        let handles: Vec<_> = (0..now).map(|_| thread::spawn(|| 1)).collect();
        ran += handles.into_iter().map(|handle| handle.join().unwrap()).sum::<u64>();
        left -= now;
    }
    let sample = meter.stop(n);
    assert_eq!(ran, n);
    sample
}
