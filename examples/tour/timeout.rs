//! Idea: a select with a timer gives up waiting.
//!
//! Go writes `case <-time.After(2 * time.Second)`: a channel on which the time is sent after that long. `gort::time::
//! after` is the same; `recv_timeout` and the `default(duration)` case are shorter forms for the common need.

use std::time::Duration;

use gort::channel::Receiver;
use gort::time;

use crate::kit::pace;

fn receive_or_give_up(ch: &Receiver<&str>, limit: Duration) {
    gort::select! {
        recv(ch) -> message => println!("Got message: {}", message.unwrap()),
        recv(time::after(limit)) -> _ => println!("Timeout after 2s"),
    }
}

pub(crate) fn run() {
    let (sender, ch) = gort::chan(1);

    // A message that is there wins, with all of the two seconds left.
    sender.send("hello").unwrap();
    receive_or_give_up(&ch, Duration::from_secs(2));

    // Nobody sends again: the timer wins.
    receive_or_give_up(&ch, pace(2000));

    // The short form.
    gort::select! {
        recv(ch) -> message => println!("Got message: {}", message.unwrap()),
        default(pace(2000)) => println!("Timeout again"),
    }
}
