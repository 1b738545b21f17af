//! The keeper: the one idle machine that sleeps until the next timer of any processor. Everybody else sleeps without a
//! deadline. It is not in the list of idle machines: only its deadline, or an earlier one, wakes it.
//!
//! A processor whose machine goes idle leaves its timers to the keeper (or becomes it). A processor that stays busy
//! looks after its own timers, but if there is an idle processor it also tells the keeper of a new earliest one, since
//! its current goroutine may run for long.

use crate::env::Moment;
use crate::m::note::Note;
use crate::sys::atomic::{AtomicU64, Ordering, fence};

/// The place of the keeper.
#[derive(Debug)]
pub(crate) struct Keeper {
    /// Until when the keeper sleeps; 0 if there is none.
    until: AtomicU64,
    note: Note,
}

/// What to do about a timer that the caller knows of.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Watch {
    /// The keeper wakes in time, or has just been told to look again.
    Kept,
    /// Nobody keeps time.
    Nobody,
}

impl Keeper {
    pub(crate) fn new() -> Keeper {
        Keeper { until: AtomicU64::new(0), note: Note::new() }
    }

    /// The caller becomes the keeper and sleeps until `deadline`, or until told of an earlier one: true.
    /// There is a keeper already: false.
    pub(crate) fn keep(&self, deadline: Moment) -> bool {
        // SeqCst: with the barrier in `tell`: either the teller sees this deadline, or we have seen its timer.
        let until = deadline.as_nanos().max(1);
        if self.until.compare_exchange(0, until, Ordering::SeqCst, Ordering::Relaxed).is_err() {
            return false;
        }
        self.note.sleep(Some(deadline));
        self.until.store(0, Ordering::Relaxed);
        // Full barrier: we are seen to be gone before we look for an idle processor. Pairs with the one after which a
        // machine that has made its processor idle looks for a keeper.
        fence(Ordering::SeqCst);
        true
    }

    /// There is a timer at `when`: makes sure that the keeper, if there is one, does not sleep past it.
    pub(crate) fn tell(&self, when: Moment) -> Watch {
        // SeqCst: the timer was put into its heap before; see `keep`.
        match self.until.load(Ordering::SeqCst) {
            0 => Watch::Nobody,
            until => {
                if when.as_nanos() < until {
                    self.note.wake();
                }
                Watch::Kept
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;
    use std::thread;
    use std::time::Duration;

    use super::{Keeper, Watch};
    use crate::env::Moment;

    fn soon() -> Moment {
        Moment::after(Duration::from_millis(5))
    }

    /// Late enough that a test which waits for it is seen to hang.
    fn late() -> Moment {
        Moment::after(Duration::from_secs(600))
    }

    #[test]
    fn it_keeps_until_the_deadline() {
        let (keeper, deadline) = (Keeper::new(), soon());
        assert_eq!(keeper.tell(deadline), Watch::Nobody);
        assert!(keeper.keep(deadline));
        assert!(Moment::now() >= deadline);
        assert_eq!(keeper.tell(deadline), Watch::Nobody, "it has gone");
    }

    #[test]
    fn it_is_told_of_what_comes_earlier_and_not_of_what_comes_later() {
        let keeper = Arc::new(Keeper::new());
        let keeps = thread::spawn({
            let keeper = keeper.clone();
            move || keeper.keep(late())
        });
        while keeper.tell(Moment::NEVER) == Watch::Nobody {
            thread::yield_now();
        }
        assert!(!keeper.keep(soon()), "there is one already");
        assert_eq!(keeper.tell(Moment::NEVER), Watch::Kept);
        assert!(!keeps.is_finished());
        assert_eq!(keeper.tell(soon()), Watch::Kept);
        assert!(keeps.join().expect("it does not panic"));
    }

    #[test]
    fn a_deadline_at_the_beginning_of_time_is_no_absence() {
        let keeper = Keeper::new();
        assert!(keeper.keep(Moment::from_nanos(0)));
    }
}
