//! Idea: what happens when the buffer is full. The sender parks, and the *receiver* puts the sender's value into the
//! place it has just freed.
//!
//! The Go program sends 1, 2 and 3 into a channel for two. The third send parks the sender, with its value in the
//! wait queue. The first receive takes the oldest value, moves the parked sender's value into the buffer, and makes
//! the sender runnable; it need not touch the channel again. That is visible: after the first receive the buffer is
//! as full as before, whether or not the sender has run since.

use crate::kit::{parked, until_parked};

pub(crate) fn run() {
    let (sender, receiver) = gort::chan(2);
    let parked_before = parked();

    let handle = gort::go(move || {
        for value in 1..=3 {
            sender.send(value).unwrap(); // the third waits here
            println!("sent {value}");
        }
    });

    // The Go program sleeps to let the sender run into the full buffer.
    until_parked(parked_before + 1);
    println!("recv: {}", receiver.recv().unwrap());
    println!("still {} in the buffer", receiver.len());
    println!("recv: {}", receiver.recv().unwrap());
    println!("recv: {}", receiver.recv().unwrap());
    handle.join().unwrap();
}
