//! Idea: one consumer for producers of different speeds.
//!
//! The Go program has a fast and a slow producer on a channel each, and a loop of six selects. The lines interleave as
//! the producers are ready; a loop that received from the channels in turn would run at the pace of the slow one.

use std::time::Duration;

use gort::channel::{Receiver, Sender};

use crate::kit::pace;

fn producer(name: &str, delay: Duration, output: &Sender<String>) {
    for i in 1..=3 {
        gort::sleep(delay);
        output.send(format!("{name} produced {i}")).unwrap();
    }
}

/// A started producer. The pair keeps a sender, so that the channel falls silent at the end instead of closing.
fn start(name: &'static str, delay: Duration) -> (Sender<String>, Receiver<String>) {
    let (sender, receiver) = gort::chan(0);
    let output = sender.clone();
    gort::go!(producer(name, delay, &output));
    (sender, receiver)
}

pub(crate) fn run() {
    let (_open_1, ch1) = start("Fast", pace(1000));
    let (_open_2, ch2) = start("Slow", pace(2000));

    for _ in 0..6 {
        gort::select! {
            recv(ch1) -> message => println!("ch1: {}", message.unwrap()),
            recv(ch2) -> message => println!("ch2: {}", message.unwrap()),
        }
    }
}
