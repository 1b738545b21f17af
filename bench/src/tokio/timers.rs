//! tokio's timers.

use gort_bench::{Meter, Sample, work::Lateness, work::sleep_of};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

pub(crate) async fn timers_sleep(n: u64) -> Sample {
    let late = Arc::new(Lateness::new(n));
    let meter = Meter::start();
    let mut tasks = Vec::with_capacity(n as usize);
    for i in 0..n {
        let late = late.clone();
        tasks.push(tokio::spawn(async move {
            let due = Instant::now() + sleep_of(i);
            tokio::time::sleep_until(due.into()).await;
            late.woke(i, due);
        }));
    }
    let spawned = Instant::now();
    for task in tasks {
        task.await.unwrap();
    }
    let sample = meter.stop(n);
    late.add_to(sample, spawned)
}

/// A sleep is armed by its first poll and disarmed when it is dropped; moving
/// an armed one is tokio's `reset`.
pub(crate) async fn timer_reset(n: u64) -> Sample {
    const HOUR: Duration = Duration::from_secs(3600);
    let mut pending = 0;
    let meter = Meter::start();
    for _ in 0..n {
        let mut sleep = std::pin::pin!(tokio::time::sleep(HOUR));
        std::future::poll_fn(|cx| {
            pending += u64::from(sleep.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
    }
    let sample = meter.stop(n);
    assert_eq!(pending, n);
    sample
}
