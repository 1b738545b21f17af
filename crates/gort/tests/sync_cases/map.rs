//! The map: against a plain map, and Go's promises for a range while others change it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gort::sync::{Map, RwLock};

use super::seeded;
use crate::env;

/// Random calls give the same answers as on a plain map.
pub(crate) fn agrees_with_a_plain_map() {
    let rng = seeded("map against model");
    let map = Map::new();
    let mut model = HashMap::new();
    for i in 0..5000u32 {
        let key = rng.below(40);
        match rng.below(7) {
            0 | 1 => assert_eq!(map.insert(key, i), model.insert(key, i)),
            2 => assert_eq!(map.get(&key), model.get(&key).copied()),
            3 => assert_eq!(map.remove(&key), model.remove(&key)),
            4 => assert_eq!(map.get_or_insert_with(key, || i), *model.entry(key).or_insert(i)),
            5 => assert_eq!(map.contains_key(&key), model.contains_key(&key)),
            _ => {
                let old = model.get(&key).copied().unwrap_or(7);
                let expected = model.get_mut(&key).is_some_and(|value| {
                    *value = i;
                    true
                });
                assert_eq!(map.compare_and_swap(&key, &old, i), expected);
            }
        }
        assert_eq!(map.len(), model.len());
    }
    let mut seen = HashMap::new();
    map.range(|&k, &v| {
        assert!(seen.insert(k, v).is_none(), "key {k} was shown twice");
        true
    });
    assert_eq!(seen, model);
}

/// Keys that stay are shown once each, however the values and the other keys change.
pub(crate) fn range_and_changes() {
    const KEYS: u32 = 512;
    let map: Arc<Map<u32, u32>> = Arc::new((0..KEYS).map(|k| (k, 1)).collect());
    let stop = Arc::new(AtomicBool::new(false));
    let changers: Vec<_> = (0..3)
        .map(|t| {
            let (map, stop) = (map.clone(), stop.clone());
            env::spawn(move || {
                let mut turn = 1;
                while !stop.load(Ordering::Relaxed) {
                    turn += 1;
                    for k in (t..KEYS).step_by(3) {
                        map.insert(k, turn);
                    }
                    map.insert(KEYS + turn % 16, 0);
                    map.remove(&(KEYS + (turn + 8) % 16));
                    env::yield_now();
                }
            })
        })
        .collect();
    for _ in 0..20 {
        let mut seen = vec![0; KEYS as usize];
        map.range(|&k, &v| {
            if k < KEYS {
                assert!(v > 0);
                seen[k as usize] += 1;
            }
            true
        });
        assert!(seen.iter().all(|&times| times == 1));
    }
    stop.store(true, Ordering::Relaxed);
    changers.into_iter().for_each(|task| task.join().unwrap());
}

/// A range may use the map it walks over, and stop early.
pub(crate) fn range_nested() {
    let map: Map<i32, i32> = (0..32).map(|k| (k, k)).collect();
    map.range(|&outer, _| {
        map.range(|&inner, _| {
            map.get_or_insert_with(inner, || unreachable!());
            map.insert(inner, outer);
            inner % 7 != 3
        });
        map.remove(&outer);
        true
    });
    assert!(map.is_empty());
    let map: Map<i32, i32> = (0..32).map(|k| (k, k)).collect();
    let mut shown = 0;
    map.range(|_, _| {
        shown += 1;
        shown < 5
    });
    assert_eq!(shown, 5);
}

pub(crate) fn clear_while_used() {
    let map = Arc::new(Map::new());
    let tasks: Vec<_> = (0..4u32)
        .map(|t| {
            let map = map.clone();
            env::spawn(move || {
                for i in 0..300u32 {
                    map.insert(i % 50, t);
                    if i % 20 == t {
                        map.clear();
                    }
                    let value = map.get(&(i % 50));
                    assert!(value.is_none_or(|value| value < 4));
                }
            })
        })
        .collect();
    tasks.into_iter().for_each(|task| task.join().unwrap());
    map.clear();
    assert!(map.is_empty());
    let mut any = false;
    map.range(|_, _| {
        any = true;
        true
    });
    assert!(!any);
}

/// A counter by compare-and-swap loses no step.
pub(crate) fn compare_and_swap() {
    const TASKS: u64 = 4;
    const STEPS: u64 = 300;
    let map = Arc::new(Map::new());
    assert!(!map.compare_and_swap("n", &0, 1), "there is nothing to compare with");
    assert!(!map.contains_key("n"));
    map.insert("n", 0);
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let map = map.clone();
            env::spawn(move || {
                for _ in 0..STEPS {
                    loop {
                        let now = map.get("n").unwrap();
                        if map.compare_and_swap("n", &now, now + 1) {
                            break;
                        }
                    }
                }
            })
        })
        .collect();
    tasks.into_iter().for_each(|task| task.join().unwrap());
    assert_eq!(map.get("n"), Some(TASKS * STEPS));
    assert!(!map.compare_and_remove("n", &1) && map.compare_and_remove("n", &(TASKS * STEPS)));
    assert_eq!(map.get("n"), None);
}

/// All who ask for a missing key at a time get the same value.
pub(crate) fn get_or_insert_agrees() {
    let map = Arc::new(Map::new());
    for key in 0..100 {
        let gate = Arc::new(RwLock::new(()));
        let closed = gate.write();
        let tasks: Vec<_> = (0..3)
            .map(|t| {
                let (map, gate) = (map.clone(), gate.clone());
                env::spawn(move || {
                    let _open = gate.read();
                    map.get_or_insert_with(key, || t)
                })
            })
            .collect();
        drop(closed);
        let got: Vec<i32> = tasks.into_iter().map(|task| task.join().unwrap()).collect();
        assert!(got.iter().all(|value| Some(*value) == map.get(&key)), "{got:?}");
    }
}
