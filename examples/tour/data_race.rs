//! Idea: the type system makes the data race impossible.
//!
//! Go's documents spend chapters on races: two goroutines touch a variable, one writes, nobody locks. In Rust the
//! program with the race is not a program. The three usual ways to write one, and what rustc 1.95 says:
//!
//! **Share a local by reference.** The goroutine may outlive the variable:
//!
//! ```compile_fail,E0373
//! let mut data = 0;
//! gort::go(|| data += 1);
//! println!("{data}");
//! ```
//!
//! ```text
//! error[E0373]: closure may outlive the current function, but it borrows `data`, which is owned by the current function
//!   |
//!   | gort::go(|| data += 1);
//!   |          ^^ ---- `data` is borrowed here
//!   |          |
//!   |          may outlive borrowed value `data`
//!
//! error[E0502]: cannot borrow `data` as immutable because it is also borrowed as mutable
//! ```
//!
//! **Keep it alive with a scope.** Lifetimes are fine now; two writers are not:
//!
//! ```compile_fail,E0499
//! let mut data = 0;
//! gort::scope(|s| {
//!     s.go(|| data += 1);
//!     s.go(|| data += 1);
//! });
//! ```
//!
//! ```text
//! error[E0499]: cannot borrow `data` as mutable more than once at a time
//!   |
//!   |     s.go(|| data += 1);
//!   |          -- ---- first borrow occurs due to use of `data` in closure
//!   |          |
//!   |          first mutable borrow occurs here
//!   |     s.go(|| data += 1);
//!   |       -- ^^ ---- second borrow occurs due to use of `data` in closure
//!   |       |  |
//!   |       |  second mutable borrow occurs here
//!   |       first borrow later used by call
//! ```
//!
//! **Share ownership without synchronisation.** `Rc` counts without atomics, so it must stay on one goroutine:
//!
//! ```compile_fail,E0277
//! use std::{cell::Cell, rc::Rc};
//! let data = Rc::new(Cell::new(0));
//! let theirs = Rc::clone(&data);
//! gort::go(move || theirs.set(theirs.get() + 1));
//! println!("{}", data.get());
//! ```
//!
//! ```text
//! error[E0277]: `Rc<Cell<i32>>` cannot be sent between threads safely
//!   |
//!   | gort::go(move || theirs.set(theirs.get() + 1));
//!   | -------- -------^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
//!   | |        |
//!   | |        `Rc<Cell<i32>>` cannot be sent between threads safely
//!   | required by a bound introduced by this call
//! ```
//!
//! What compiles is what is right: a lock, an atomic, or a channel.

use gort::sync::Mutex;
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

pub(crate) fn run() {
    let locked = Mutex::new(0);
    let atomic = AtomicI32::new(0);
    let (sender, receiver) = gort::chan(2);

    gort::scope(|s| {
        for _ in 0..2 {
            let sender = sender.clone();
            let (locked, atomic) = (&locked, &atomic);
            s.go(move || {
                *locked.lock() += 1;
                atomic.fetch_add(1, Relaxed);
                sender.send(1).unwrap();
            });
        }
    });
    drop(sender);

    println!("with a lock: data = {}", locked.into_inner());
    println!("with an atomic: data = {}", atomic.into_inner());
    println!("with a channel: data = {}", receiver.iter().sum::<i32>());
}
