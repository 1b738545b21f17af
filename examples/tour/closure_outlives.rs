//! Idea: a goroutine may outlive the function that started it, and keeps the variables it captured.
//!
//! In Go the compiler sees that the goroutine still refers to the local `i`, and moves the variable from the stack to
//! the heap. In Rust the closure *owns* what it captures: `move` carries `i` into the goroutine, which lives on its
//! own. No escape analysis is needed, and the type system refuses the version that would borrow from a dead frame.

use gort::sync::WaitGroup;

fn increment_in_background(wg: &WaitGroup) {
    let mut i = 0;
    wg.go(move || {
        i += 1;
        println!("value of i: {i}");
    });
    println!("return from function");
    // `i`'s frame ends here. The goroutine has its own.
}

pub(crate) fn run() {
    let wg = WaitGroup::new();
    increment_in_background(&wg);
    wg.wait();
    println!("done..");
}
