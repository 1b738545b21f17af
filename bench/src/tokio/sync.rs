//! tokio's own locks, semaphore and gate.

use gort_bench::{BATCH, LOCKERS, Meter, PERMIT_TASKS, PERMITS, Sample, WRITE_EVERY, work::share};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use tokio::sync::{Mutex, RwLock, Semaphore};

pub(crate) async fn mutex_uncontended(n: u64) -> Sample {
    let mutex = Mutex::new(0);
    let meter = Meter::start();
    for _ in 0..n {
        *mutex.lock().await += 1;
    }
    let sample = meter.stop(n);
    assert_eq!(mutex.into_inner(), n);
    sample
}

pub(crate) async fn mutex_contended(n: u64) -> Sample {
    let meter = Meter::start();
    let mutex = Arc::new(Mutex::new(0));
    let spawn = |i| {
        let mutex = mutex.clone();
        tokio::spawn(async move {
            for _ in 0..share(n, LOCKERS, i) {
                *mutex.lock().await += 1;
            }
        })
    };
    let tasks: Vec<_> = (0..LOCKERS).map(spawn).collect();
    for task in tasks {
        task.await.unwrap();
    }
    let sample = meter.stop(n);
    assert_eq!(*mutex.lock().await, n);
    sample
}

pub(crate) async fn rwmutex_read(n: u64) -> Sample {
    let meter = Meter::start();
    let lock = Arc::new(RwLock::new(0));
    let spawn = |i| {
        let lock = lock.clone();
        tokio::spawn(async move {
            let (mut seen, mut reads) = (0, 0);
            for j in 0..share(n, LOCKERS, i) {
                if j % WRITE_EVERY == 0 {
                    *lock.write().await += 1;
                    continue;
                }
                let writes: u64 = *lock.read().await;
                reads += u64::from(writes >= seen);
                seen = writes;
            }
            reads
        })
    };
    let tasks: Vec<_> = (0..LOCKERS).map(spawn).collect();
    let mut reads = 0;
    for task in tasks {
        reads += task.await.unwrap();
    }
    let sample = meter.stop(n);
    assert_eq!(*lock.read().await + reads, n);
    sample
}

/// The gate is a semaphore without permits that closes: all waiters return at once.
pub(crate) async fn waitgroup_fanout(n: u64) -> Sample {
    let meter = Meter::start();
    let (mut left, mut ran) = (n, 0);
    let mut tasks = Vec::with_capacity(BATCH as usize);
    while left > 0 {
        let now = left.min(BATCH);
        let gate = Arc::new(Semaphore::new(0));
        for _ in 0..now {
            let gate = gate.clone();
            tasks.push(tokio::spawn(async move { u64::from(gate.acquire().await.is_err()) }));
        }
        gate.close();
        for task in tasks.drain(..) {
            ran += task.await.unwrap();
        }
        left -= now;
    }
    let sample = meter.stop(n);
    assert_eq!(ran, n);
    sample
}

pub(crate) async fn semaphore(n: u64) -> Sample {
    let meter = Meter::start();
    let permits = Arc::new(Semaphore::new(PERMITS));
    let inside = Arc::new(AtomicUsize::new(0));
    let spawn = |i| {
        let (permits, inside) = (permits.clone(), inside.clone());
        tokio::spawn(async move {
            let mut most = 0;
            for _ in 0..share(n, PERMIT_TASKS, i) {
                let _permit = permits.acquire().await.unwrap();
                most = most.max(inside.fetch_add(1, Relaxed) + 1);
                inside.fetch_sub(1, Relaxed);
            }
            most
        })
    };
    let tasks: Vec<_> = (0..PERMIT_TASKS).map(spawn).collect();
    for task in tasks {
        assert!(task.await.unwrap() <= PERMITS);
    }
    meter.stop(n)
}
