//! Idea: closing a channel wakes everybody who waits on it.
//!
//! One send wakes one receiver; one `close` wakes all. That makes a closed channel the way to stop any number of
//! workers, and it is how graceful shutdowns are written: each worker selects between its work and `stop`.

use gort::channel::Receiver;
use gort::sync::WaitGroup;

fn worker(id: i32, work: Receiver<i32>, stop: Receiver<()>) {
    loop {
        gort::select! {
            recv(work) -> item => println!("Worker {id} got {}", item.unwrap()),
            recv(stop) -> _ => break,
        }
    }
    println!("Worker {id} stopped");
}

pub(crate) fn run() {
    let wg = WaitGroup::new();
    // The main goroutine keeps this sender: the work channel stays open, and empty, until the end.
    let (_work, queue) = gort::chan(0);
    let (stop, stopped) = gort::chan::<()>(0);

    for id in 1..=3 {
        let (queue, stopped) = (queue.clone(), stopped.clone());
        wg.go(move || worker(id, queue, stopped));
    }

    stop.close();
    wg.wait();
    println!("all stopped");
}
