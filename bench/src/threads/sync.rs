//! std's locks.

use crossbeam_channel::bounded;
use gort_bench::{LOCKERS, Meter, PERMIT_TASKS, PERMITS, Sample, WRITE_EVERY, work::share};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, RwLock};
use std::thread;

pub(crate) fn mutex_uncontended(n: u64) -> Sample {
    let mutex = Mutex::new(0);
    let meter = Meter::start();
    for _ in 0..n {
        *std::hint::black_box(&mutex).lock().unwrap() += 1;
    }
    let sample = meter.stop(n);
    assert_eq!(mutex.into_inner().unwrap(), n);
    sample
}

pub(crate) fn mutex_contended(n: u64) -> Sample {
    let meter = Meter::start();
    let mutex = Arc::new(Mutex::new(0));
    let spawn = |i| {
        let mutex = mutex.clone();
        thread::spawn(move || {
            for _ in 0..share(n, LOCKERS, i) {
                *mutex.lock().unwrap() += 1;
            }
        })
    };
    let threads: Vec<_> = (0..LOCKERS).map(spawn).collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let sample = meter.stop(n);
    assert_eq!(*mutex.lock().unwrap(), n);
    sample
}

pub(crate) fn rwmutex_read(n: u64) -> Sample {
    let meter = Meter::start();
    let lock = Arc::new(RwLock::new(0));
    let spawn = |i| {
        let lock = lock.clone();
        thread::spawn(move || {
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
    let threads: Vec<_> = (0..LOCKERS).map(spawn).collect();
    let reads: u64 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    let sample = meter.stop(n);
    assert_eq!(*lock.read().unwrap() + reads, n);
    sample
}

pub(crate) fn semaphore_chan(n: u64) -> Sample {
    let meter = Meter::start();
    let (acquire, release) = bounded::<()>(PERMITS);
    let inside = Arc::new(AtomicUsize::new(0));
    let spawn = |i| {
        let (acquire, release, inside) = (acquire.clone(), release.clone(), inside.clone());
        thread::spawn(move || {
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
    let threads: Vec<_> = (0..PERMIT_TASKS).map(spawn).collect();
    for thread in threads {
        assert!(thread.join().unwrap() <= PERMITS);
    }
    meter.stop(n)
}
