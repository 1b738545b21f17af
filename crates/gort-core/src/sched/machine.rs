//! The loop of a machine: find a goroutine, run it until it gives the processor back, do what it asked for.
//!
//! ```text
//!           ┌──────────── find_runnable ◄────────────┐
//!           ▼                                        │
//!        resume ──► goroutine runs ──► Park: commit ─┤
//!           ▲                          Yield: queue ─┤
//!           │                          Exit: free  ──┘
//!    wait, locked: sleep until this goroutine is handed over with a processor
//! ```
//! A goroutine locked to a machine runs there and nowhere else: whoever finds it in a queue hands it its own processor
//! (`hand_to_locked`); a locked machine whose goroutine waits gives its processor to others and sleeps.

use std::ptr::{self, NonNull};
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

use super::{Runtime, Shared};
use crate::env::Moment;
use crate::g::{Command, G};
use crate::m::{Call, M};
use crate::p::P;
use crate::tlscheck;

/// After so many hand-overs between locked goroutines a machine looks for work in the usual order.
const HAND_ON_TICKS: u32 = 61;
/// How long an idle machine keeps its thread.
const IDLE_THREAD: Duration = Duration::from_secs(10);

impl Runtime {
    /// The life of a machine on its thread.
    pub(crate) fn machine_loop(&self, m: &'static M) {
        while let Some(g) = self.find_runnable(m) {
            self.run(m, g);
            if m.tainted.get() {
                break;
            }
        }
        debug_assert!(m.p().is_none(), "a machine ends without a processor");
    }

    #[inline]
    fn run(&self, m: &'static M, g: NonNull<G>) {
        // SAFETY: goroutines are never freed.
        let g: &'static G = unsafe { g.as_ref() };
        if !g.locked_m.load(Ordering::Relaxed).is_null() {
            return self.hand_to_locked(m, g);
        }
        if tlscheck::on() && self.stays(m, g) {
            return;
        }
        self.execute(m, g);
        if !m.locked_g.get().is_null() {
            self.serve_locked(m);
        }
    }

    /// Runs `g` once.
    #[inline]
    fn execute(&self, m: &'static M, g: &'static G) {
        m.set_curg(g);
        g.status.transition_to_running();
        // SAFETY: we are on the machine's stack, and popped the goroutine from a queue: it is ours.
        let command = unsafe { g.resume() };
        m.set_curg(ptr::null());
        match command {
            Command::Park => {
                if let Some(p) = m.p() {
                    p.stats.parks.up();
                }
                if let Some((commit, data)) = m.commit.take() {
                    // SAFETY: `park` stored the pair: the function takes the closure it is meant for, once.
                    unsafe { commit(data) }
                }
                if m.p().is_none() {
                    self.announce_waiter();
                }
            }
            Command::Yield => {
                g.status.transition_to_yielded();
                match m.p() {
                    // A locked goroutine has to be handed over by whoever pops it.
                    Some(p) if m.locked_g.get().is_null() => self.put_yielded(p, NonNull::from(g)),
                    _ => self.put_global(NonNull::from(g)),
                }
            }
            Command::Exit => self.bury(m, g),
        }
        if m.call() != Call::None {
            // It waits inside a blocking call, for a processor or for anything else: from here on it is like any other.
            match m.p() {
                Some(_) => m.set_call(Call::None),
                None => self.call_is_over(m),
            }
        }
    }

    /// As [`call_is_over`](Self::call_is_over), where the goroutine goes on at once, with `p`, which was idle.
    pub(crate) fn call_is_over_with(&self, m: &'static M, p: &'static P) {
        p.advance_tick();
        m.acquire_p(p);
        self.call_is_over(m);
    }

    /// The goroutine on `m`, which had lost its processor, does not block the thread any more.
    pub(crate) fn call_is_over(&self, m: &'static M) {
        m.set_call(Call::None);
        self.one_call_less();
    }

    /// As [`call_is_over`](Self::call_is_over), for a machine that does not say itself any more that it is in one.
    pub(crate) fn one_call_less(&self) {
        // SeqCst: pairs with the deadlock detector's reading.
        if self.in_blocking.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.rouse_monitor();
        }
    }

    /// `g`, which runs on `m`, has ended or is about to: it does not count any more. Once for each goroutine.
    #[inline]
    pub(crate) fn count_ended(&self, m: &'static M, g: &'static G) {
        if g.counted_out.load(Ordering::Relaxed) {
            return;
        }
        g.counted_out.store(true, Ordering::Relaxed);
        match m.p() {
            Some(p) => p.stats.ended.up(),
            // Release: pairs with the Acquire in `count`.
            None => drop(self.ended_elsewhere.fetch_add(1, Ordering::Release)),
        }
    }

    /// The goroutine has ended: its `G` is free.
    #[inline]
    fn bury(&self, m: &'static M, g: &'static G) {
        self.count_ended(m, g);
        g.status.transition_to_idle();
        g.counted_out.store(false, Ordering::Relaxed);
        if !m.locked_g.get().is_null() {
            m.locked_g.set(ptr::null());
            g.locked_m.store(ptr::null_mut(), Ordering::Relaxed);
            g.lock_count.set(0);
            m.tainted.set(true);
        }
        match m.p() {
            Some(p) if g.class == self.default_class => {
                p.put_g(&self.pool, self.default_class, NonNull::from(g))
            }
            _ => self.pool.put(NonNull::from(g)),
        }
        if m.tainted.get()
            && let Some(p) = m.p()
        {
            m.release_p();
            self.handoff_p(p);
        }
    }

    /// Goes to sleep without a processor until somebody comes with one: true. Has been idle for long: false, the
    /// thread is to end.
    pub(crate) fn stop_m(&self, m: &'static M) -> bool {
        debug_assert!(!m.spinning.get());
        self.computes_no_more(m);
        self.shared.lock().add_idle_m(m);
        let woken = m.lent.replace(false) && m.patience.wait(&m.note);
        while !woken && !m.note.sleep(Some(Moment::after(IDLE_THREAD))) {
            let mut shared = self.shared.lock();
            // One for each processor stays, so that a quiet server does not make threads anew for each request.
            if shared.idle_m_count > self.procs.load(Ordering::Relaxed) && shared.remove_idle_m(m) {
                return false;
            }
        }
        if let Some(p) = m.take_next_p() {
            m.acquire_p(p);
        }
        true
    }

    /// Has some machine run with `p`, which nobody owns: an idle one, else a new one. `spinning`: it is already counted
    /// as searching.
    pub(crate) fn start_m(&self, p: &'static P, spinning: bool) {
        let (idle, left) = {
            let mut shared = self.shared.lock();
            (shared.take_idle_m(), shared.idle_m_count)
        };
        match idle {
            Some(m) => {
                m.spinning.set(spinning);
                m.wake_with(p);
                if left == 0 && self.frozen() != 0 {
                    self.threads.request_reserve();
                }
            }
            None => self.threads.request(p, spinning),
        }
    }

    /// Gives away a processor whose machine can not go on with it: to another machine if there is something to do.
    pub(crate) fn handoff_p(&self, p: &'static P) {
        p.stats.handoffs.up();
        let when = p.timers.earliest();
        let due = when != Moment::NEVER && when <= Moment::now();
        let queued = self.global_len.load(Ordering::Relaxed) != self.frozen_len.load(Ordering::Relaxed);
        if due || queued || !p.queue.is_empty() {
            return self.start_m(p, false);
        }
        {
            let mut shared = self.shared.lock();
            if !shared.global.is_empty() {
                drop(shared);
                return self.start_m(p, false);
            }
            if p.retired.load(Ordering::Relaxed) {
                drop(shared);
                return self.retire(p);
            }
            if let Some(frozen) = self.next_frozen(&mut shared, p) {
                drop(shared);
                return self.thaw(frozen, p);
            }
            self.put_idle_p(&mut shared, p);
        }
        // Full barrier: the processor is in the idle list before the queues are looked at; pairs with the submitter's.
        fence(Ordering::SeqCst);
        // What was submitted while this processor was not in the idle list may have found nobody to wake.
        if self.work_in_sight() {
            self.wake_p();
        }
        // It may have been the last that was not idle, and so looked after everything that is to come: the timers of all
        // processors, and the network.
        let when = self.earliest_timer();
        if when != Moment::NEVER {
            self.announce_timer(when);
        }
        if !self.keeper.is_watched() && self.wants_watch(p.id) {
            self.wake_p();
        }
    }

    /// `g` may run on one machine only, and that is not `m`: hands it this machine's processor.
    #[cold]
    fn hand_to_locked(&self, m: &'static M, g: &'static G) {
        let owner = locked_to(g).expect("whoever hands it over has seen its machine");
        m.lent.set(true);
        owner.wake_with(m.release_p());
    }

    /// A locked machine gives away its processor: if another locked goroutine is next to run, straight to its machine.
    fn hand_on(&self, p: &'static P) {
        // Now and then somebody has to look at everything else.
        let tick = p.advance_tick();
        let due = p.timers.earliest() != Moment::NEVER && p.timers.earliest() <= Moment::now();
        if tick.is_multiple_of(HAND_ON_TICKS) || due || p.retired.load(Ordering::Relaxed) {
            return self.handoff_p(p);
        }
        let Some(g) = p.queue.take_next() else { return self.handoff_p(p) };
        // SAFETY: goroutines are never freed.
        match locked_to(unsafe { g.as_ref() }) {
            Some(owner) => {
                // It may compute for long, and the goroutine that has just parked here may have started a timer.
                if p.timers_unannounced.replace(false) {
                    self.announce_timer(p.timers.earliest());
                }
                owner.wake_with(p);
            }
            None => {
                let displaced = p.queue.set_next(g);
                debug_assert!(displaced.is_none(), "only the owner fills the slot");
                self.handoff_p(p);
            }
        }
    }

    /// `m` has a goroutine locked to it, which has just given the processor back: lets others have the processor until
    /// somebody comes with one for that goroutine.
    #[cold]
    fn serve_locked(&self, m: &'static M) {
        while let Some(g) = NonNull::new(m.locked_g.get().cast_mut()) {
            if m.p().is_some() {
                self.hand_on(m.release_p());
            }
            self.computes_no_more(m);
            while !m.patience.wait(&m.note) && !m.note.sleep(None) {}
            let p = m.take_next_p().expect("a locked machine is woken with a processor");
            m.acquire_p(p);
            // SAFETY: goroutines are never freed.
            self.execute(m, unsafe { g.as_ref() });
        }
    }
}

/// The only machine that may run `g`, if there is one.
fn locked_to(g: &G) -> Option<&'static M> {
    // SAFETY: null, or stored from a machine by `lock_to`; machines are never freed.
    unsafe { g.locked_m.load(Ordering::Relaxed).cast::<M>().as_ref() }
}

impl Shared {
    fn add_idle_m(&mut self, m: &'static M) {
        m.next.set(self.idle_ms.replace(m));
        self.idle_m_count += 1;
    }

    fn take_idle_m(&mut self) -> Option<&'static M> {
        let m = self.idle_ms?;
        self.idle_ms = m.next.take();
        self.idle_m_count -= 1;
        Some(m)
    }

    /// Takes `m` out of the list, if it is in it.
    pub(super) fn remove_idle_m(&mut self, m: &'static M) -> bool {
        let mut at = self.idle_ms;
        let mut before: Option<&'static M> = None;
        while let Some(here) = at {
            if ptr::eq(here, m) {
                let next = m.next.take();
                match before {
                    None => self.idle_ms = next,
                    Some(before) => before.next.set(next),
                }
                self.idle_m_count -= 1;
                return true;
            }
            before = at;
            at = here.next.get();
        }
        false
    }
}
