//! Idea: a goroutine that computes does not keep the processor from the others.
//!
//! There is a single processor, and the goroutine that has it only counts: no channel, no lock, no call into the
//! runtime that could pass the processor on. Go interrupts such a goroutine after ten milliseconds, by a signal, since
//! 1.14; so does gort, and what it computes goes on where it was stopped.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::kit::{pace, with_gomaxprocs};

pub(crate) fn run() {
    with_gomaxprocs(1, || {
        let enough = Arc::new(AtomicBool::new(false));
        let (here, begun) = gort::chan(1);
        let hog = gort::go({
            let enough = Arc::clone(&enough);
            move || {
                here.send(()).unwrap();
                let mut count = 0_u64;
                while !enough.load(Relaxed) {
                    count = black_box(count + 1);
                }
                count
            }
        });
        begun.recv().unwrap();

        for tick in 1..=3 {
            gort::sleep(pace(500));
            println!("tick {tick}, while another one computes: {}", !hog.is_finished());
        }
        enough.store(true, Relaxed);
        println!("it has counted: {}", hog.join().unwrap() > 0);
    });
}
