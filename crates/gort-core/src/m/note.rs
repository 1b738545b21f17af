//! A note: one thread sleeps on it, another wakes it; a wake-up that comes first is not lost. Go's `note`.

use crate::env::Moment;
use crate::sys::atomic::{AtomicU32, Ordering};
use crate::sys::futex;

const CLEAR: u32 = 0;
const SLEEPING: u32 = 1;
const WOKEN: u32 = 2;

/// The note.
#[derive(Debug)]
pub(crate) struct Note(AtomicU32);

impl Note {
    pub(crate) fn new() -> Note {
        Note(AtomicU32::new(CLEAR))
    }

    /// Sleeps until woken (true) or until the deadline (false). A wake-up is used up.
    pub(crate) fn sleep(&self, deadline: Option<Moment>) -> bool {
        // Acquire here and below: pairs with the Release in `wake`.
        if self.0.compare_exchange(CLEAR, SLEEPING, Ordering::Acquire, Ordering::Acquire).is_err() {
            self.0.store(CLEAR, Ordering::Relaxed);
            return true;
        }
        loop {
            futex::wait(&self.0, SLEEPING, deadline);
            if self.0.load(Ordering::Acquire) == WOKEN {
                self.0.store(CLEAR, Ordering::Relaxed);
                return true;
            }
            if deadline.is_some_and(|deadline| Moment::now() >= deadline) {
                // Woken between the look and here: then the exchange fails and the wake-up is used up.
                let woken = self.0.compare_exchange(SLEEPING, CLEAR, Ordering::Acquire, Ordering::Acquire).is_err();
                if woken {
                    self.0.store(CLEAR, Ordering::Relaxed);
                }
                return woken;
            }
        }
    }

    /// Wakes the sleeper, or whoever sleeps next.
    pub(crate) fn wake(&self) {
        // Release: what was done before is seen by the woken.
        if self.0.swap(WOKEN, Ordering::Release) == SLEEPING {
            futex::wake(&self.0, 1);
        }
    }
}
