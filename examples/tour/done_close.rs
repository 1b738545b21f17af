//! Idea: closing a channel that never carries a value is a signal.
//!
//! Go's idiom is `done := make(chan struct{})`, `close(done)` in the worker and `<-done` in main. Nothing is ever sent;
//! the receive returns because the channel is closed. In Rust the end of the worker's scope would do it too.

pub(crate) fn run() {
    let (done, wait) = gort::chan::<()>(0);
    gort::go! {
        // ... some work ...
        done.close();
    };
    // An `Err`, since no value comes: that is the signal.
    assert!(wait.recv().is_err());
    println!("Worker finished");
}
