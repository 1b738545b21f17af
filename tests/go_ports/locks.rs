//! Mutual exclusion on goroutines (sync/mutex_test.go, sync/rwmutex_test.go, runtime/sema_test.go).

use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gort::sync::{Mutex, RwLock, Semaphore};

use crate::support::{Chan, Chance, alone, on_procs, settle};

/// TestMutex, HammerMutex: who holds it is alone, whichever way it was taken.
#[gort::test(unsafe(migrate))]
fn hammer_mutex() {
    on_procs(|_| {
        let (mutex, entered) = (Mutex::new(0_usize), AtomicUsize::new(0));
        gort::scope(|s| {
            for i in 0..10 {
                let (mutex, entered) = (&mutex, &entered);
                s.go(move || {
                    for j in 0..1000 {
                        if (i + j) % 3 == 0 {
                            if let Some(mut guard) = mutex.try_lock() {
                                *guard += 1;
                                entered.fetch_add(1, Ordering::Relaxed);
                            }
                            continue;
                        }
                        let mut guard = mutex.lock();
                        let value = *guard;
                        if j % 10 == 0 {
                            gort::gosched();
                        }
                        *guard = value + 1;
                        entered.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(*mutex.lock(), entered.load(Ordering::Relaxed));
    });
}

/// TestMutex: `try_lock` takes a free one and never waits.
#[gort::test(unsafe(migrate))]
fn try_lock_does_not_wait() {
    on_procs(|_| {
        let mutex = Mutex::new(());
        let guard = mutex.lock();
        assert!(mutex.try_lock().is_none());
        gort::scope(|s| {
            s.go(|| drop(mutex.lock()));
            settle();
            assert!(mutex.try_lock().is_none());
            drop(guard);
        });
        assert!(mutex.try_lock().is_some());
    });
}

/// TestMutexFairness: one goroutine holds the lock nearly always; another still gets it, ten times in a row.
#[gort::test(unsafe(migrate))]
fn mutex_is_fair() {
    on_procs(|_| {
        let (mutex, over) = (Arc::new(Mutex::new(())), Arc::new(AtomicBool::new(false)));
        let (hogged, ended) = (Arc::clone(&mutex), Arc::clone(&over));
        let hog = gort::go(move || {
            while !ended.load(Ordering::Relaxed) {
                let guard = hogged.lock();
                gort::sleep(Duration::from_micros(100));
                drop(guard);
            }
        });
        let start = Instant::now();
        for _ in 0..10 {
            gort::sleep(Duration::from_micros(100));
            drop(mutex.lock());
        }
        over.store(true, Ordering::Relaxed);
        hog.join().unwrap();
        assert!(start.elapsed() < Duration::from_secs(30), "ten turns took {:?}", start.elapsed());
    });
}

/// TestSemaHandoff, TestSemaHandoff1: a waiter that starved for more than a millisecond gets the lock by hand, although
/// the one who unlocks tries to take it again at once.
#[gort::test(unsafe(migrate))]
fn the_starving_waiter_is_next() {
    alone(1, || {
        const ATTEMPTS: usize = 200;
        let mutex = Mutex::new(());
        let mut robbed = 0;
        for _ in 0..ATTEMPTS {
            let got_it = AtomicBool::new(false);
            gort::scope(|s| {
                let guard = mutex.lock();
                s.go(|| {
                    let _guard = mutex.lock();
                    got_it.store(true, Ordering::Relaxed);
                });
                gort::gosched();
                // Woken once in vain, after it has waited too long: from now on it is next.
                spin(Duration::from_millis(2));
                drop(guard);
                let first = mutex.lock();
                gort::gosched();
                drop(first);
                let second = mutex.lock();
                robbed += usize::from(!got_it.load(Ordering::Relaxed));
                drop(second);
            });
        }
        // Now and then the scheduler lets somebody else go first, and then the waiter has not been woken in vain. Without
        // the handing over it would be robbed nearly every time.
        assert!(robbed < ATTEMPTS / 2, "robbed {robbed} times of {ATTEMPTS}");
    });
}

fn spin(d: Duration) {
    let start = Instant::now();
    while start.elapsed() < d {
        spin_loop();
    }
}

/// TestSemaphore, TestSemaHandoff2: the weighted semaphore never gives out more than there is, and serves in turn.
#[gort::test(unsafe(migrate))]
fn hammer_semaphore() {
    on_procs(|_| {
        const UNITS: usize = 10;
        let (semaphore, held) = (Semaphore::new(UNITS), AtomicUsize::new(0));
        let chance = Chance::new();
        gort::scope(|s| {
            for _ in 0..8 {
                s.go(|| {
                    for _ in 0..500 {
                        let units = 1 + chance.below(UNITS as u64) as usize;
                        semaphore.acquire(units);
                        let now = held.fetch_add(units, Ordering::Relaxed) + units;
                        assert!(now <= UNITS, "{now} of {UNITS} units are out");
                        if chance.below(4) == 0 {
                            gort::gosched();
                        }
                        held.fetch_sub(units, Ordering::Relaxed);
                        semaphore.release(units);
                    }
                });
            }
        });
        assert_eq!(semaphore.available(), UNITS);

        // A big one is not overtaken for ever by small ones.
        let order = Chan::new(10);
        gort::scope(|s| {
            semaphore.acquire(5);
            s.go(|| {
                semaphore.acquire(UNITS);
                order.send("big");
                semaphore.release(UNITS);
            });
            settle();
            assert!(!semaphore.try_acquire(1), "somebody waits");
            s.go(|| {
                semaphore.acquire(1);
                order.send("small");
                semaphore.release(1);
            });
            settle();
            semaphore.release(5);
        });
        assert_eq!(order.rx.try_iter().collect::<Vec<_>>(), ["big", "small"]);
    });
}

/// TestRWMutex, HammerRWMutex: readers among themselves, or one writer.
#[gort::test(unsafe(migrate))]
fn hammer_rwlock() {
    fn check(procs: usize, readers: usize, turns: usize) {
        const WRITER: i32 = 10_000;
        alone(procs, || {
            let (lock, activity) = (RwLock::new(0_u64), AtomicI32::new(0));
            let inside = |weight: i32| {
                let now = activity.fetch_add(weight, Ordering::Relaxed) + weight;
                let allowed = if weight == WRITER { now == WRITER } else { (1..WRITER).contains(&now) };
                assert!(allowed, "{now} inside");
                (0..100).for_each(|_| spin_loop());
                if turns.is_multiple_of(7) {
                    gort::gosched();
                }
                activity.fetch_sub(weight, Ordering::Relaxed);
            };
            gort::scope(|s| {
                for _ in 0..2 {
                    s.go(|| {
                        for _ in 0..turns {
                            let mut guard = lock.write();
                            inside(WRITER);
                            *guard += 1;
                        }
                    });
                }
                for _ in 0..readers {
                    s.go(|| {
                        for i in 0..turns {
                            if i % 5 == 0 {
                                let Some(_guard) = lock.try_read() else { continue };
                                inside(1);
                            } else {
                                let _guard = lock.read();
                                inside(1);
                            }
                        }
                    });
                }
            });
            assert_eq!(*lock.read(), 2 * turns as u64);
        });
    }
    for turns in [300, 301] {
        for procs in [1, 2, 4] {
            for readers in [1, 3, 10] {
                check(procs, readers, turns);
            }
        }
    }
}

/// TestParallelReaders: readers do not wait for one another.
#[gort::test(unsafe(migrate))]
fn readers_are_parallel() {
    for (readers, procs) in [(1, 4), (3, 4), (4, 2)] {
        alone(procs, || {
            let (lock, inside, over) = (RwLock::new(()), Chan::new(0), Chan::<()>::new(0));
            gort::scope(|s| {
                for _ in 0..readers {
                    s.go(|| {
                        let _guard = lock.read();
                        inside.send(());
                        let _ = over.recv();
                    });
                }
                // All of them hold it at this moment.
                (0..readers).for_each(|_| inside.take());
                assert!(lock.try_write().is_none());
                over.close();
            });
            assert!(lock.try_write().is_some());
        });
    }
}

/// X5 of rwmutex.go: a writer that waits stops new readers; when it is through, those who queued meanwhile come first.
#[gort::test(unsafe(migrate))]
fn a_waiting_writer_stops_new_readers() {
    on_procs(|_| {
        let (lock, order) = (RwLock::new(0), Chan::new(20));
        gort::scope(|s| {
            let reader = lock.read();
            s.go(|| {
                let _guard = lock.write();
                order.send("writer");
            });
            settle();
            assert!(lock.try_read().is_none(), "a writer waits");
            for _ in 0..3 {
                s.go(|| {
                    let _guard = lock.read();
                    order.send("reader");
                });
            }
            settle();
            assert_eq!(order.rx.len(), 0, "readers passed the waiting writer");
            s.go(|| {
                let _guard = lock.write();
                order.send("second writer");
            });
            settle();
            drop(reader);
        });
        let order: Vec<_> = order.rx.try_iter().collect();
        assert_eq!(order, ["writer", "reader", "reader", "reader", "second writer"]);
    });
}
