//! Idea: a ticker as the gate: one request per tick.
//!
//! Each request first receives from the ticker's channel, which delivers at a fixed rate; requests that come in a
//! heap leave it evenly spaced. The stop measures that five requests took at least the time of five intervals.

use std::time::Instant;

use gort::time::Ticker;

use crate::kit::pace;

pub(crate) fn run() {
    let interval = pace(200);
    let (sender, requests) = gort::chan(5);
    for request in 1..=5 {
        sender.send(request).unwrap();
    }
    sender.close();

    let start = Instant::now();
    let limiter = Ticker::new(interval);
    for request in requests {
        limiter.c().recv().unwrap();
        println!("request {request}");
    }
    limiter.stop();
    println!("evenly spaced: {}", start.elapsed() >= interval * 5);
}
