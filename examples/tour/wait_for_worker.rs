//! Idea: receiving from an empty channel waits, without polling and without a lock.
//!
//! The Go program starts a worker that sleeps two seconds and sends `done`; `main` says that it waits, and waits. The
//! sleeping worker and the waiting main goroutine cost no CPU time: both are parked.

use crate::kit::pace;

pub(crate) fn run() {
    let (sender, receiver) = gort::chan(0);
    gort::go! {
        gort::sleep(pace(2000));
        sender.send("done").unwrap();
    };

    println!("Waiting for worker...");
    println!("Worker says: {}", receiver.recv().unwrap());
}
