//! The counts by which no wake-up is lost: idle processors and searching ("spinning") machines.
//!
//! A machine that runs out of work searches for a while before it sleeps. While somebody searches, whoever makes a
//! goroutine runnable need not wake anybody: the searcher will find it. That saves most wake-ups, and needs this care:
//!
//! ```text
//!   submitter                          searcher that gives up
//!   1. put the item into a queue       1. give its processor to the idle list (idle += 1)
//!   2. full barrier                    2. searching -= 1
//!   3. idle != 0 and searching == 0?   3. full barrier
//!      then wake a machine             4. look into every queue once more
//! ```
//! By the barriers, either the submitter sees that nobody searches any more, or the searcher sees the item. A machine
//! that was woken is a searcher from the start (the waker counts it), so that at most one is on its way at a time; when
//! it finds work it stops searching, and wakes the next one if there is more to do.

use crate::sys::atomic::{AtomicU32, Ordering, fence};

/// The counts.
#[derive(Debug)]
pub(crate) struct Searchers {
    searching: AtomicU32,
    idle: AtomicU32,
}

impl Searchers {
    pub(crate) fn new() -> Searchers {
        Searchers { searching: AtomicU32::new(0), idle: AtomicU32::new(0) }
    }

    /// Processors in the idle list.
    #[inline]
    pub(crate) fn idle(&self) -> u32 {
        self.idle.load(Ordering::Relaxed)
    }

    /// Machines that search.
    pub(crate) fn searching(&self) -> u32 {
        self.searching.load(Ordering::Relaxed)
    }

    /// Under the scheduler's lock: a processor was put into the idle list.
    pub(crate) fn one_more_idle(&self) {
        // SeqCst: step 1 of the searcher; the barrier that follows orders it before the last look.
        self.idle.fetch_add(1, Ordering::SeqCst);
    }

    /// Under the scheduler's lock: a processor was taken out of the idle list.
    pub(crate) fn one_less_idle(&self) {
        self.idle.fetch_sub(1, Ordering::Relaxed);
    }

    /// Submitter, steps 2 and 3: must a machine be woken? If so the caller owes the wake-up: it is counted as searching.
    #[inline]
    pub(crate) fn must_wake(&self) -> bool {
        // Full barrier: the item is visible before the counts are read. Pairs with the one in `stop`.
        fence(Ordering::SeqCst);
        self.idle.load(Ordering::Relaxed) != 0 && self.try_be_first()
    }

    /// Relaxed: the barrier of `must_wake` has come before, and who is first the exchange decides by itself.
    #[cold]
    fn try_be_first(&self) -> bool {
        self.searching.load(Ordering::Relaxed) == 0
            && self.searching.compare_exchange(0, 1, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// A machine that found nothing starts to search, unless enough others do: at most half of the busy ones may.
    pub(crate) fn try_start(&self, procs: u32) -> bool {
        let busy = procs.saturating_sub(self.idle());
        if 2 * self.searching() >= busy {
            return false;
        }
        self.start();
        true
    }

    /// A machine searches, whatever the others do: it knows that there is something.
    pub(crate) fn start(&self) {
        self.searching.fetch_add(1, Ordering::Relaxed);
    }

    /// A machine stops searching. If it found nothing it must now look everywhere once more.
    pub(crate) fn stop(&self) {
        let before = self.searching.fetch_sub(1, Ordering::SeqCst);
        debug_assert_ne!(before, 0, "a machine stops searching that was not counted");
        // Full barrier: pairs with the one in `must_wake`.
        fence(Ordering::SeqCst);
    }
}
