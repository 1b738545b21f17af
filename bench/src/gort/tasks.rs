//! Spawning, yielding, parking.

use gort::channel::Receiver;
use gort::sync::WaitGroup;
use gort_bench::{BATCH, Meter, Sample, resident_bytes, work::share};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

pub(crate) fn yield_2(n: u64) -> Sample {
    let meter = Meter::start();
    let spawn = |count| {
        gort::go(move || {
            for _ in 0..count {
                gort::gosched();
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
        handles.extend((0..now).map(|_| gort::go(|| 1)));
        for handle in handles.drain(..) {
            ran += handle.join().unwrap();
        }
        left -= now;
    }
    let sample = meter.stop(n);
    assert_eq!(ran, n);
    sample
}

pub(crate) fn spawn_join_waitgroup(n: u64) -> Sample {
    let meter = Meter::start();
    let ran = Arc::new(AtomicU64::new(0));
    let mut left = n;
    while left > 0 {
        let now = left.min(BATCH);
        let batch = WaitGroup::new();
        for _ in 0..now {
            let ran = ran.clone();
            batch.go(move || {
                ran.fetch_add(1, Relaxed);
            });
        }
        batch.wait();
        left -= now;
    }
    let sample = meter.stop(n);
    assert_eq!(ran.load(Relaxed), n);
    sample
}

pub(crate) fn spawn_chain(n: u64) -> Sample {
    let meter = Meter::start();
    let (end, ended) = gort::chan(0);
    link(n, 1, end);
    let length = ended.recv().unwrap();
    let sample = meter.stop(n);
    assert_eq!(length, n);
    sample
}

fn link(n: u64, i: u64, end: gort::channel::Sender<u64>) {
    gort::go(move || if i == n { end.send(i).unwrap() } else { link(n, i + 1, end) });
}

/// What the goroutines of `parked` share.
struct Scene {
    waiting: Receiver<()>,
    started: WaitGroup,
    returned: WaitGroup,
    closed: AtomicU64,
}

/// In the default stack class, or the one of `GORT_STACK`.
pub(crate) fn parked(n: u64) -> Sample {
    parked_in(n, gort::Builder::new)
}

pub(crate) fn parked_64k(n: u64) -> Sample {
    parked_in(n, || gort::Builder::new().stack_size(64 << 10))
}

fn parked_in(n: u64, builder: impl Fn() -> gort::Builder) -> Sample {
    let meter = Meter::start();
    let (gate, waiting) = gort::chan(0);
    let (started, returned) = (WaitGroup::new(), WaitGroup::new());
    started.add(n as isize);
    returned.add(n as isize);
    let scene = Arc::new(Scene { waiting, started, returned, closed: AtomicU64::new(0) });
    for _ in 0..n {
        let scene = scene.clone();
        let spawned = builder().go(move || {
            scene.started.done();
            if scene.waiting.recv().is_err() {
                scene.closed.fetch_add(1, Relaxed);
            }
            scene.returned.done();
        });
        spawned.expect("a goroutine");
    }
    scene.started.wait();
    let sample = meter.stop(n);
    let create_ns = sample.wall_ns / n as f64;
    gort::sleep(Duration::from_millis(100));
    let bytes = resident_bytes() / n as f64;
    let meter = Meter::start();
    gate.close();
    scene.returned.wait();
    let wake_ns = meter.wall_ns() / n as f64;
    assert_eq!(scene.closed.load(Relaxed), n);
    sample.and("bytes", bytes).and("create_ns", create_ns).and("wake_ns", wake_ns)
}
