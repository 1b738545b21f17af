//! Idea: an unbuffered channel is a handshake. Sender and receiver meet, and only then both go on.
//!
//! The Go program sends 42 in a goroutine, which then prints `Sent 42`; `main` receives and prints `Received 42`. The
//! sender cannot get past its send before the receiver has come, so neither line can be first by more than the rest of
//! its own statement: both orders of the two lines are right. Before the meeting the channel holds nothing: `len` of an
//! unbuffered channel is always 0, and a `try_send` with nobody waiting is refused.

pub(crate) fn run() {
    let (sender, receiver) = gort::chan(0);
    println!("nobody is waiting: {}", sender.try_send(41).unwrap_err());

    let handle = gort::go(move || {
        sender.send(42).unwrap();
        println!("Sent 42");
    });

    let value = receiver.recv().unwrap();
    println!("Received {value}");
    handle.join().unwrap();
}
