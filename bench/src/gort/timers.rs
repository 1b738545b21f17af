//! Timers.

use gort::sync::WaitGroup;
use gort::time::Timer;
use gort_bench::{Meter, Sample, work::Lateness, work::sleep_of};
use std::sync::Arc;
use std::time::{Duration, Instant};

const HOUR: Duration = Duration::from_secs(3600);

pub(crate) fn timers_sleep(n: u64) -> Sample {
    let late = Arc::new(Lateness::new(n));
    let meter = Meter::start();
    let all = WaitGroup::new();
    for i in 0..n {
        let late = late.clone();
        all.go(move || {
            let pause = sleep_of(i);
            let due = Instant::now() + pause;
            gort::sleep(pause);
            late.woke(i, due);
        });
    }
    let spawned = Instant::now();
    all.wait();
    let sample = meter.stop(n);
    late.add_to(sample, spawned)
}

/// Starts and stops a timer with a channel nobody receives from.
pub(crate) fn timer_reset(n: u64) -> Sample {
    let timer = Timer::new(HOUR);
    timer.stop();
    resets(n, &timer)
}

/// Does the same with a timer that would run a function.
pub(crate) fn timer_reset_func(n: u64) -> Sample {
    let timer = gort::time::after_func(HOUR, || panic!("fired"));
    timer.stop();
    resets(n, &timer)
}

fn resets(n: u64, timer: &Timer) -> Sample {
    let mut stopped = 0;
    let meter = Meter::start();
    for _ in 0..n {
        timer.reset(HOUR);
        stopped += u64::from(timer.stop());
    }
    let sample = meter.stop(n);
    assert_eq!(stopped, n);
    sample
}
