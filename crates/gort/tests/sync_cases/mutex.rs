//! The mutex: exclusion under every way to lock and unlock, fairness, deadlines, travelling guards.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gort::sync::{Mutex, MutexGuard};

use super::{a_moment, eventually, seeded};
use crate::env;

/// Tasks that lock, try and time out, with a yield inside now and then; the count shows that no two were inside.
pub(crate) fn hammer() {
    const TASKS: usize = 10;
    const ROUNDS: usize = 1000;
    let count = Arc::new(Mutex::new((0usize, 0usize)));
    let rng = seeded("mutex hammer");
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let count = count.clone();
            let rng = gort_core::env::Rng::new(u64::from(rng.next()));
            env::spawn(move || {
                let mut missed = 0;
                for _ in 0..ROUNDS {
                    let guard = match rng.below(8) {
                        0 => count.try_lock(),
                        1 => count.try_lock_for(Duration::from_micros(u64::from(rng.below(100)))),
                        _ => Some(count.lock()),
                    };
                    let Some(mut guard) = guard else {
                        missed += 1;
                        continue;
                    };
                    let before = guard.0;
                    if rng.below(16) == 0 {
                        env::yield_now();
                    }
                    guard.0 = before + 1;
                    match rng.below(16) {
                        0 => MutexGuard::unlock_fair(guard),
                        _ => drop(guard),
                    }
                }
                count.lock().1 += missed;
            })
        })
        .collect();
    for task in tasks {
        task.join().unwrap();
    }
    let (locked, missed) = *count.lock();
    assert_eq!(locked + missed, TASKS * ROUNDS);
}

pub(crate) fn try_lock_never_waits() {
    let mutex = Arc::new(Mutex::new(()));
    let guard = mutex.lock();
    let other = mutex.clone();
    assert!(env::spawn(move || other.try_lock().is_none()).join().unwrap());
    assert!(mutex.is_locked());
    drop(guard);
    assert!(mutex.try_lock().is_some());
    assert!(!mutex.is_locked());
}

/// One task holds the lock nearly all the time, the other sleeps between its turns: it must get them all the same.
pub(crate) fn a_sleeper_is_not_starved() {
    let mutex = Arc::new(Mutex::new(()));
    let stop = Arc::new(AtomicBool::new(false));
    let hog = {
        let (mutex, stop) = (mutex.clone(), stop.clone());
        env::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let _guard = mutex.lock();
                env::sleep(Duration::from_micros(100));
            }
        })
    };
    let polite = env::spawn(move || {
        for _ in 0..10 {
            env::sleep(Duration::from_micros(100));
            let _guard = mutex.lock();
        }
        stop.store(true, Ordering::Relaxed);
    });
    polite.join().unwrap();
    hog.join().unwrap();
}

pub(crate) fn timeouts() {
    let mutex = Arc::new(Mutex::new(0));
    let guard = mutex.lock();
    let start = Instant::now();
    let other = mutex.clone();
    let timed_out = env::spawn(move || other.try_lock_for(Duration::from_millis(20)).is_none());
    assert!(timed_out.join().unwrap());
    assert!(start.elapsed() >= Duration::from_millis(20));
    let other = mutex.clone();
    let in_time = env::spawn(move || {
        *other.try_lock_until(Instant::now() + Duration::from_secs(600)).expect("it is unlocked soon") += 1;
    });
    a_moment();
    drop(guard);
    in_time.join().unwrap();
    assert_eq!(*mutex.lock(), 1);
}

/// A guard may be dropped by another task than the one that locked; mapped and arc guards unlock as well.
pub(crate) fn guards_travel() {
    let mutex = Arc::new(Mutex::new((1, 2)));
    let guard = mutex.lock_arc();
    env::spawn(move || drop(guard)).join().unwrap();
    {
        let mut second = MutexGuard::map(mutex.lock(), |pair| &mut pair.1);
        assert!(mutex.try_lock().is_none());
        *second = 7;
    }
    assert_eq!(*mutex.lock(), (1, 7));
}

/// Tasks that sleep on many locks at a time, so that the room's buckets hold several addresses.
pub(crate) fn many_locks_at_a_time() {
    const LOCKS: usize = 60;
    let locks: Arc<Vec<Mutex<u32>>> = Arc::new((0..LOCKS).map(|_| Mutex::new(0)).collect());
    let held: Vec<_> = locks.iter().map(|lock| lock.lock()).collect();
    let tasks: Vec<_> = (0..LOCKS)
        .map(|i| {
            let locks = locks.clone();
            env::spawn(move || {
                *locks[i].lock() += 1;
                *locks[(i * 7 + 1) % LOCKS].lock() += 1;
            })
        })
        .collect();
    a_moment();
    drop(held);
    for task in tasks {
        task.join().unwrap();
    }
    eventually(|| locks.iter().all(|lock| !lock.is_locked()));
    assert_eq!(locks.iter().map(|lock| *lock.lock()).sum::<u32>() as usize, 2 * LOCKS);
}
