//! GOMAXPROCS: how many processors there are, at the start and when it changes.
//!
//! Nothing stops the world. New processors go to the idle list. One that is no longer wanted is marked retired; its
//! owner drops it at its next look for work, and the idle list gives it up at once. A dropped processor hands its queue
//! to the global one and its timers to the first processor, which is never retired, and is kept for later.
//!
//! A processor is *out* when it is retired and nobody owns it. Only the scheduler's lock holder changes that.

use std::sync::atomic::Ordering;

use super::{MAX_PROCS, Queued, Runtime, Shared};
use crate::m::M;
use crate::p::P;

impl Runtime {
    /// Sets the number of processors (at least 1, at most [`MAX_PROCS`]); returns the old one. User context: allocates.
    pub(crate) fn set_procs(&self, wanted: u32) -> u32 {
        self.set_procs_if(wanted, || true)
    }

    /// As [`set_procs`](Self::set_procs), if `still` holds when no other change is under way.
    pub(crate) fn set_procs_if(&self, wanted: u32, still: impl FnOnce() -> bool) -> u32 {
        let wanted = wanted.clamp(1, MAX_PROCS as u32);
        self.make_ps(wanted);
        let old = {
            let _one_at_a_time = self.changing_procs.lock();
            let old = self.procs.load(Ordering::Relaxed);
            if !still() {
                return old;
            }
            let mut shared = self.shared.lock();
            self.procs.store(wanted, Ordering::Relaxed);
            for p in self.all_ps() {
                self.set_wanted(&mut shared, p, p.id < wanted);
            }
            if wanted < old {
                self.drop_idle_retired(&mut shared);
            }
            old
        };
        // One at a time: each that finds work wakes the next.
        if self.work_in_sight() {
            self.wake_p();
        }
        self.rouse_monitor();
        old
    }

    /// Makes the processors that were never there yet.
    fn make_ps(&self, wanted: u32) {
        for id in self.made_ps.load(Ordering::Acquire)..wanted {
            let seed = (u64::from(id) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ crate::env::ticks();
            let p: &'static P = Box::leak(Box::new(P::new(id, seed)));
            p.retired.store(true, Ordering::Relaxed);
            p.out.store(true, Ordering::Relaxed);
            let _one_at_a_time = self.changing_procs.lock();
            // Somebody else may make processors at the same moment; then this one is not needed. (P's are small.)
            if self.made_ps.load(Ordering::Relaxed) == id {
                self.all_ps[id as usize].store(std::ptr::from_ref(p).cast_mut(), Ordering::Relaxed);
                // Release: pairs with the Acquire in `all_ps`.
                self.made_ps.store(id + 1, Ordering::Release);
            }
        }
    }

    fn set_wanted(&self, shared: &mut Shared, p: &'static P, wanted: bool) {
        p.retired.store(!wanted, Ordering::Relaxed);
        // If its owner has not dropped it yet, it simply keeps it.
        if wanted && p.out.swap(false, Ordering::Relaxed) {
            self.in_service.fetch_add(1, Ordering::Relaxed);
            self.put_idle_p(shared, p);
        }
    }

    /// Takes retired processors out of the idle list.
    fn drop_idle_retired(&self, shared: &mut Shared) {
        let mut keep: Option<&'static P> = None;
        while let Some(p) = self.take_idle_p_locked(shared) {
            if p.retired.load(Ordering::Relaxed) {
                self.take_out_of_service(shared, p);
            } else {
                p.idle_next.set(keep.replace(p));
            }
        }
        while let Some(p) = keep {
            keep = p.idle_next.take();
            self.put_idle_p(shared, p);
        }
    }

    /// The owner of `p` gives up a retired processor.
    pub(crate) fn retire(&self, p: &'static P) {
        {
            let mut shared = self.shared.lock();
            if !p.retired.load(Ordering::Relaxed) {
                // Wanted again, meanwhile.
                self.put_idle_p(&mut shared, p);
            } else {
                self.take_out_of_service(&mut shared, p);
            }
        }
        // Its work, and its timers, are for others to see to now.
        self.wake_p();
        let when = self.p_at(0).timers.earliest();
        if when != crate::env::Moment::NEVER {
            self.announce_timer(when);
        }
    }

    /// `m` finds its processor retired.
    #[cold]
    pub(crate) fn drop_retired(&self, m: &'static M) {
        if m.spinning.replace(false) {
            self.search.stop();
        }
        let p = m.release_p();
        self.retire(p);
        if let Some(p) = self.take_idle_p() {
            m.acquire_p(p);
        }
    }

    /// Puts aside a retired processor that nobody owns.
    fn take_out_of_service(&self, shared: &mut Shared, p: &'static P) {
        self.empty(shared, p);
        p.give_free(&self.pool, self.default_class);
        p.out.store(true, Ordering::Relaxed);
        self.in_service.fetch_sub(1, Ordering::Relaxed);
    }

    /// Takes all work and all timers off a processor that nobody owns.
    fn empty(&self, shared: &mut Shared, p: &'static P) {
        while let Some(g) = p.queue.take_next().or_else(|| p.queue.pop()) {
            shared.global.push_back(Queued(g));
        }
        self.publish_global(shared);
        let first = self.p_at(0);
        debug_assert_ne!(p.id, first.id, "the first processor is never retired");
        p.timers.move_all_to(&first.timers);
    }
}
