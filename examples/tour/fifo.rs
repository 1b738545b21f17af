//! Idea: waiters are served first come, first served.
//!
//! Goroutines blocked on a channel stand in its wait queue and are woken in the order in which they came. Three
//! receivers queue up one after the other; three values are sent; each receiver gets the value of its rank.

use crate::kit::{parked, until_parked};

pub(crate) fn run() {
    let (sender, receiver) = gort::chan(0);
    let parked_before = parked();

    let mut handles = Vec::new();
    for rank in 1..=3 {
        let receiver = receiver.clone();
        handles.push(gort::go(move || receiver.recv().unwrap()));
        until_parked(parked_before + rank);
    }

    for value in ["first", "second", "third"] {
        sender.send(value).unwrap();
    }
    for (rank, handle) in handles.into_iter().enumerate() {
        println!("receiver {} got the {} value", rank + 1, handle.join().unwrap());
    }
}
