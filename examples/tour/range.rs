//! Idea: ranging over a channel ends when the channel is closed and empty.
//!
//! The Go program sends 10 and 20 into a buffered channel, closes it, and loops `for val := range ch`. Closing does not
//! destroy what is in the buffer: the loop sees both values, then stops. A `for` loop over a `Receiver` is the same.

pub(crate) fn run() {
    let (sender, receiver) = gort::chan(2);
    sender.send(10).unwrap();
    sender.send(20).unwrap();
    sender.close();

    for value in &receiver {
        println!("{value}");
    }
}
