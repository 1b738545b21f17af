//! Idea: concurrency is structure. Two tasks are in progress at once, on one core or on several.
//!
//! The Go program starts `Task A` and `Task B`, which count and sleep, and then sleeps long enough for both. Whether
//! they also run in parallel is up to GOMAXPROCS and the machine: the stop `gomaxprocs` shows that part. Here the main
//! goroutine joins both tasks instead of guessing how long they take.

use crate::kit::pace;

fn task(name: &str) {
    for i in 1..=3 {
        println!("{name} : {i}");
        gort::sleep(pace(500));
    }
}

pub(crate) fn run() {
    let a = gort::go(|| task("Task A"));
    let b = gort::go(|| task("Task B"));
    a.join().unwrap();
    b.join().unwrap();
    println!("Done");
}
