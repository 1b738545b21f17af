//! Idea: a lock around shared state.
//!
//! A hundred goroutines increment one counter. In Go the lock is a convention: code that forgets it compiles, and
//! races. In Rust the lock *contains* the counter, and there is no way to it but through the lock; the guard's end of
//! scope unlocks. gort's mutex parks the goroutine, where std's would block its thread.

use std::sync::Arc;

use gort::sync::{Mutex, WaitGroup};

pub(crate) fn run() {
    let counter = Arc::new(Mutex::new(0));
    let wg = WaitGroup::new();
    for _ in 0..100 {
        let counter = Arc::clone(&counter);
        wg.go(move || {
            for _ in 0..100 {
                *counter.lock() += 1;
            }
        });
    }
    wg.wait();
    println!("counter: {}", *counter.lock());
}
