//! Idea: goroutines are cheaper than threads to start and to switch.
//!
//! The same two games with both: start and join, one after the other; and passing a token back and forth, which is one
//! switch per pass. The figures depend on the machine and on the build (`--release` for honest ones; the benches of the
//! project are the place for careful numbers). What the documents claim is the order of magnitude between the two.

use std::time::Instant;

use crate::kit::with_gomaxprocs;

const STARTS: u32 = 2000;
const PASSES: u32 = 10_000;

/// Nanoseconds per round of `f`, which makes `rounds`.
fn per_round(rounds: u32, f: impl FnOnce()) -> u128 {
    let start = Instant::now();
    f();
    start.elapsed().as_nanos() / u128::from(rounds)
}

fn pass_between_goroutines() {
    let (to_other, at_other) = gort::chan::<()>(0);
    let (to_us, at_us) = gort::chan::<()>(0);
    let other = gort::go(move || {
        for () in at_other {
            to_us.send(()).unwrap();
        }
    });
    for _ in 0..PASSES / 2 {
        to_other.send(()).unwrap();
        at_us.recv().unwrap();
    }
    drop(to_other);
    other.join().unwrap();
}

fn pass_between_threads() {
    let (to_other, at_other) = std::sync::mpsc::sync_channel::<()>(0);
    let (to_us, at_us) = std::sync::mpsc::sync_channel::<()>(0);
    let other = std::thread::spawn(move || {
        for () in at_other {
            to_us.send(()).unwrap();
        }
    });
    for _ in 0..PASSES / 2 {
        to_other.send(()).unwrap();
        at_us.recv().unwrap();
    }
    drop(to_other);
    other.join().unwrap();
}

pub(crate) fn run() {
    let start_goroutine = per_round(STARTS, || (0..STARTS).for_each(|_| gort::go(|| ()).join().unwrap()));
    let start_thread =
        per_round(STARTS, || (0..STARTS).for_each(|_| std::thread::spawn(|| ()).join().unwrap()));
    println!("start and join: goroutine {start_goroutine} ns, thread {start_thread} ns");

    let goroutines = with_gomaxprocs(1, || per_round(PASSES, pass_between_goroutines));
    // The thread half runs on threads of its own, beside the runtime.
    let threads = per_round(PASSES, || std::thread::spawn(pass_between_threads).join().unwrap());
    println!("one pass: goroutines {goroutines} ns, threads {threads} ns");
}
