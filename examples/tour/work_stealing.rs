//! Idea: a processor without work steals half of another's queue.
//!
//! The main goroutine starts everything, so every goroutine begins its life in the queue of main's processor. An idle
//! processor comes and steals. The statistics of the runtime count the steals, and each goroutine notes the thread on
//! which it ran. One batch is nearly always enough; on a busy machine the thief may come late, so we try a few times.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use gort::runtime;

const BATCH: usize = 200;

/// Starts a batch from here; gives the number of threads on which it ran.
fn batch() -> usize {
    let handles: Vec<_> = (0..BATCH)
        .map(|_| {
            gort::go(|| {
                let until = Instant::now() + Duration::from_micros(100);
                while Instant::now() < until {
                    std::hint::spin_loop();
                }
                std::thread::current().id()
            })
        })
        .collect();
    handles.into_iter().map(|handle| handle.join().unwrap()).collect::<HashSet<_>>().len()
}

pub(crate) fn run() {
    if runtime::gomaxprocs(0) == 1 {
        println!("one processor: nobody to steal");
        return;
    }
    let before = runtime::stats().steals;
    let give_up = Instant::now() + Duration::from_secs(60);
    let mut threads = 0;
    while Instant::now() < give_up && (threads < 2 || runtime::stats().steals == before) {
        threads = batch();
    }
    println!("{BATCH} goroutines of one processor ran on {threads} threads");
    println!("work was stolen: {}", runtime::stats().steals > before);
}
