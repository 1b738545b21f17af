//! Idea: a buffered channel limits how many goroutines do something at once.
//!
//! Go's idiom: `sem := make(chan struct{}, N)`; sending acquires a place and waits when all N are taken, receiving
//! gives it back. (`gort::sync::Semaphore` is the same as a type of its own, with weights.)

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use gort::sync::WaitGroup;

use crate::kit::pace;

const LIMIT: usize = 2;

pub(crate) fn run() {
    let (acquire, release) = gort::chan(LIMIT);
    let wg = WaitGroup::new();
    let active = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));

    for task in 1..=6 {
        let (acquire, release) = (acquire.clone(), release.clone());
        let (active, most) = (Arc::clone(&active), Arc::clone(&most));
        wg.go(move || {
            acquire.send(()).unwrap();
            most.fetch_max(active.fetch_add(1, SeqCst) + 1, SeqCst);
            gort::sleep(pace(200));
            println!("task {task} done");
            active.fetch_sub(1, SeqCst);
            release.recv().unwrap();
        });
    }
    wg.wait();
    println!("never more than {LIMIT} at once: {}", most.load(SeqCst) <= LIMIT);
}
