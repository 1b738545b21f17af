//! Who sleeps with an eye open: the keeper, an idle machine that sleeps until the next timer of any processor, and the
//! watch, an idle machine that sleeps in the network poller. Mostly they are the same one. Every other idle machine sleeps
//! until it is woken.
//!
//! They are not in the list of idle machines: only the keeper's deadline, an earlier one, or the network wakes them.
//!
//! A processor whose machine goes idle leaves its timers to the keeper (or becomes it). A processor that stays busy
//! looks after its own timers, but if there is an idle processor it also tells the keeper of a new earliest one, since
//! its current goroutine may run for long.
//!
//! A machine that takes the watch becomes the keeper as well, if there is none; it may have no timer to keep yet. A keeper
//! without the watch sleeps on its note. Where it sleeps stands in the same word as until when: whoever tells it of an
//! earlier timer knows from one look how. (A keeper that came between the look and the message does not hear it. But the
//! one to whom the message went has left, and looks at all timers before it sleeps again: see `Runtime::keep_time`.)

use crate::env::Moment;
use crate::m::note::Note;
use crate::netpoll::record::Ready;
use crate::netpoll::{Poller, Wait};
use crate::sys::atomic::{AtomicBool, AtomicU64, Ordering, fence};

/// The two places.
#[derive(Debug)]
pub(crate) struct Keeper {
    /// Until when the keeper sleeps, in nanoseconds, the last bit of which says where ([`IN_POLLER`]); 0 if there is none.
    until: AtomicU64,
    note: Note,
    /// Somebody sleeps in the network poller, or is about to.
    watched: AtomicBool,
}

/// The keeper sleeps in the network poller.
const IN_POLLER: u64 = 1;

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
        Keeper { until: AtomicU64::new(0), note: Note::new(), watched: AtomicBool::new(false) }
    }

    /// The caller sleeps until `deadline`, until told of an earlier one, or, if it wants and nobody else has it, as the watch
    /// until descriptors are ready: whoever waited for them. None: there is nothing left for it to do.
    ///
    /// If there is a keeper already it is told of the deadline.
    pub(crate) fn keep(&self, deadline: Moment, wants_watch: bool, poller: &Poller) -> Option<Ready> {
        let watches = wants_watch && self.take_watch();
        let keeps = (watches || deadline != Moment::NEVER) && self.take_clock(deadline, watches);
        if !keeps && deadline != Moment::NEVER {
            // A keeper that has gone meanwhile looks at all timers before it sleeps again.
            let _: Watch = self.tell(deadline, poller);
        }
        let ready = if watches {
            poller.poll(Wait::Until(if keeps { deadline } else { Moment::NEVER }))
        } else if keeps {
            self.note.sleep(Some(deadline));
            Ready::nobody()
        } else {
            return None;
        };
        if keeps {
            self.until.store(0, Ordering::Relaxed);
        }
        if watches {
            self.watched.store(false, Ordering::Relaxed);
        }
        // Full barrier: we are seen to be gone before we look for an idle processor. Pairs with the one after which a
        // machine that has made its processor idle looks for a keeper and for a watch.
        fence(Ordering::SeqCst);
        Some(ready)
    }

    fn take_watch(&self) -> bool {
        // Relaxed: which of two machines takes it does not matter; that it is not left empty is up to barriers (see `keep`).
        !self.watched.load(Ordering::Relaxed) && !self.watched.swap(true, Ordering::Relaxed)
    }

    fn take_clock(&self, deadline: Moment, in_poller: bool) -> bool {
        let until = (deadline.as_nanos() & !IN_POLLER).max(2) | if in_poller { IN_POLLER } else { 0 };
        // SeqCst: with the barrier in `tell`: either the teller sees this deadline, or we have seen its timer.
        self.until.compare_exchange(0, until, Ordering::SeqCst, Ordering::Relaxed).is_ok()
    }

    /// Somebody sleeps in the network poller, or is about to. Relaxed: the barriers are the callers'.
    #[inline]
    pub(crate) fn is_watched(&self) -> bool {
        self.watched.load(Ordering::Relaxed)
    }

    /// There is a timer at `when`: makes sure that the keeper, if there is one, does not sleep past it.
    pub(crate) fn tell(&self, when: Moment, poller: &Poller) -> Watch {
        // SeqCst: the timer was put into its heap before; see `take_clock`.
        match self.until.load(Ordering::SeqCst) {
            0 => return Watch::Nobody,
            until if when.as_nanos() >= until => {}
            until if until & IN_POLLER == IN_POLLER => poller.tell(),
            _ => self.note.wake(),
        }
        Watch::Kept
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
        assert!(keeper.keep(deadline, false, poller()).is_some());
        assert!(Moment::now() >= deadline);
        assert_eq!(keeper.tell(deadline, poller()), Watch::Nobody, "it has gone");
    }

    #[test]
    fn it_is_told_of_what_comes_earlier_and_not_of_what_comes_later() {
        let keeper = Arc::new(Keeper::new());
        let keeps = thread::spawn({
            let keeper = keeper.clone();
            move || keeper.keep(late(), false, poller()).is_some()
        });
        while keeper.tell(Moment::NEVER, poller()) == Watch::Nobody {
            thread::yield_now();
        }
        assert!(keeper.keep(late(), false, poller()).is_none(), "there is one already");
        assert_eq!(keeper.tell(Moment::NEVER, poller()), Watch::Kept);
        assert!(!keeps.is_finished());
        assert_eq!(keeper.tell(soon(), poller()), Watch::Kept);
        assert!(keeps.join().expect("it does not panic"));
    }

    #[test]
    fn a_deadline_at_the_beginning_of_time_is_no_absence() {
        let keeper = Keeper::new();
        assert!(keeper.keep(Moment::from_nanos(0), false, poller()).is_some());
    }
}
