//! Idea: when several cases are ready, one is chosen at random, so that none starves.
//!
//! Two channels that are always ready are selected a thousand times. In textual order the first would win every time
//! (that is what `select_biased!` is for); with a random choice both come up about equally often.

const ROUNDS: usize = 1000;

pub(crate) fn run() {
    let (sender_a, a) = gort::chan(ROUNDS);
    let (sender_b, b) = gort::chan(ROUNDS);
    for _ in 0..ROUNDS {
        sender_a.send(()).unwrap();
        sender_b.send(()).unwrap();
    }

    let (mut from_a, mut from_b) = (0, 0);
    for _ in 0..ROUNDS {
        gort::select! {
            recv(a) -> _ => from_a += 1,
            recv(b) -> _ => from_b += 1,
        }
    }
    println!("a: {from_a}, b: {from_b}");
    println!("both had their turn: {}", from_a > ROUNDS / 4 && from_b > ROUNDS / 4);
}
