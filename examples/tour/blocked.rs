//! Idea: a blocked goroutine blocks nobody else.
//!
//! With a single processor, ten goroutines wait on a channel, and one adds up numbers. If a waiting goroutine kept its
//! thread, the adding one would never run. It gives the thread away instead: that is what parking is.

use gort::sync::WaitGroup;

use crate::kit::{parked, until_parked, with_gomaxprocs};

pub(crate) fn run() {
    with_gomaxprocs(1, || {
        let wg = WaitGroup::new();
        let (stop, stopped) = gort::chan::<()>(0);
        let parked_before = parked();
        for _ in 0..10 {
            let stopped = stopped.clone();
            wg.go(move || assert!(stopped.recv().is_err()));
        }
        until_parked(parked_before + 10);
        println!("10 goroutines are blocked");

        let sum = gort::go(|| (1..=100).sum::<u32>()).join().unwrap();
        println!("another one works: {sum}");

        stop.close();
        wg.wait();
        println!("all were woken");
    });
}
