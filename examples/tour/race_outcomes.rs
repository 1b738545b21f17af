//! Idea: without a join there are several outcomes, and none can be relied on.
//!
//! The Go snippet starts a goroutine that increments `data`, and then, with no synchronisation, prints the value if
//! it is still zero:
//!
//! ```go
//! go func() { data++ }()
//! if data == 0 { fmt.Printf("the value is %v\n", data) }
//! ```
//!
//! It may print nothing, `the value is 0` or `the value is 1`. In Go that is a data race, undefined to some degree; in
//! Rust the same text does not compile (see the stop `data_race`). What remains possible is the *race condition*: with
//! an atomic every access is whole, yet the order is as open as before. We run it many times and count.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};

const TRIES: usize = 1000;

/// One try: what the snippet would print.
fn snippet() -> Option<i32> {
    let data = Arc::new(AtomicI32::new(0));
    let theirs = Arc::clone(&data);
    let handle = gort::go(move || theirs.fetch_add(1, SeqCst));

    let seen = (data.load(SeqCst) == 0).then(|| data.load(SeqCst));
    handle.join().unwrap();
    seen
}

pub(crate) fn run() {
    let (mut nothing, mut zero, mut one) = (0, 0, 0);
    for _ in 0..TRIES {
        match snippet() {
            None => nothing += 1,
            Some(0) => zero += 1,
            Some(_) => one += 1,
        }
    }
    println!("nothing printed: {nothing} times");
    println!("the value is 0: {zero} times");
    println!("the value is 1: {one} times");
}
