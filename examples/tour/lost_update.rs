//! Idea: `i++` is three steps, read, add and write, and a switch between them loses an update.
//!
//! The document walks through two threads that both increment `i`: one after the other gives 2, interleaved gives 1.
//! Here the interleaving is not left to chance: channels play the scheduler and say who takes which step. An atomic
//! cell stands for the plain variable, since Rust lets nobody share a plain one; separate `load` and `store` keep the
//! gap between the steps open. The lock closes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};

use gort::sync::Mutex;

/// Thread 1 finishes before thread 2 begins.
fn one_after_the_other() -> i32 {
    let i = Arc::new(AtomicI32::new(0));
    for _ in 0..2 {
        let i = Arc::clone(&i);
        gort::go(move || i.store(i.load(SeqCst) + 1, SeqCst)).join().unwrap();
    }
    i.load(SeqCst)
}

/// Thread 1 is stopped between its read and its write, and thread 2 runs in the gap.
fn interleaved() -> i32 {
    let i = Arc::new(AtomicI32::new(0));
    let (has_read, wait_read) = gort::chan(0);
    let (go_on, may_write) = gort::chan(0);

    let first = gort::go({
        let i = Arc::clone(&i);
        move || {
            let value = i.load(SeqCst);
            has_read.send(()).unwrap();
            may_write.recv().unwrap();
            i.store(value + 1, SeqCst);
        }
    });
    wait_read.recv().unwrap();
    i.store(i.load(SeqCst) + 1, SeqCst);
    go_on.send(()).unwrap();
    first.join().unwrap();
    i.load(SeqCst)
}

/// Whoever holds the lock takes all three steps alone, in whatever order the two come.
fn locked() -> i32 {
    let i = Mutex::new(0);
    gort::scope(|s| {
        for _ in 0..2 {
            s.go(|| *i.lock() += 1);
        }
    });
    i.into_inner()
}

pub(crate) fn run() {
    println!("one after the other: i = {}", one_after_the_other());
    println!("interleaved: i = {}", interleaved());
    println!("with a lock: i = {}", locked());
}
