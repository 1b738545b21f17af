//! Idea: a closed channel can still be read. First come the buffered values, then, at once and for ever, the zero value.
//!
//! The Go snippet receives three times from a closed channel that holds 10 and 20, and prints 10, 20, 0. A receive on a
//! closed channel never blocks.

pub(crate) fn run() {
    let (sender, receiver) = gort::chan(2);
    sender.send(10).unwrap();
    sender.send(20).unwrap();
    sender.close();

    for _ in 0..3 {
        println!("{}", receiver.recv().unwrap_or_default());
    }
}
