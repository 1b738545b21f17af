//! Idea: a nil channel is never ready. Sending and receiving block for ever.
//!
//! In Go `var ch chan int` declares a nil channel, and forgetting `make` blocks the program. In Rust a variable without
//! a value cannot be used, so the accident cannot happen; `Sender::nil()` and `Receiver::nil()` make one on purpose.
//! What they are good for is the next stop, `nil_case`. Here the waits have a time limit, or the tour would end.

use gort::channel::{Receiver, Sender};

use crate::kit::pace;

pub(crate) fn run() {
    let receiver = Receiver::<i32>::nil();
    let sender = Sender::<i32>::nil();

    match receiver.recv_timeout(pace(1000)) {
        Ok(value) => println!("received {value}?"),
        Err(error) => println!("receive from nil: {error}"),
    }
    match sender.send_timeout(1, pace(1000)) {
        Ok(()) => println!("sent?"),
        Err(error) => println!("send to nil: {error}"),
    }
    println!("len {}, cap {}", receiver.len(), receiver.capacity().unwrap_or_default());
}
