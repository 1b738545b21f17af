//! Idea: a WaitGroup counts goroutines down and lets somebody wait for zero.
//!
//! Go's rule is to call `wg.Add(1)` *before* the `go` statement (inside the goroutine it could come after `Wait`), and
//! `defer wg.Done()` first thing inside. `WaitGroup` here has the same three calls; a clone is another handle to the
//! same counter, where Go passes a pointer. `wg.go(f)` does the whole dance, as Go's does since 1.25.

use gort::sync::WaitGroup;

fn worker(id: i32) {
    println!("Worker {id} starting");
    println!("Worker {id} done");
}

pub(crate) fn run() {
    let wg = WaitGroup::new();

    // By hand, to see the three calls.
    for id in 1..=2 {
        wg.add(1);
        let wg = wg.clone();
        gort::go! {
            worker(id);
            wg.done();
        };
    }

    // The short form.
    wg.go(|| worker(3));

    wg.wait();
    println!("All workers finished");
}
