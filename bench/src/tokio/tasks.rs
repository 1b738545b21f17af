//! Spawning, yielding, parking.

use gort_bench::{BATCH, Meter, Sample, resident_bytes, work::share};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use tokio::task::yield_now;

pub(crate) async fn yield_2(n: u64) -> Sample {
    let meter = Meter::start();
    let spawn = |count| {
        tokio::spawn(async move {
            for _ in 0..count {
                yield_now().await;
            }
            count
        })
    };
    let (a, b) = (spawn(share(n, 2, 0)), spawn(share(n, 2, 1)));
    let done = a.await.unwrap() + b.await.unwrap();
    let sample = meter.stop(n);
    assert_eq!(done, n);
    sample
}

pub(crate) async fn spawn_join(n: u64) -> Sample {
    let meter = Meter::start();
    let (mut left, mut ran) = (n, 0);
    let mut handles = Vec::with_capacity(BATCH as usize);
    while left > 0 {
        let now = left.min(BATCH);
        handles.extend((0..now).map(|_| tokio::spawn(async { 1 })));
        for handle in handles.drain(..) {
            ran += handle.await.unwrap();
        }
        left -= now;
    }
    let sample = meter.stop(n);
    assert_eq!(ran, n);
    sample
}

pub(crate) async fn spawn_chain(n: u64) -> Sample {
    let meter = Meter::start();
    let (end, ended) = oneshot::channel();
    link(n, 1, end);
    let length = ended.await.unwrap();
    let sample = meter.stop(n);
    assert_eq!(length, n);
    sample
}

fn link(n: u64, i: u64, end: oneshot::Sender<u64>) {
    tokio::spawn(async move { if i == n { end.send(i).unwrap() } else { link(n, i + 1, end) } });
}

/// What the tasks of `parked` share.
struct Scene {
    waiting: async_channel::Receiver<()>,
    started: Arrivals,
    returned: Arrivals,
    closed: AtomicU64,
}

/// On async-channel: flume's close is quadratic in its waiters, and tokio's
/// own channels have a single receiver.
pub(crate) async fn parked(n: u64) -> Sample {
    let meter = Meter::start();
    let (gate, waiting) = async_channel::bounded::<()>(1);
    let (started, returned) = (Arrivals::new(n), Arrivals::new(n));
    let scene = Arc::new(Scene { waiting, started, returned, closed: AtomicU64::new(0) });
    for _ in 0..n {
        let scene = scene.clone();
        tokio::spawn(async move {
            scene.started.arrive();
            if scene.waiting.recv().await.is_err() {
                scene.closed.fetch_add(1, Relaxed);
            }
            scene.returned.arrive();
        });
    }
    scene.started.wait().await;
    let sample = meter.stop(n);
    let create_ns = sample.wall_ns / n as f64;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let bytes = resident_bytes() / n as f64;
    let meter = Meter::start();
    gate.close();
    scene.returned.wait().await;
    let wake_ns = meter.wall_ns() / n as f64;
    assert_eq!(scene.closed.load(Relaxed), n);
    sample.and("bytes", bytes).and("create_ns", create_ns).and("wake_ns", wake_ns)
}

/// Counts the tasks that have come to a point, and lets one wait for all.
struct Arrivals {
    left: AtomicU64,
    all: Notify,
}

impl Arrivals {
    fn new(n: u64) -> Self {
        Self { left: AtomicU64::new(n), all: Notify::new() }
    }

    fn arrive(&self) {
        if self.left.fetch_sub(1, Relaxed) == 1 {
            self.all.notify_one();
        }
    }

    async fn wait(&self) {
        self.all.notified().await;
        assert_eq!(self.left.load(Relaxed), 0);
    }
}
