//! Idea: a value for a receiver that already waits goes straight to it, past the buffer.
//!
//! The documents say that a sender who finds a waiting receiver copies the value into the receiver's own variable and
//! makes it runnable, with no detour through the buffer. On one processor this can be seen: the channel has room for
//! one value, a receiver waits, and the main goroutine, which does not pause, gets rid of *two* values: the first was
//! handed over, the second lies in the buffer. Only the third is refused.

use crate::kit::{parked, until_parked, with_gomaxprocs};

pub(crate) fn run() {
    with_gomaxprocs(1, || {
        let (sender, receiver) = gort::chan(1);
        let parked_before = parked();
        let handle = gort::go(move || {
            let first: i32 = receiver.recv().unwrap();
            (first, receiver)
        });
        until_parked(parked_before + 1);

        let accepted = (1..=3).take_while(|&value| sender.try_send(value).is_ok()).count();
        let (first, receiver) = handle.join().unwrap();
        println!("a channel for 1 took {accepted} values at once");
        println!(
            "the waiting receiver got {first}, then the buffer held {:?}",
            receiver.try_iter().collect::<Vec<_>>()
        );
    });
}
