//! Waiting for many, doing once, sharing (sync/waitgroup_test.go, once_test.go, oncefunc_test.go, pool_test.go,
//! map_test.go).

use std::collections::{BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use gort::sync::{LazyLock, Map, Mutex, Once, OnceLock, Pool, WaitGroup};

use crate::support::{Chan, Chance, alone, on_procs, settle};

/// TestWaitGroup: nobody passes before the last is done, and a group may be used again.
#[gort::test(unsafe(migrate))]
fn nobody_passes_before_the_last() {
    on_procs(|_| {
        const N: usize = 16;
        let (first, second) = (WaitGroup::new(), WaitGroup::new());
        for _ in 0..8 {
            first.add(N as isize);
            second.add(N as isize);
            let passed = Chan::new(N);
            for _ in 0..N {
                let (first, second, passed) = (first.clone(), second.clone(), passed.clone());
                gort::go!({
                    first.done();
                    second.wait();
                    passed.send(());
                });
            }
            first.wait();
            for _ in 0..N {
                assert!(passed.rx.is_empty(), "passed too early");
                second.done();
            }
            (0..N).for_each(|_| passed.take());
        }
    });
}

/// TestWaitGroupRace: what was done before `done` is seen after `wait`.
#[gort::test(unsafe(migrate))]
fn what_was_done_is_seen() {
    on_procs(|_| {
        for _ in 0..1000 {
            let (group, n) = (WaitGroup::new(), Arc::new(AtomicU64::new(0)));
            for _ in 0..2 {
                let n = Arc::clone(&n);
                group.go(move || {
                    n.fetch_add(1, Ordering::Relaxed);
                });
            }
            group.wait();
            assert_eq!(n.load(Ordering::Relaxed), 2);
        }
    });
}

/// TestWaitGroupMisuse
#[gort::test(unsafe(migrate))]
fn one_done_too_many() {
    alone(1, || {
        let group = WaitGroup::new();
        group.add(1);
        group.done();
        let payload = gort::go(move || group.done()).join().unwrap_err();
        let text =
            payload.downcast_ref::<String>().map(String::as_str).or(payload.downcast_ref::<&str>().copied());
        assert_eq!(text, Some("sync: negative WaitGroup counter"));
    });
}

/// TestWaitGroupGo: a task is done when it has returned, and also when it has left by goexit.
#[gort::test(unsafe(migrate))]
fn tasks_are_done_by_goexit_too() {
    on_procs(|_| {
        let (group, runs) = (WaitGroup::new(), Arc::new(AtomicUsize::new(0)));
        for i in 0..20 {
            let runs = Arc::clone(&runs);
            group.go(move || {
                gort::gosched();
                runs.fetch_add(1, Ordering::Relaxed);
                if i % 2 == 0 {
                    gort::goexit();
                }
            });
        }
        group.wait();
        assert_eq!(runs.load(Ordering::Relaxed), 20);
    });
}

/// TestOnce: it runs once, and nobody passes before it has run.
#[gort::test(unsafe(migrate))]
fn once_is_once() {
    on_procs(|_| {
        for _ in 0..100 {
            let (once, lock, value) = (Once::new(), OnceLock::new(), AtomicUsize::new(0));
            gort::scope(|s| {
                for i in 0..10 {
                    let (once, lock, value) = (&once, &lock, &value);
                    s.go(move || {
                        once.call_once(|| {
                            gort::gosched();
                            value.fetch_add(1, Ordering::Relaxed);
                        });
                        assert_eq!(value.load(Ordering::Relaxed), 1);
                        let first = *lock.get_or_init(|| {
                            gort::gosched();
                            i
                        });
                        assert_eq!(lock.get(), Some(&first));
                    });
                }
            });
        }
    });
}

/// TestOncePanic: a panic was the one time; those who wait for it are let through.
#[gort::test(unsafe(migrate))]
fn a_panic_counts_as_once() {
    on_procs(|_| {
        let once = Arc::new(Once::new());
        let panics = Arc::clone(&once);
        let first = gort::go(move || {
            panics.call_once(|| {
                settle();
                std::panic::resume_unwind(Box::new("failed"));
            });
        });
        gort::gosched();
        let waits = Arc::clone(&once);
        let second = gort::go(move || waits.call_once(|| ()));
        let ended = [first.join().is_err(), second.join().is_err()];
        // If the second came first, the first has nothing to do.
        assert!(ended == [true, false] || ended == [false, false], "{ended:?}");
        once.call_once(|| panic!("it was done"));
    });
}

/// TestOnceValue, TestOnceFuncGoexit: one computes, everybody else waits and sees the same.
#[gort::test(unsafe(migrate))]
fn lazy_values() {
    on_procs(|_| {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let lazy = LazyLock::new(move || {
            gort::gosched();
            counted.fetch_add(1, Ordering::Relaxed) + 41
        });
        gort::scope(|s| (0..20).for_each(|_| drop(s.go(|| assert_eq!(*lazy, 41)))));
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    });
}

/// TestOnceFuncPanic: the computation that panics does so for everybody, with the same words, and is not tried again.
#[gort::test(unsafe(migrate))]
fn a_lazy_value_that_panics() {
    on_procs(|_| {
        let calls = AtomicUsize::new(0);
        let lazy = LazyLock::new(|| -> usize {
            gort::gosched();
            calls.fetch_add(1, Ordering::Relaxed);
            resume_unwind(Box::new("no value"))
        });
        gort::scope(|s| {
            for _ in 0..10 {
                s.go(|| {
                    for _ in 0..2 {
                        let payload = catch_unwind(AssertUnwindSafe(|| *lazy)).unwrap_err();
                        assert_eq!(payload.downcast_ref(), Some(&"no value"));
                    }
                });
            }
        });
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    });
}

/// TestOnceXGC: what the computation owns is dropped when it has been used, not when the value is.
#[gort::test(unsafe(migrate))]
fn a_lazy_value_keeps_no_function() {
    alone(2, || {
        let owned = Arc::new(5);
        let weak = Arc::downgrade(&owned);
        let lazy = LazyLock::new(move || *owned + 1);
        assert!(weak.upgrade().is_some());
        assert_eq!(*lazy, 6);
        assert!(weak.upgrade().is_none());
        assert_eq!(*lazy, 6);
    });
}

/// TestPool, TestPoolNew: what was put in comes out, once; else one is made.
#[gort::test(unsafe(migrate))]
fn a_pool_gives_back_or_makes() {
    alone(1, || {
        let made = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&made);
        let pool = Pool::new(move || 1 + count.fetch_add(1, Ordering::Relaxed));
        assert_eq!((pool.get(), pool.get()), (1, 2));
        (100..110).for_each(|value| pool.put(value));
        let out: BTreeSet<_> = (0..10).map(|_| pool.get()).collect();
        assert_eq!(out, (100..110).collect());
        assert_eq!((pool.get(), made.load(Ordering::Relaxed)), (3, 3));
    });
}

/// TestPoolStress, TestPoolDequeue: what is taken out was put in or made, and nobody else has it.
#[gort::test(unsafe(migrate))]
fn pool_stress() {
    struct Item {
        taken: AtomicBool,
    }
    on_procs(|_| {
        let made = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&made);
        let pool = Pool::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
            Box::new(Item { taken: AtomicBool::new(false) })
        });
        gort::scope(|s| {
            for i in 0..10 {
                let pool = &pool;
                s.go(move || {
                    for j in 0..1000 {
                        let items: Vec<_> = (0..1 + (i + j) % 4).map(|_| pool.get()).collect();
                        for item in &items {
                            assert!(!item.taken.swap(true, Ordering::Relaxed), "two have the same item");
                        }
                        if j % 50 == 0 {
                            gort::gosched();
                        }
                        for item in items {
                            item.taken.store(false, Ordering::Relaxed);
                            pool.put(item);
                        }
                    }
                });
            }
        });
        let made = made.load(Ordering::Relaxed);
        assert!((1..=10_000).contains(&made), "{made} items made for 25,000 uses");
    });
}

/// TestConcurrentRange: a walk sees what is there all the time exactly once, while values change.
#[gort::test(unsafe(migrate))]
fn a_walk_sees_what_stays() {
    const KEYS: i64 = 1 << 9;
    on_procs(|procs| {
        let map = Map::new();
        (1..=KEYS).for_each(|n| assert_eq!(map.insert(n, n), None));
        let over = Chan::<()>::new(0);
        gort::scope(|s| {
            for g in 1..=procs as i64 {
                let (map, over) = (&map, &over);
                s.go(move || {
                    for i in 0.. {
                        if over.rx.is_closed() {
                            return;
                        }
                        for n in 1..KEYS {
                            if (n * g) % 7 == 0 {
                                map.insert(n, n * i * g);
                            } else {
                                assert!(map.get(&n).is_some());
                            }
                        }
                        gort::gosched();
                    }
                });
            }
            for _ in 0..16 {
                let mut seen = HashMap::new();
                map.range(|&key, &value| {
                    assert_eq!(value % key, 0, "of key {key}");
                    assert_eq!(seen.insert(key, value), None, "key {key} twice");
                    true
                });
                assert_eq!(seen.len(), KEYS as usize);
                gort::gosched();
            }
            over.close();
        });
    });
}

/// TestMapRangeNestedCall: a walk tolerates other calls, and walks, from within.
#[gort::test(unsafe(migrate))]
fn a_walk_tolerates_calls_from_within() {
    alone(2, || {
        let map = Map::new();
        ["hello", "world", "gort"]
            .into_iter()
            .enumerate()
            .for_each(|(i, word)| assert_eq!(map.insert(i, word), None));
        map.range(|&key, &value| {
            map.range(|&key, &value| {
                assert_eq!(map.get(&key), Some(value));
                map.insert(42, "dummy");
                assert_eq!(map.get_or_insert_with(42, || panic!("it is there")), "dummy");
                assert_eq!(map.remove(&42), Some("dummy"));
                true
            });
            assert_eq!(map.remove(&key), Some(value));
            true
        });
        assert!(map.is_empty());
    });
}

/// TestConcurrentClear, TestCompareAndSwap_NonExistingKey
#[gort::test(unsafe(migrate))]
fn map_clear_and_compare() {
    on_procs(|_| {
        let map = Map::new();
        assert!(!map.compare_and_swap(&1, &0, 42), "the key is not there");
        assert!(map.is_empty());
        gort::scope(|s| {
            for k in 0..10 {
                let map = &map;
                s.go(move || (0..100).for_each(|i| assert_eq!(map.insert(k * 100 + i, i), None)));
                s.go(move || {
                    assert!((0..100).all(|i| map.get(&(k * 100 + i)).is_none_or(|value| value == i)))
                });
                if k % 3 == 0 {
                    s.go(|| map.clear());
                }
            }
        });
        map.clear();
        assert_eq!(map.len(), 0);
        map.range(|key, _| panic!("{key} is still there"));
    });
}

/// TestMapMatchesRWMutex: any row of calls gives what an ordinary map behind a lock gives.
#[gort::test(unsafe(migrate))]
fn map_matches_an_ordinary_one() {
    on_procs(|_| {
        let chance = Chance::new();
        let (map, reference) = (Map::new(), Mutex::new(HashMap::new()));
        for _ in 0..5000 {
            let (key, value, mut plain) = (chance.below(20), chance.below(3), reference.lock());
            match chance.below(6) {
                0 => assert_eq!(map.insert(key, value), plain.insert(key, value)),
                1 => assert_eq!(map.get(&key), plain.get(&key).copied()),
                2 => assert_eq!(map.remove(&key), plain.remove(&key)),
                3 => assert_eq!(map.get_or_insert_with(key, || value), *plain.entry(key).or_insert(value)),
                4 => {
                    let old = chance.below(3);
                    let matches = plain.get(&key) == Some(&old);
                    if matches {
                        plain.insert(key, value);
                    }
                    assert_eq!(map.compare_and_swap(&key, &old, value), matches);
                }
                _ => assert_eq!(map.len(), plain.len()),
            }
        }
    });
}

/// TestHashTrieMap's concurrent part: of many who insert one key by compare and swap from the same value, one wins.
#[gort::test(unsafe(migrate))]
fn one_of_many_swaps_wins() {
    on_procs(|_| {
        let map = Map::new();
        map.insert("turn", 0);
        gort::scope(|s| {
            for _ in 0..8 {
                s.go(|| {
                    for _ in 0..250 {
                        loop {
                            let old = map.get("turn").unwrap();
                            if map.compare_and_swap("turn", &old, old + 1) {
                                break;
                            }
                            gort::gosched();
                        }
                    }
                });
            }
        });
        assert_eq!(map.get("turn"), Some(2000));
    });
}
