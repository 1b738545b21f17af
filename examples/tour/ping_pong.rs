//! Idea: two goroutines take turns, with two channels as the table between them.
//!
//! Each side waits for the ball, hits it, and sends it back. One of the two is running while the other is parked, so
//! the lines come in a fixed order although nothing but the ball says whose turn it is.

use gort::channel::{Receiver, Sender};

fn player(name: &str, input: Receiver<u32>, output: Sender<u32>) {
    for hits in input {
        println!("{name} {hits}");
        // The last ball may find the other player gone; then the game is over.
        if hits == 6 || output.send(hits + 1).is_err() {
            return;
        }
    }
}

pub(crate) fn run() {
    let (to_ping, at_ping) = gort::chan(0);
    let (to_pong, at_pong) = gort::chan(0);
    let serve = to_ping.clone();

    let ping = gort::go(move || player("ping", at_ping, to_pong));
    let pong = gort::go(move || player("pong", at_pong, to_ping));

    serve.send(1).unwrap();
    drop(serve);
    ping.join().unwrap();
    pong.join().unwrap();
    println!("game over");
}
