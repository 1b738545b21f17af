//! Idea: fork and join. The join point makes the outcome certain.
//!
//! The Go exercise starts a goroutine that increments `data` and waits for it with a WaitGroup, so that `main` always
//! prints 1. In gort the handle of a goroutine is itself a join point, and hands the result over: the increment needs
//! no shared variable at all. A panic comes out of `join` as an `Err`, like with `std::thread`.

use crate::kit::panic_text;

pub(crate) fn run() {
    let mut data = 0;

    let handle = gort::go(move || data + 1);
    data = handle.join().unwrap();
    println!("the value of data is {data}");

    // An array index at run time, out of bounds.
    let numbers: Vec<i32> = (1..=3).collect();
    let failed = gort::go(move || numbers[numbers.len()]).join();
    println!("a panic is joined too: {}", panic_text(&*failed.unwrap_err()));
    println!("Done..");
}
