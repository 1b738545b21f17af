//! Idea: a goroutine sees the value a captured variable has when it *runs*, not when it was started.
//!
//! The Go exercise starts three goroutines in a loop, each printing the loop variable: before Go 1.22 all printed 4,
//! as the three shared one variable which the loop had already moved on. The fix was to pass `i` as a parameter (Go
//! 1.22 made the variable fresh in each round, which fixes the exercise by itself).
//!
//! The direct transcription does not compile in Rust. A goroutine may not borrow the loop's variable:
//!
//! ```compile_fail,E0373
//! let mut i = 1;
//! while i <= 3 {
//!     gort::go(|| println!("{i}"));
//!     i += 1;
//! }
//! ```
//!
//! ```text
//! error[E0373]: closure may outlive the current function, but it borrows `i`, which is owned by the current function
//!   |
//!   |     gort::go(|| println!("{i}"));
//!   |              ^^            - `i` is borrowed here
//!   |              |
//!   |              may outlive borrowed value `i`
//!   |
//! help: to force the closure to take ownership of `i` (and any other referenced variables), use the `move` keyword
//!
//! error[E0506]: cannot assign to `i` because it is borrowed
//! ```
//!
//! Who wants the old Go behaviour must say so, with a shared atomic; who follows the compiler's help gets the fix.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};

use gort::sync::WaitGroup;

/// One variable for all: every goroutine reads it after the loop has ended.
fn shared_variable() {
    let wg = WaitGroup::new();
    let (loop_ended, started) = gort::chan::<()>(0);
    let i = Arc::new(AtomicI32::new(1));
    while i.load(SeqCst) <= 3 {
        let (i, started) = (Arc::clone(&i), started.clone());
        let theirs = Arc::clone(&i);
        wg.go(move || {
            // "By the time the goroutine got to run": here made certain instead of likely.
            let _ = started.recv();
            println!("shared: {}", theirs.load(SeqCst));
        });
        i.fetch_add(1, SeqCst);
    }
    loop_ended.close();
    wg.wait();
}

/// `move` copies the value of this round into the goroutine.
fn passed_value() {
    let wg = WaitGroup::new();
    for i in 1..=3 {
        wg.go(move || println!("passed: {i}"));
    }
    wg.wait();
}

pub(crate) fn run() {
    shared_variable();
    passed_value();
}
