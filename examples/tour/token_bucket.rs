//! Idea: a buffered channel full of tokens allows bursts, and a refill sets the rate in the long run.
//!
//! The bucket holds three tokens. Three requests at once pass without waiting; the next ones wait for the refill, one
//! token per interval. The refill drops its token when the bucket is full, so that idle time saves up no more than a
//! bucketful. It starts after the burst here, so that the output is the same in every run.

use gort::channel::{Receiver, Sender};
use gort::time;

use crate::kit::pace;

fn refill(bucket: Sender<()>, stop: Receiver<()>) {
    let ticker = time::tick(pace(200));
    loop {
        gort::select! {
            recv(ticker) -> _ => {
                let _ = bucket.try_send(()); // full: this token is dropped
            }
            recv(stop) -> _ => return,
        }
    }
}

pub(crate) fn run() {
    let (bucket, tokens) = gort::chan(3);
    for _ in 0..3 {
        bucket.send(()).unwrap();
    }
    for request in 1..=4 {
        match tokens.try_recv() {
            Ok(()) => println!("request {request} passes in the burst"),
            Err(_) => println!("request {request} must wait"),
        }
    }

    let (stop, stopped) = gort::chan::<()>(0);
    let handle = gort::go(move || refill(bucket, stopped));
    for request in 4..=5 {
        tokens.recv().unwrap();
        println!("request {request} passes after a refill");
    }
    stop.close();
    handle.join().unwrap();
}
