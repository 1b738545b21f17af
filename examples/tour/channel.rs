//! Idea: goroutines communicate by passing messages instead of sharing memory.
//!
//! The Go program makes a `chan string`, starts a worker that sends one message, and receives it. The receive waits
//! until the message is there: nothing else synchronises the two. In gort a channel is made as a pair, and the value
//! sent is *moved*: what Go's documents ask for ("share memory by communicating") is what the types enforce.

use gort::channel::Sender;

fn worker(ch: Sender<String>) {
    ch.send("task finished".to_string()).unwrap();
}

pub(crate) fn run() {
    let (sender, receiver) = gort::chan(0);
    gort::go!(worker(sender));

    let message = receiver.recv().unwrap();
    println!("Message: {message}");
}
