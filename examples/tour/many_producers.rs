//! Idea: with several senders none of them may close; somebody closes after all have finished.
//!
//! In Go one more goroutine waits for the WaitGroup of the senders and closes then. The first half is that program.
//! The second half is the Rust way: each producer owns a clone of the sender, and the channel closes when the last
//! clone is gone. There is no close to forget, or to call too early.

use gort::sync::WaitGroup;

fn closed_by_hand() {
    let (sender, receiver) = gort::chan(0);
    let wg = WaitGroup::new();
    for id in 0..3 {
        let sender = sender.clone();
        wg.go(move || sender.send(id).unwrap());
    }
    gort::go! {
        wg.wait();
        sender.close();
    };
    for value in &receiver {
        println!("Received: {value}");
    }
}

fn closed_by_the_last() {
    let (sender, receiver) = gort::chan(0);
    for id in 3..6 {
        let sender = sender.clone();
        gort::go!(sender.send(id).unwrap());
    }
    drop(sender); // the one that belongs to no producer
    for value in &receiver {
        println!("Received: {value}");
    }
}

pub(crate) fn run() {
    closed_by_hand();
    println!("closed by hand");
    closed_by_the_last();
    println!("closed by the last sender");
}
