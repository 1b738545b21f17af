//! Idea: a single number needs no lock.
//!
//! An atomic addition is one step that cannot be torn apart: no update is lost, and nobody waits. `sync/atomic` in Go,
//! `gort::sync::atomic` (std's own types) here.

use gort::sync::atomic::{AtomicU64, Ordering};

pub(crate) fn run() {
    let ops = AtomicU64::new(0);
    gort::scope(|s| {
        for _ in 0..50 {
            s.go(|| {
                for _ in 0..1000 {
                    ops.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    println!("ops: {}", ops.load(Ordering::Relaxed));
}
