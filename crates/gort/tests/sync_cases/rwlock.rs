//! The readers-writer lock: who may be inside together, who goes first, deadlines, changing sides.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::time::Duration;

use gort::sync::{Mutex, RwLock, RwLockUpgradableReadGuard, RwLockWriteGuard};
use gort_core::env::Rng;

use super::{Begun, a_moment, eventually, seeded};
use crate::env;

/// What is inside: readers count 1 each, a writer 10 000.
#[derive(Default)]
struct Inside(AtomicI32);

impl Inside {
    fn reader(&self) {
        let now = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        assert!((1..10_000).contains(&now), "a reader beside a writer: {now}");
        env::yield_now();
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    fn writer(&self) {
        let now = self.0.fetch_add(10_000, Ordering::Relaxed) + 10_000;
        assert_eq!(now, 10_000, "a writer is not alone");
        env::yield_now();
        self.0.fetch_sub(10_000, Ordering::Relaxed);
    }
}

pub(crate) fn hammer() {
    let rng = seeded("rwlock hammer");
    for readers in [1, 3, 8] {
        let lock = Arc::new(RwLock::new(Inside::default()));
        let writers = (0..2).map(|_| hammering_writer(lock.clone(), Rng::new(u64::from(rng.next()))));
        let mut tasks: Vec<_> = writers.collect();
        tasks.extend((0..readers).map(|_| hammering_reader(lock.clone(), Rng::new(u64::from(rng.next())))));
        for task in tasks {
            task.join().unwrap();
        }
        assert!(!lock.is_locked());
    }
}

fn hammering_reader(lock: Arc<RwLock<Inside>>, rng: Rng) -> env::Task<()> {
    env::spawn(move || {
        for _ in 0..400 {
            let guard = match rng.below(6) {
                0 => lock.try_read(),
                1 => lock.try_read_for(Duration::from_micros(u64::from(rng.below(60)))),
                _ => Some(lock.read()),
            };
            if let Some(inside) = guard {
                inside.reader();
            }
        }
    })
}

fn hammering_writer(lock: Arc<RwLock<Inside>>, rng: Rng) -> env::Task<()> {
    env::spawn(move || {
        for _ in 0..150 {
            let guard = match rng.below(6) {
                0 => lock.try_write(),
                1 => lock.try_write_for(Duration::from_micros(u64::from(rng.below(60)))),
                2 => {
                    let upgradable = lock.upgradable_read();
                    upgradable.reader();
                    Some(RwLockUpgradableReadGuard::upgrade(upgradable))
                }
                _ => Some(lock.write()),
            };
            if let Some(inside) = guard {
                inside.writer();
                if rng.below(3) == 0 {
                    RwLockWriteGuard::downgrade(inside).reader();
                }
            }
        }
    })
}

/// All readers are inside at a time: each waits there for the others.
pub(crate) fn readers_share() {
    const READERS: usize = 6;
    let lock = Arc::new(RwLock::new(()));
    let inside = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..READERS)
        .map(|_| {
            let (lock, inside) = (lock.clone(), inside.clone());
            env::spawn(move || {
                let _guard = lock.read();
                inside.fetch_add(1, Ordering::Relaxed);
                eventually(|| inside.load(Ordering::Relaxed) == READERS);
            })
        })
        .collect();
    for task in tasks {
        task.join().unwrap();
    }
    assert!(lock.try_write().is_some());
}

pub(crate) fn is_locked_counts_every_guard() {
    let lock = RwLock::new(());
    let is_locked = || (lock.is_locked(), lock.is_locked_exclusive());
    assert_eq!(is_locked(), (false, false));
    let guard = lock.read();
    assert_eq!(is_locked(), (true, false));
    drop(guard);
    let guard = lock.upgradable_read();
    assert_eq!(is_locked(), (true, false));
    let guard = RwLockUpgradableReadGuard::upgrade(guard);
    assert_eq!(is_locked(), (true, true));
    drop(guard);
    assert_eq!(is_locked(), (false, false));
}

pub(crate) fn a_waiting_writer_stops_readers() {
    let lock = Arc::new(RwLock::new(()));
    let reader = lock.read();
    let other = lock.clone();
    let writer = env::spawn(move || drop(other.write()));
    eventually(|| lock.is_locked_exclusive());
    assert!(lock.try_read().is_none());
    let other = lock.clone();
    let late = env::spawn(move || drop(other.read()));
    a_moment();
    assert!(!writer.is_finished() && !late.is_finished());
    drop(reader);
    writer.join().unwrap();
    late.join().unwrap();
}

/// While a writer is inside, another writer and then some readers queue up. All the readers go first.
pub(crate) fn readers_go_between_writers() {
    let lock = Arc::new(RwLock::new(()));
    let order = Arc::new(Mutex::new(Vec::new()));
    let first = lock.write();
    let mut tasks = Vec::new();
    for name in ["writer", "reader", "reader", "reader"] {
        let (lock2, order, begun) = (lock.clone(), order.clone(), Begun::default());
        let begins = begun.clone();
        tasks.push(env::spawn(move || {
            begins.say();
            if name == "writer" {
                let _guard = lock2.write();
                order.lock().push(name);
            } else {
                let _guard = lock2.read();
                order.lock().push(name);
            }
        }));
        begun.let_it_get_in_line();
    }
    drop(first);
    for task in tasks {
        task.join().unwrap();
    }
    assert_eq!(*order.lock(), ["reader", "reader", "reader", "writer"]);
}

pub(crate) fn timeouts() {
    let lock = Arc::new(RwLock::new(0));
    let short = Duration::from_millis(5);
    {
        let _reader = lock.read();
        assert!(lock.try_write_for(short).is_none());
        assert!(lock.try_read_for(short).is_some(), "the writer that gave up has let readers in again");
    }
    {
        let _writer = lock.write();
        assert!(lock.try_read_for(short).is_none());
        assert!(lock.try_write_for(short).is_none());
    }
    *lock.try_write_for(short).expect("it is free") += 1;
    assert_eq!(*lock.read(), 1);
}

pub(crate) fn upgrade_and_downgrade() {
    let lock = Arc::new(RwLock::new(1));
    let upgradable = lock.upgradable_read();
    assert!(lock.try_upgradable_read().is_none() && lock.try_write().is_none());
    let reader = lock.read_arc();
    let upgradable = RwLockUpgradableReadGuard::try_upgrade(upgradable).expect_err("a reader is inside");
    let later = env::spawn(move || {
        a_moment();
        drop(reader);
    });
    let mut writer = RwLockUpgradableReadGuard::upgrade(upgradable);
    *writer = 2;
    let upgradable = RwLockWriteGuard::downgrade_to_upgradable(writer);
    assert_eq!((*lock.read(), *upgradable), (2, 2));
    let reader = RwLockUpgradableReadGuard::downgrade(upgradable);
    assert!(lock.try_upgradable_read().is_some() && lock.try_write().is_none());
    drop(reader);
    later.join().unwrap();
    assert!(lock.try_write().is_some());
}

/// Readers without end must not keep a writer out, nor writers a reader.
pub(crate) fn phases_alternate() {
    for reader_waits in [true, false] {
        let lock = Arc::new(RwLock::new(()));
        let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let crowd: Vec<_> = (0..3)
            .map(|_| {
                let (lock, stop) = (lock.clone(), stop.clone());
                env::spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        if reader_waits {
                            let _guard = lock.write();
                            env::yield_now();
                        } else {
                            let _guard = lock.read();
                            env::yield_now();
                        }
                    }
                })
            })
            .collect();
        for _ in 0..20 {
            if reader_waits {
                drop(lock.read());
            } else {
                drop(lock.write());
            }
        }
        stop.store(true, Ordering::Relaxed);
        for task in crowd {
            task.join().unwrap();
        }
    }
}
