//! The keeper: the one idle machine that sleeps until the next timer of any processor, or until a descriptor is ready.
//! Everybody else sleeps without a deadline. It is not in the list of idle machines: only its deadline, an earlier one, or
//! the network wakes it.
//!
//! A processor whose machine goes idle leaves its timers to the keeper (or becomes it). A processor that stays busy
//! looks after its own timers, but if there is an idle processor it also tells the keeper of a new earliest one, since
//! its current goroutine may run for long.
//!
//! It sleeps on its note until the network poller is opened, and from then on in the poller's blocking look, whether anybody
//! waits for a descriptor or not; so whoever begins to wait finds it there. Whoever opens the poller sends it there
//! (`look_again`): the note remembers.

use crate::env::Moment;
use crate::m::note::Note;
use crate::netpoll::record::Ready;
use crate::netpoll::{Poller, Wait};
use crate::sys::atomic::{AtomicU64, Ordering, fence};

/// The place of the keeper.
#[derive(Debug)]
pub(crate) struct Keeper {
    /// Until when the keeper sleeps; 0 if there is none. It sleeps for ever if it has only the network to wait for.
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

    /// The caller becomes the keeper and sleeps until `deadline`, until told of an earlier one, or until descriptors are
    /// ready: whoever waited for them. There is a keeper already: None.
    pub(crate) fn keep(&self, deadline: Moment, poller: &Poller) -> Option<Ready> {
        // SeqCst: with the barrier in `tell`: either the teller sees this deadline, or we have seen its timer.
        let until = deadline.as_nanos().max(1);
        if self.until.compare_exchange(0, until, Ordering::SeqCst, Ordering::Relaxed).is_err() {
            return None;
        }
        let ready = if poller.is_open() {
            poller.poll(Wait::Until(deadline))
        } else {
            self.note.sleep(Some(deadline).filter(|deadline| *deadline != Moment::NEVER));
            Ready::nobody()
        };
        self.until.store(0, Ordering::Relaxed);
        // Full barrier: we are seen to be gone before we look for an idle processor. Pairs with the one after which a
        // machine that has made its processor idle looks for a keeper.
        fence(Ordering::SeqCst);
        Some(ready)
    }

    /// Somebody sleeps as the keeper, or is about to. Relaxed: the barriers are the callers'.
    #[inline]
    pub(crate) fn is_there(&self) -> bool {
        self.until.load(Ordering::Relaxed) != 0
    }

    /// There is a timer at `when`: makes sure that the keeper, if there is one, does not sleep past it.
    pub(crate) fn tell(&self, when: Moment, poller: &Poller) -> Watch {
        // SeqCst: the timer was put into its heap before; see `keep`.
        match self.until.load(Ordering::SeqCst) {
            0 => Watch::Nobody,
            until => {
                if when.as_nanos() < until {
                    self.look_again();
                    poller.tell();
                }
                Watch::Kept
            }
        }
    }

    /// The poller was opened: the keeper does not sleep on its note any more. (One that has slept there since before a teller
    /// could see the poller is woken by this as well.)
    pub(crate) fn look_again(&self) {
        self.note.wake();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;
    use std::thread;
    use std::time::Duration;

    use super::{Keeper, Watch};
    use crate::env::Moment;
    use crate::netpoll::poller;

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
        assert_eq!(keeper.tell(deadline, poller()), Watch::Nobody);
        assert!(keeper.keep(deadline, poller()).is_some());
        assert!(Moment::now() >= deadline);
        assert_eq!(keeper.tell(deadline, poller()), Watch::Nobody, "it has gone");
    }

    #[test]
    fn it_is_told_of_what_comes_earlier_and_not_of_what_comes_later() {
        let keeper = Arc::new(Keeper::new());
        let keeps = thread::spawn({
            let keeper = keeper.clone();
            move || keeper.keep(late(), poller()).is_some()
        });
        while keeper.tell(Moment::NEVER, poller()) == Watch::Nobody {
            thread::yield_now();
        }
        assert!(keeper.keep(soon(), poller()).is_none(), "there is one already");
        assert_eq!(keeper.tell(Moment::NEVER, poller()), Watch::Kept);
        assert!(!keeps.is_finished());
        assert_eq!(keeper.tell(soon(), poller()), Watch::Kept);
        assert!(keeps.join().expect("it does not panic"));
    }

    #[test]
    fn a_deadline_at_the_beginning_of_time_is_no_absence() {
        let keeper = Keeper::new();
        assert!(keeper.keep(Moment::from_nanos(0), poller()).is_some());
    }
}
