//! Locks, WaitGroup, and a channel used as a semaphore.

use gort::sync::{Mutex, RwLock, WaitGroup};
use gort_bench::{BATCH, LOCKERS, Meter, PERMIT_TASKS, PERMITS, Sample, WRITE_EVERY, work::share};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

pub(crate) fn mutex_uncontended(n: u64) -> Sample {
    let mutex = Mutex::new(0);
    let meter = Meter::start();
    for _ in 0..n {
        *std::hint::black_box(&mutex).lock() += 1;
    }
    let sample = meter.stop(n);
    assert_eq!(mutex.into_inner(), n);
    sample
}

pub(crate) fn mutex_contended(n: u64) -> Sample {
    let meter = Meter::start();
    let mutex = Arc::new(Mutex::new(0));
    let spawn = |i| {
        let mutex = mutex.clone();
        gort::go(move || {
            for _ in 0..share(n, LOCKERS, i) {
                *mutex.lock() += 1;
            }
        })
    };
    let tasks: Vec<_> = (0..LOCKERS).map(spawn).collect();
    tasks.into_iter().for_each(|task| task.join().unwrap());
    let sample = meter.stop(n);
    assert_eq!(*mutex.lock(), n);
    sample
}

pub(crate) fn rwmutex_read(n: u64) -> Sample {
    let meter = Meter::start();
    let lock = Arc::new(RwLock::new(0));
    let spawn = |i| {
        let lock = lock.clone();
        gort::go(move || {
            let (mut seen, mut reads) = (0, 0);
            for j in 0..share(n, LOCKERS, i) {
                if j % WRITE_EVERY == 0 {
                    *lock.write() += 1;
                    continue;
                }
                let writes: u64 = *lock.read();
                reads += u64::from(writes >= seen);
                seen = writes;
            }
            reads
        })
    };
    let tasks: Vec<_> = (0..LOCKERS).map(spawn).collect();
    let reads: u64 = tasks.into_iter().map(|task| task.join().unwrap()).sum();
    let sample = meter.stop(n);
    assert_eq!(*lock.read() + reads, n);
    sample
}

pub(crate) fn waitgroup_fanout(n: u64) -> Sample {
    let meter = Meter::start();
    let ran = Arc::new(AtomicU64::new(0));
    let mut left = n;
    while left > 0 {
        let now = left.min(BATCH);
        let (gate, done) = (WaitGroup::new(), WaitGroup::new());
        gate.add(1);
        for _ in 0..now {
            let (gate, ran) = (gate.clone(), ran.clone());
            done.go(move || {
                gate.wait();
                ran.fetch_add(1, Relaxed);
            });
        }
        gate.done();
        done.wait();
        left -= now;
    }
    let sample = meter.stop(n);
    assert_eq!(ran.load(Relaxed), n);
    sample
}

/// Takes and gives back permits of a buffered channel.
pub(crate) fn semaphore_chan(n: u64) -> Sample {
    let meter = Meter::start();
    let (acquire, release) = gort::chan::<()>(PERMITS);
    let inside = Arc::new(AtomicUsize::new(0));
    let spawn = |i| {
        let (acquire, release, inside) = (acquire.clone(), release.clone(), inside.clone());
        gort::go(move || {
            let mut most = 0;
            for _ in 0..share(n, PERMIT_TASKS, i) {
                acquire.send(()).unwrap();
                most = most.max(inside.fetch_add(1, Relaxed) + 1);
                inside.fetch_sub(1, Relaxed);
                release.recv().unwrap();
            }
            most
        })
    };
    let tasks: Vec<_> = (0..PERMIT_TASKS).map(spawn).collect();
    for task in tasks {
        assert!(task.join().unwrap() <= PERMITS);
    }
    meter.stop(n)
}
