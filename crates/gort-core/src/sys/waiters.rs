//! Who waits for a short lock in a model: a list that needs no protection, since the threads of a model take turns on one
//! thread of the system and change only at the steps that loom knows of.

use std::cell::RefCell;
use std::fmt;

use loom::thread::{self, Thread};

/// The list.
pub(crate) struct Waiters(RefCell<Vec<Thread>>);

// SAFETY: all threads of a model run on one thread of the system (see the head of the file).
unsafe impl Send for Waiters {}
// SAFETY: as above.
unsafe impl Sync for Waiters {}

impl fmt::Debug for Waiters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waiters")
    }
}

impl Waiters {
    pub(crate) const fn new() -> Waiters {
        Waiters(RefCell::new(Vec::new()))
    }

    /// Waits for the next `wake`. What the caller has found out just before, in its last step, still holds.
    pub(crate) fn wait(&self) {
        self.0.borrow_mut().push(thread::current());
        thread::park();
    }

    /// Lets everybody look again.
    pub(crate) fn wake(&self) {
        self.0.take().iter().for_each(Thread::unpark);
    }
}
