//! Idea: when all goroutines wait and nothing can wake one, the runtime says so and ends the process.
//!
//! The documents warn of sends that nobody receives. The second half of this stop, a process of its own, is the
//! smallest such program: the main goroutine sends on an unbuffered channel whose receiver it holds itself. As in Go
//! the report goes to stderr, with a dump of all goroutines after the first line, and the exit status is 2.
//!
//! Had the receiver been dropped instead of kept, the send would have failed at once: ownership turns many a deadlock
//! of Go into an error value.

use crate::kit;

pub(crate) fn run() {
    kit::print_fatal(&kit::child("deadlock"));
}

pub(crate) fn child() {
    let (sender, _receiver) = gort::chan(0);
    let _ = sender.send(1);
    println!("not reached");
}
