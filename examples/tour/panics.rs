//! Idea: the three misuses of a channel: sending on a closed one, closing it twice, closing a nil one.
//!
//! In Go all three panic. In gort closing twice and closing nil panic with Go's texts, for they are mistakes of the
//! program. A send on a closed channel is an expected outcome in Rust (the receivers may be gone) and so comes back as
//! an `Err` that also returns the value; `unwrap` makes Go's panic of it. A panic ends its goroutine only, and `join`
//! hands it to whoever asks; in Go it would end the process (`GORT_PANIC=crash` gives that behaviour back).

use gort::channel::Sender;

use crate::kit::panic_text;

fn joined(what: &str, misuse: impl FnOnce() + Send + 'static) {
    match gort::go(misuse).join() {
        Ok(()) => println!("{what}: nothing happened?"),
        Err(payload) => println!("{what}: panic: {}", panic_text(&*payload)),
    }
}

pub(crate) fn run() {
    let (sender, _receiver) = gort::chan(1);
    sender.close();
    let error = sender.send(7).unwrap_err();
    println!("send on closed: error: {error}, and {} is still ours", error.into_inner());

    joined("close twice", move || sender.close());
    joined("close nil", || Sender::<i32>::nil().close());
}
