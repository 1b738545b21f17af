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

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Searchers;

    #[test]
    fn nobody_is_woken_if_no_processor_is_idle_or_somebody_searches() {
        let counts = Searchers::new();
        assert!(!counts.must_wake());
        counts.one_more_idle();
        assert!(counts.must_wake());
        assert_eq!(counts.searching(), 1, "the woken is counted from the start");
        assert!(!counts.must_wake());
        counts.stop();
        assert!(counts.must_wake());
        counts.one_less_idle();
        counts.stop();
        assert_eq!((counts.idle(), counts.searching()), (0, 0));
    }

    #[test]
    fn at_most_half_of_the_busy_search() {
        let counts = Searchers::new();
        assert!(counts.try_start(4) && counts.try_start(4));
        assert!(!counts.try_start(4), "two of four search");
        counts.one_more_idle();
        counts.stop();
        assert!(counts.try_start(4), "one of three searches");
        assert!(!counts.try_start(4));
        assert!(!Searchers::new().try_start(0));
    }
}

#[cfg(all(test, loom))]
mod models {
    use std::sync::Arc;

    use loom::thread;

    use super::Searchers;
    use crate::m::note::Note;
    use crate::sys::atomic::{AtomicBool, Ordering};
    use crate::sys::model;

    /// One item, one machine that gives up searching, and one submitter, in the order of the picture above. (The whole
    /// scheduler is modelled in `sched::models`; this is for the barriers.)
    struct World {
        item: AtomicBool,
        counts: Searchers,
        note: Note,
    }

    impl World {
        fn submit(&self, must_wake: fn(&Searchers) -> bool) {
            self.item.store(true, Ordering::Relaxed);
            if must_wake(&self.counts) {
                self.note.wake();
            }
        }

        fn give_up(&self, stop: fn(&Searchers)) {
            self.counts.one_more_idle();
            stop(&self.counts);
            if !self.item.load(Ordering::Relaxed) {
                self.note.sleep(None);
            }
        }
    }

    fn submit_against_give_up(must_wake: fn(&Searchers) -> bool, stop: fn(&Searchers)) {
        model::check(move || {
            let world = World { item: AtomicBool::new(false), counts: Searchers::new(), note: Note::new() };
            world.counts.start();
            let world = Arc::new(world);
            let searcher = thread::spawn({
                let world = world.clone();
                move || world.give_up(stop)
            });
            world.submit(must_wake);
            searcher.join().unwrap();
        });
    }

    #[test]
    fn loom_either_the_waker_wakes_or_the_searcher_sees() {
        submit_against_give_up(Searchers::must_wake, Searchers::stop);
    }

    #[test]
    #[should_panic(expected = "deadlock")]
    fn loom_a_waker_without_barrier_is_found() {
        submit_against_give_up(|counts| counts.idle() != 0 && counts.try_be_first(), Searchers::stop);
    }

    #[test]
    #[should_panic(expected = "deadlock")]
    fn loom_a_searcher_without_barrier_is_found() {
        submit_against_give_up(Searchers::must_wake, |counts| {
            counts.searching.fetch_sub(1, Ordering::SeqCst);
        });
    }
}
