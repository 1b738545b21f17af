//! Idea: what was written before a send is visible after the receive.
//!
//! Go's memory model promises that a send happens before the matching receive completes. gort promises the same. Most
//! Rust programs need not think of it, because the value itself carries what the receiver reads. To see it at work the
//! two fields here are written with relaxed atomics, which alone promise no order at all: the channel supplies it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

#[derive(Default)]
struct Report {
    pages: AtomicI32,
    words: AtomicI32,
}

pub(crate) fn run() {
    let report = Arc::new(Report::default());
    let (ready, wait) = gort::chan(1);

    let theirs = Arc::clone(&report);
    gort::go! {
        theirs.pages.store(12, Relaxed);
        theirs.words.store(3400, Relaxed);
        ready.send(()).unwrap();
    };

    wait.recv().unwrap();
    println!("{} pages, {} words", report.pages.load(Relaxed), report.words.load(Relaxed));
}
