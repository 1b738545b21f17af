//! The pool: reuse, sharing between tasks, and that no value is out twice or lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gort::sync::Pool;

use crate::env;

pub(crate) fn reuses() {
    let made = Arc::new(AtomicUsize::new(0));
    let counter = made.clone();
    let pool = Pool::new(move || counter.fetch_add(1, Ordering::Relaxed));
    let (a, b) = (pool.get(), pool.get());
    assert_ne!(a, b);
    pool.put(a);
    pool.put(b);
    let mut again = [pool.get(), pool.get()];
    again.sort_unstable();
    assert_eq!(again, [a.min(b), a.max(b)]);
    assert_eq!(made.load(Ordering::Relaxed), 2);
}

/// What one task puts in, another gets out, also if its own shard is empty.
pub(crate) fn shares_between_tasks() {
    let pool = Arc::new(Pool::new(|| 0));
    for i in 1..=50 {
        pool.put(i);
    }
    let mut got: Vec<i32> = Vec::new();
    for _ in 0..5 {
        let pool = pool.clone();
        got.extend(env::spawn(move || (0..10).map(|_| pool.get()).collect::<Vec<_>>()).join().unwrap());
    }
    got.sort_unstable();
    assert_eq!(got, (1..=50).collect::<Vec<_>>());
    assert_eq!(pool.get(), 0);
}

/// No value is ever out twice, and each is dropped once.
pub(crate) fn stress() {
    struct Item {
        out: bool,
        dropped: Arc<AtomicUsize>,
    }
    impl Drop for Item {
        fn drop(&mut self) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
    let (made, dropped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let pool = {
        let (made, dropped) = (made.clone(), dropped.clone());
        Arc::new(Pool::new(move || {
            made.fetch_add(1, Ordering::Relaxed);
            Item { out: false, dropped: dropped.clone() }
        }))
    };
    let tasks: Vec<_> = (0..6)
        .map(|t| {
            let pool = pool.clone();
            env::spawn(move || {
                for round in 0..500 {
                    let mut items: Vec<Item> = (0..(round + t) % 20).map(|_| pool.get()).collect();
                    for item in &mut items {
                        assert!(!std::mem::replace(&mut item.out, true));
                    }
                    for mut item in items {
                        item.out = false;
                        pool.put(item);
                    }
                }
            })
        })
        .collect();
    tasks.into_iter().for_each(|task| task.join().unwrap());
    drop(pool);
    assert_eq!(made.load(Ordering::Relaxed), dropped.load(Ordering::Relaxed));
}
