//! Idea: a channel used for nothing but the news that something is done.
//!
//! The Go programs (two documents have nearly the same) pass `done chan bool` to a worker, which sends `true` at its
//! end; `main` waits with `<-done`. The value does not matter, so in gort its type is `()`.

use crate::kit::pace;
use gort::channel::Sender;

fn worker(done: Sender<()>) {
    println!("Worker: started");
    gort::sleep(pace(2000));
    println!("Worker: finished");
    done.send(()).unwrap();
}

pub(crate) fn run() {
    let (done, wait) = gort::chan(0);
    gort::go!(worker(done));
    wait.recv().unwrap();
    println!("Main: all done");
}
