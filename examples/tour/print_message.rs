//! Idea: a goroutine runs beside the one that started it.
//!
//! The Go program runs one counting loop in a goroutine and the same loop in `main`; their lines mix. Both sleep
//! between the lines, and a sleeping goroutine gives its thread to the others. Nothing here waits for the goroutine:
//! that its last line appears at all is luck, since `main` happens to sleep once more after its own last line.
//! We join instead, and lose nothing.

use crate::kit::pace;

fn print_message(text: &str) {
    for i in 0..5 {
        println!("{text} {i}");
        gort::sleep(pace(500));
    }
}

pub(crate) fn run() {
    let handle = gort::go(|| print_message("goroutine"));
    print_message("main");
    handle.join().unwrap();
}
