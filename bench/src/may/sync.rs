//! may's locks, and its flag as the gate.

use gort_bench::{BATCH, LOCKERS, Meter, Sample, WRITE_EVERY, work::share};
use may::go;
use may::sync::{Mutex, RwLock, SyncFlag};
use std::sync::Arc;

pub(crate) fn mutex_uncontended(n: u64) -> Sample {
    let mutex = Mutex::new(0);
    let meter = Meter::start();
    for _ in 0..n {
        *mutex.lock().unwrap() += 1;
    }
    let sample = meter.stop(n);
    assert_eq!(*mutex.lock().unwrap(), n);
    sample
}

pub(crate) fn mutex_contended(n: u64) -> Sample {
    let meter = Meter::start();
    let mutex = Arc::new(Mutex::new(0));
    let spawn = |i| {
        let mutex = mutex.clone();
        go!(move || {
            for _ in 0..share(n, LOCKERS, i) {
                *mutex.lock().unwrap() += 1;
            }
        })
    };
    let tasks: Vec<_> = (0..LOCKERS).map(spawn).collect();
    tasks.into_iter().for_each(|task| task.join().unwrap());
    let sample = meter.stop(n);
    assert_eq!(*mutex.lock().unwrap(), n);
    sample
}

pub(crate) fn rwmutex_read(n: u64) -> Sample {
    let meter = Meter::start();
    let lock = Arc::new(RwLock::new(0));
    let spawn = |i| {
        let lock = lock.clone();
        go!(move || {
            let (mut seen, mut reads) = (0, 0);
            for j in 0..share(n, LOCKERS, i) {
                if j % WRITE_EVERY == 0 {
                    *lock.write().unwrap() += 1;
                    continue;
                }
                let writes: u64 = *lock.read().unwrap();
                reads += u64::from(writes >= seen);
                seen = writes;
            }
            reads
        })
    };
    let tasks: Vec<_> = (0..LOCKERS).map(spawn).collect();
    let reads: u64 = tasks.into_iter().map(|task| task.join().unwrap()).sum();
    let sample = meter.stop(n);
    assert_eq!(*lock.read().unwrap() + reads, n);
    sample
}

pub(crate) fn waitgroup_fanout(n: u64) -> Sample {
    let meter = Meter::start();
    let (mut left, mut ran) = (n, 0);
    let mut tasks = Vec::with_capacity(BATCH as usize);
    while left > 0 {
        let now = left.min(BATCH);
        let gate = Arc::new(SyncFlag::new());
        for _ in 0..now {
            let gate = gate.clone();
            tasks.push(go!(move || {
                gate.wait();
                1
            }));
        }
        gate.fire();
        for task in tasks.drain(..) {
            ran += task.join().unwrap();
        }
        left -= now;
    }
    let sample = meter.stop(n);
    assert_eq!(ran, n);
    sample
}
