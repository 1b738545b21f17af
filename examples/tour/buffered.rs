//! Idea: a buffered channel is a queue with a fixed number of places. Sending waits only when all are taken.
//!
//! The Go snippets make `make(chan int, 2)`, send twice without any receiver, and read the values back in order; a
//! third send would block. `len` and `cap` tell how many values wait and how many fit.

use gort::channel::TrySendError;

pub(crate) fn run() {
    let (sender, receiver) = gort::chan(2);

    sender.send(10).unwrap();
    sender.send(20).unwrap();
    println!("len {} of cap {}", sender.len(), sender.capacity().unwrap());

    // `send(30)` would block for ever, as nobody else could receive. Trying tells.
    match sender.try_send(30) {
        Err(TrySendError::Full(value)) => println!("no room for {value}"),
        other => println!("unexpected: {other:?}"),
    }

    println!("{}", receiver.recv().unwrap());
    println!("{}", receiver.recv().unwrap());
}
