//! Calls of wakers at a moment: how the futures of clocks get polled in time.
//!
//! One thread, started with the first such future, keeps the moments in a heap and sleeps until the next. Calls are not
//! taken back; a task that is called in vain looks and goes on waiting. Knows nothing of clocks.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::OnceLock;
use std::task::Waker;
use std::thread;

use gort_core::env::Moment;

use super::future::wake_contained;
use super::{Receiver, RecvTimeoutError, Sender, unbounded};

struct Call {
    at: Moment,
    waker: Waker,
}

/// Calls `waker` when `at` has come.
pub(super) fn call_at(at: Moment, waker: Waker) {
    static CALLS: OnceLock<Sender<Call>> = OnceLock::new();
    let calls = CALLS.get_or_init(|| {
        let (tx, rx) = unbounded();
        let thread = thread::Builder::new().name("gort-calls".into());
        thread.spawn(move || serve(&rx)).expect("a thread for the futures of clocks");
        tx
    });
    // The caller is a poll: it must not yield.
    let sent = calls.send_from_poll(Call { at, waker });
    debug_assert!(sent.is_ok(), "the thread never ends");
}

fn serve(rx: &Receiver<Call>) {
    let mut heap = BinaryHeap::new();
    loop {
        let next = heap.peek().map_or(Moment::NEVER, |call: &Call| call.at);
        match rx.recv_by(next) {
            Ok(call) => heap.push(call),
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {
                let now = Moment::now();
                while heap.peek().is_some_and(|call| call.at <= now) {
                    wake_contained(heap.pop().expect("peeked").waker);
                }
            }
        }
    }
}

// The heap gives its greatest first: that is to be the earliest call.
impl Ord for Call {
    fn cmp(&self, other: &Call) -> Ordering {
        other.at.cmp(&self.at)
    }
}

impl PartialOrd for Call {
    fn partial_cmp(&self, other: &Call) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Call {
    fn eq(&self, other: &Call) -> bool {
        self.at == other.at
    }
}

impl Eq for Call {}
