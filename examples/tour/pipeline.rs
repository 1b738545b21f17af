//! Idea: stages joined by channels. Each stage is a goroutine that reads from the one before and writes to the next.
//!
//! All stages work at once on different values, the order of the values is kept, and the end runs through like the
//! values: a stage whose input is closed drops its output, which closes the next. Small buffers decouple the stages a
//! little; a slow stage still slows its predecessors, which is what keeps memory bounded.

use gort::channel::Receiver;

fn generate(values: std::ops::RangeInclusive<u64>) -> Receiver<u64> {
    let (output, stage) = gort::chan(2);
    gort::go! {
        for value in values {
            output.send(value).unwrap();
        }
    };
    stage
}

/// A stage that applies `f` to everything that passes.
fn apply(input: Receiver<u64>, f: fn(u64) -> u64) -> Receiver<u64> {
    let (output, stage) = gort::chan(2);
    gort::go! {
        for value in input {
            output.send(f(value)).unwrap();
        }
    };
    stage
}

pub(crate) fn run() {
    let squares = apply(generate(1..=5), |n| n * n);
    let even = apply(squares, |n| n + n % 2);
    for value in even {
        println!("{value}");
    }
    println!("the pipeline is empty");
}
