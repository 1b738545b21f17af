//! How a goroutine gets into a queue, and whom that wakes.

use std::ptr::NonNull;

use super::{Queued, Runtime, Shared, the_runtime};
use crate::env::Moment;
use crate::g::G;
use crate::m::M;
use crate::p::P;
use crate::sys::atomic::{Ordering, fence};
use crate::sys::door;

/// Makes a parked goroutine runnable. The caller holds the right to (it is the one `ready` of that park).
#[inline]
pub(crate) fn ready(g: &'static G) {
    let _inside = door::inside();
    g.status.transition_to_ready();
    the_runtime().submit(NonNull::from(g));
}

/// As [`ready`], but behind everything that is queued already.
#[inline]
pub(crate) fn ready_last(g: &'static G) {
    let _inside = door::inside();
    g.status.transition_to_ready();
    let (rt, g) = (the_runtime(), NonNull::from(g));
    match M::current().and_then(M::p) {
        Some(p) => {
            rt.put_ring(p, g);
            rt.wake_p();
        }
        None => rt.put_global(g),
    }
}

impl Runtime {
    /// Queues a runnable goroutine: next on this processor if the caller has one, else globally. The caller is inside.
    #[inline]
    pub(crate) fn submit(&self, g: NonNull<G>) {
        match M::current().and_then(M::p) {
            Some(p) => self.put_next(p, g),
            None => self.put_global(g),
        }
    }

    /// Owner of `p`: queues `g` to run next; what was to run next goes to the end of the ring.
    #[inline]
    pub(crate) fn put_next(&self, p: &'static P, g: NonNull<G>) {
        match p.queue.set_next(g) {
            // The running goroutine will mostly park soon, and then `g` runs here, on a warm core, for nothing.
            // (The swap in `set_next` is the submitter's full barrier.)
            None => {
                if self.search.idle() != 0 && p.eager.filled() {
                    self.wake_p();
                }
            }
            Some(displaced) => {
                self.put_ring(p, displaced);
                self.wake_p();
            }
        }
    }

    /// Owner of `p`: queues `g` at the end of the ring.
    #[inline]
    pub(crate) fn put_ring(&self, p: &'static P, g: NonNull<G>) {
        if let Err(g) = p.queue.push(g) {
            self.overflow(p, g);
        }
    }

    /// The ring is full: half of it, and `g`, go to the global queue in one batch.
    #[cold]
    fn overflow(&self, p: &'static P, g: NonNull<G>) {
        let mut shared = self.shared.lock();
        p.queue.take_half(|item| shared.global.push_back(Queued(item)));
        shared.global.push_back(Queued(g));
        self.publish_global(&shared);
    }

    /// Queues `g` globally, and wakes a machine for it if need be.
    pub(crate) fn put_global(&self, g: NonNull<G>) {
        {
            let mut shared = self.shared.lock();
            shared.global.push_back(Queued(g));
            self.publish_global(&shared);
        }
        self.wake_p();
    }

    /// Under the lock: makes the length known to those who look without it.
    pub(crate) fn publish_global(&self, shared: &Shared) {
        let frozen = shared.frozen.len();
        self.frozen_len.store(frozen, Ordering::Relaxed);
        self.global_len.store(shared.global.len() + frozen, Ordering::Relaxed);
    }

    /// A goroutine yielded: it goes to the global queue if somebody waits there, whom it must not overtake; else the end
    /// of the ring is as far back, and takes no lock.
    #[inline]
    pub(crate) fn put_yielded(&self, p: &'static P, g: NonNull<G>) {
        let alone = p.queue.is_empty();
        if self.global_len.load(Ordering::Relaxed) != self.frozen_len.load(Ordering::Relaxed) {
            let mut shared = self.shared.lock();
            shared.global.push_back(Queued(g));
            self.publish_global(&shared);
        } else {
            self.put_ring(p, g);
        }
        if !alone {
            self.wake_p();
        }
    }

    /// Wakes a machine, if there is an idle processor for it and nobody searches already.
    #[inline]
    pub(crate) fn wake_p(&self) {
        if self.search.must_wake() {
            self.wake_p_slow();
        }
    }

    /// The caller is counted as searching and owes a wake-up.
    #[cold]
    pub(super) fn wake_p_slow(&self) {
        loop {
            if let Some(p) = self.take_idle_p() {
                return self.start_m(p, true);
            }
            // Somebody else took the last idle processor. But while we were counted others relied on us, and a
            // processor may have become idle again meanwhile: a searcher that gives up looks once more.
            self.search.stop();
            if !self.more_to_do() || !self.search.must_wake() {
                return;
            }
        }
    }

    /// Somebody has stopped searching, on whom others may have relied: whether there is a goroutine that could run, or a
    /// timer that no idle machine watches.
    pub(super) fn more_to_do(&self) -> bool {
        if self.work_in_sight() {
            return true;
        }
        let when = self.earliest_timer();
        when != Moment::NEVER && self.keeper.tell(when, self.poller) == super::keeper::Watch::Nobody
    }

    /// There is a timer at `when` whose processor may be busy for long: somebody idle has to know.
    #[cold]
    pub(crate) fn announce_timer(&self, when: Moment) {
        // Full barrier: the timer is in its heap before the counts and the keeper are looked at. Pairs with the one
        // after which a machine that goes idle looks at the timers.
        fence(Ordering::SeqCst);
        if self.search.idle() == 0 {
            // All processors are busy: then it is for the monitor to see that one is free in time.
            if when.as_nanos() < self.monitor.until.load(Ordering::Relaxed) {
                self.monitor.note.wake();
            }
        } else if self.keeper.tell(when, self.poller) == super::keeper::Watch::Nobody {
            self.wake_p();
        }
    }
}
