//! The goroutine of a function that returns: Go moves the variable to the heap, Rust asks for `move`.

use gort::sync::WaitGroup;

fn increment_in_background(wg: &WaitGroup) {
    let mut i = 0;
    wg.go(|| {
        i += 1;
        println!("value of i: {i}");
    });
}

#[gort::main(unsafe(migrate))]
fn main() {
    let wg = WaitGroup::new();
    increment_in_background(&wg);
    wg.wait();
}
