//! Idea: a ticker sends the time again and again, until it is stopped.
//!
//! `ticker.c()` is the channel of ticks, Go's `ticker.C`. A slow receiver does not pile ticks up: at most one waits.
//! After `stop` no tick comes any more, not even one that was already due.

use gort::time::Ticker;

use crate::kit::pace;

pub(crate) fn run() {
    let ticker = Ticker::new(pace(500));
    for count in 1..=3 {
        ticker.c().recv().unwrap();
        println!("Tick {count}");
    }
    ticker.stop();
    match ticker.c().recv_timeout(pace(1500)) {
        Ok(_) => println!("a tick after stop?"),
        Err(_) => println!("Ticker stopped"),
    }
}
