//! Frozen machines: threads that were stopped in the middle of a goroutine's code, inside a signal handler, and go on when
//! somebody brings them a processor ([`preempt`](crate::preempt)).
//!
//! A frozen goroutine is runnable, but only its own thread can run it, so it is the machine that stands in line and not
//! the goroutine. The line is first come, first served, and its length counts as part of the global queue's, so that
//! whoever looks for work looks here too.
//!
//! Whom the processor goes to, a frozen machine or a goroutine in a queue: frozen ones have computed for long, the others
//! were mostly woken by something, so those go first; but once the first frozen machine has waited for [`PATIENCE`], and a
//! processor has run others for as long, it is its turn. After it the queues have theirs, however long the next in line has
//! waited: with one that had always waited long enough a goroutine in a queue would never run.

use std::time::Duration;

use super::{Runtime, Shared};
use crate::env::Moment;
use crate::g::G;
use crate::m::{Call, M};
use crate::p::P;
use crate::sys::atomic::Ordering;

/// How long others go before the first frozen machine.
const PATIENCE: Duration = Duration::from_millis(1);

/// The line, linked by `M::next`; guarded by the scheduler's lock.
#[derive(Default)]
pub(crate) struct Line {
    first: Option<&'static M>,
    last: Option<&'static M>,
    len: usize,
}

impl Line {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    fn push(&mut self, m: &'static M) {
        m.next.set(None);
        match self.last.replace(m) {
            Some(last) => last.next.set(Some(m)),
            None => self.first = Some(m),
        }
        self.len += 1;
    }

    fn pop(&mut self) -> Option<&'static M> {
        let m = self.first?;
        self.first = m.next.take();
        if self.first.is_none() {
            self.last = None;
        }
        self.len -= 1;
        Some(m)
    }
}

impl Runtime {
    /// The thread of `m`, which stands in the middle of `g`'s code, gives its processor to others and waits for one.
    pub(crate) fn freeze(&self, m: &'static M, g: &'static G) {
        let frozen = match (m.p(), m.call()) {
            (Some(p), Call::None) => self.freeze_with(m, g, p),
            (None, Call::Found) => self.freeze_without(m, g),
            // It is in a call that it has announced, and in nobody's way.
            _ => false,
        };
        if frozen {
            self.wait_in_line(m);
            g.status.transition_to_running();
        }
    }

    fn freeze_with(&self, m: &'static M, g: &'static G, p: &'static P) -> bool {
        p.stats.preemptions.up();
        m.release_p();
        g.status.transition_to_yielded();
        self.stand_in_line(m);
        self.handoff_p(p);
        true
    }

    /// It had slept in a call that nobody announced, lost its processor, and has run on without since it woke.
    fn freeze_without(&self, m: &'static M, g: &'static G) -> bool {
        if let Some(p) = self.take_idle_p() {
            m.acquire_p(p);
            self.call_is_over(m);
            return false;
        }
        g.status.transition_to_yielded();
        // Once in line it may be let go on without a processor, which is a call again.
        m.set_call(Call::None);
        self.stand_in_line(m);
        self.one_call_less();
        // A processor may have become idle before its machine could see us.
        self.wake_p();
        true
    }

    fn stand_in_line(&self, m: &'static M) {
        let now = Moment::now();
        let mut shared = self.shared.lock();
        m.frozen_at.set(now);
        shared.frozen.push(m);
        self.publish_global(&shared);
    }

    fn wait_in_line(&self, m: &'static M) {
        while !m.note.sleep(None) {}
        match m.take_next_p() {
            Some(p) => m.acquire_p(p),
            // The monitor lets us go on without one, and has counted us.
            None => debug_assert_eq!(m.call(), Call::Found),
        }
    }

    /// Machines in line.
    pub(crate) fn frozen(&self) -> usize {
        self.frozen_len.load(Ordering::Relaxed)
    }

    /// Owner of `p`: takes the frozen machine out of the line whose turn it is to have `p`.
    pub(super) fn next_frozen(&self, shared: &mut Shared, p: &'static P) -> Option<&'static M> {
        let first = shared.frozen.first?;
        if !(shared.global.is_empty() && p.queue.is_empty()) {
            let now = Moment::now();
            // The last one that had it was frozen before: now it is for the others, however long this one has waited.
            if p.thawed.replace(false) {
                p.thawed_at.set(now);
                return None;
            }
            if now.since(first.frozen_at.get().max(p.thawed_at.get())) < PATIENCE {
                return None;
            }
        }
        p.thawed.set(true);
        let m = shared.frozen.pop();
        self.publish_global(shared);
        m
    }

    /// Brings `p` to the frozen machine `m`, which is not in line any more.
    pub(crate) fn thaw(&self, m: &'static M, p: &'static P) {
        // Another goroutine runs on the processor from now on.
        p.tick.store(p.tick.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        m.wake_with(p);
    }

    /// Brings `p`, for which no other machine can be had, to the first in line, whoever's turn it is. False: nobody is in line.
    pub(super) fn thaw_early(&self, p: &'static P) -> bool {
        let frozen = {
            let mut shared = self.shared.lock();
            let frozen = shared.frozen.pop();
            self.publish_global(&shared);
            frozen
        };
        frozen.inspect(|m| self.thaw(m, p)).is_some()
    }

    /// Lets the first in line go on without a processor, if it has been there since `before`: it may hold what everybody
    /// else waits for. It is in a call that was found, from here on.
    pub(crate) fn thaw_without(&self, before: Moment) -> Option<&'static M> {
        let m = {
            let mut shared = self.shared.lock();
            if shared.frozen.first?.frozen_at.get() > before {
                return None;
            }
            // SeqCst: as in `blocking`.
            self.in_blocking.fetch_add(1, Ordering::SeqCst);
            let m = shared.frozen.pop();
            self.publish_global(&shared);
            m?
        };
        // Before it is woken, and not by itself: it may take long to wake, and whoever looks after such machines must not
        // take it for one that has a processor again. (Who takes a frozen machine out of the line may write this.)
        m.set_call(Call::Found);
        m.note.wake();
        Some(m)
    }
}
