//! Calls of wakers at a moment: how the futures of clocks get polled in time.
//!
//! One thread, started with the first such future, keeps the moments in a heap and sleeps until the next. Whoever is to be
//! called is known to the [`Call`] and to the heap; a call that is taken back leaves its moment in the heap, and nothing else,
//! until the heap is half full of such. A task that is called in vain looks and goes on waiting. Knows nothing of clocks.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::{Arc, OnceLock};
use std::task::Waker;
use std::thread;

use gort_core::env::Moment;
use gort_core::lock::Spin;
use gort_core::park;

use super::{Receiver, RecvTimeoutError, Sender, unbounded};

/// A heap that is smaller is not tidied up.
const FEW: usize = 64;

/// A call that will be made, unless this is dropped before.
pub(super) struct Call {
    due: Due,
    /// To compare with: that is foreign code, and not for under a lock.
    whom: Waker,
}

/// The moment, and whom to call then: nobody any more, once it has been done or taken back.
#[derive(Clone)]
struct Due {
    at: Moment,
    waker: Arc<Spin<Option<Waker>>>,
}

impl Call {
    /// A call of `waker` when `at` has come.
    pub(super) fn at_moment(at: Moment, waker: Waker) -> Call {
        static CALLS: OnceLock<Sender<Due>> = OnceLock::new();
        let calls = CALLS.get_or_init(|| {
            let (tx, rx) = unbounded();
            let thread = thread::Builder::new().name("gort-calls".into());
            thread.spawn(move || serve(&rx)).expect("a thread for the futures of clocks");
            tx
        });
        let due = Due { at, waker: Arc::new(Spin::new(Some(waker.clone()))) };
        // The caller is a poll: it must not yield.
        let sent = calls.send_from_poll(due.clone());
        debug_assert!(sent.is_ok(), "the thread never ends");
        Call { due, whom: waker }
    }

    pub(super) fn at(&self) -> Moment {
        self.due.at
    }

    /// Whether it is still to be made, to this task.
    pub(super) fn will_wake(&self, waker: &Waker) -> bool {
        self.due.is_wanted() && self.whom.will_wake(waker)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        drop(self.due.take());
    }
}

impl Due {
    fn take(&self) -> Option<Waker> {
        self.waker.lock().take()
    }

    fn is_wanted(&self) -> bool {
        self.waker.lock().is_some()
    }
}

fn serve(rx: &Receiver<Due>) {
    let mut heap = BinaryHeap::new();
    let mut many = FEW;
    loop {
        let next = heap.peek().map_or(Moment::NEVER, |due: &Due| due.at);
        match rx.recv_by(next) {
            Ok(due) => {
                heap.push(due);
                if heap.len() > many {
                    heap.retain(Due::is_wanted);
                    many = FEW.max(2 * heap.len());
                }
            }
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {
                let now = Moment::now();
                while heap.peek().is_some_and(|due| due.at <= now) {
                    if let Some(waker) = heap.pop().and_then(|due| due.take()) {
                        park::call(waker);
                    }
                }
            }
        }
    }
}

// The heap gives its greatest first: that is to be the earliest.
impl Ord for Due {
    fn cmp(&self, other: &Due) -> Ordering {
        other.at.cmp(&self.at)
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Due) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Due {
    fn eq(&self, other: &Due) -> bool {
        self.at == other.at
    }
}

impl Eq for Due {}
