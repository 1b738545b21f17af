//! The sleepers that are not goroutines: OS threads, which block on a futex, and foreign ones, which get a call.
//!
//! A thread's parker is one word and moves in a circle:
//! ```text
//!   EMPTY ──wait──► SLEEPING or FOR_EVER ──ready──► NOTIFIED ──wait ends──► EMPTY
//!     └─────────────ready (before the wait)────────────┘
//! ```
//! Parkers are pooled and never freed: a waker may still be on its way to the futex when the thread it woke has gone
//! on, or even ended. The stray futex wake-up then hits a parker of somebody else, who just looks again.

#[cfg_attr(loom, path = "thread/own_model.rs")]
mod own;

use std::ptr;
use std::sync::atomic::AtomicIsize;
use std::task::Waker;

use super::{Sleeper, TAG_THREAD};
use crate::claim::Claim;
use crate::env::Moment;
use crate::sys::atomic::{AtomicU32, Ordering};
use crate::sys::futex;

const EMPTY: u32 = 0;
const NOTIFIED: u32 = 1;
const SLEEPING: u32 = 2;
const FOR_EVER: u32 = 3;

/// How one OS thread waits. Alone on its cache line: it is written by whoever wakes the thread.
#[repr(align(64))]
pub(super) struct Parker(AtomicU32);

/// A sleeper that is no thread and no goroutine: it is woken by a call of `wake` with its own address.
/// Put it at the start of a larger structure to find the rest.
#[derive(Debug)]
#[repr(C, align(8))]
pub struct External {
    /// Called once, from the waker's context: with that the sleeper is awake, and its memory may go. What is left to do is
    /// foreign code, and returned: the waker calls it.
    pub wake: unsafe fn(*const External) -> Option<Waker>,
}

/// OS threads that sleep here without a deadline: only a wake-up from inside the program can get them going again, which
/// is what the deadlock detector wants to know. The waker takes its sleeper off the count, so that a thread which has
/// been woken, but was not given a CPU yet, does not count as asleep. A thread counts itself only after it has said that
/// it sleeps: a waker may be faster, so for a moment the count can be too low, even negative. It is never too high.
pub(crate) static PARKED_FOR_EVER: AtomicIsize = AtomicIsize::new(0);

pub(super) fn current() -> Sleeper {
    Sleeper::tagged(ptr::from_ref(own::parker()).cast(), TAG_THREAD)
}

pub(super) fn park<F: FnOnce()>(commit: F) {
    let parker = own::parker();
    commit();
    parker.wait(None);
}

pub(super) fn park_until<F: FnOnce()>(deadline: Moment, claim: &Claim, commit: F) {
    if deadline == Moment::NEVER {
        return park(commit);
    }
    let parker = own::parker();
    commit();
    parker.wait_until(deadline, claim);
}

pub(super) fn ready(parker: *const Parker) {
    // SAFETY: a thread sleeper is the address of a parker, and those are never freed.
    let parker = unsafe { &*parker };
    // Release: pairs with the Acquire in `wait`; what the waker wrote is seen by the woken.
    match parker.0.swap(NOTIFIED, Ordering::Release) {
        FOR_EVER => {
            PARKED_FOR_EVER.fetch_sub(1, Ordering::Relaxed);
            futex::wake(&parker.0, 1);
        }
        SLEEPING => futex::wake(&parker.0, 1),
        _ => {}
    }
}

pub(super) fn ready_external(external: *const External) -> Option<Waker> {
    // SAFETY: whoever made the sleeper promised that it is valid until woken (`Sleeper::external`), and rule 2 says
    // that it is woken once.
    unsafe { ((*external).wake)(external) }
}

impl Parker {
    /// Waits for the notification and takes it: true; or until the deadline: false.
    fn wait(&self, deadline: Option<Moment>) -> bool {
        for _ in 0..SPINS {
            if self.take() {
                return true;
            }
            std::hint::spin_loop();
        }
        let asleep = if deadline.is_some() { SLEEPING } else { FOR_EVER };
        self.fall_asleep(asleep);
        loop {
            if self.take() {
                return true;
            }
            if deadline.is_some_and(|deadline| Moment::now() >= deadline) {
                return self.give_up();
            }
            futex::wait(&self.0, asleep, deadline);
        }
    }

    /// Waits for the notification, or until the deadline comes and wins the claim.
    fn wait_until(&self, deadline: Moment, claim: &Claim) {
        // The loser of the claim must take the notification that the winner is about to give, or the next park would.
        if !self.wait(Some(deadline)) && !claim.try_win(Claim::TIMED_OUT) {
            self.wait(None);
        }
    }

    /// Marks the thread as asleep, unless the notification has come already. Counted after it is marked: until then it
    /// counts as awake, which at worst puts the discovery of a deadlock off.
    fn fall_asleep(&self, asleep: u32) {
        let marked = self.0.compare_exchange(EMPTY, asleep, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if marked && asleep == FOR_EVER {
            PARKED_FOR_EVER.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn take(&self) -> bool {
        // Acquire: pairs with the Release in `ready`.
        if self.0.load(Ordering::Acquire) != NOTIFIED {
            return false;
        }
        self.0.store(EMPTY, Ordering::Relaxed);
        true
    }

    /// The deadline has passed. A notification that came in the same moment is taken.
    fn give_up(&self) -> bool {
        self.0.compare_exchange(SLEEPING, EMPTY, Ordering::Relaxed, Ordering::Relaxed).is_err() && self.take()
    }
}

/// Looks before a thread goes to sleep: about a microsecond, an eighth of what being woken costs.
const SPINS: u32 = if cfg!(loom) { 1 } else { 40 };

#[cfg(all(test, loom))]
mod models;
#[cfg(all(test, not(loom)))]
mod tests;
