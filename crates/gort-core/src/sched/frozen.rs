//! Frozen machines: threads that were stopped in the middle of a goroutine's code, inside a signal handler, and go on when
//! somebody brings them a processor ([`preempt`](crate::preempt)).
//!
//! A frozen goroutine is runnable, but only its own thread can run it, so it is the machine that stands in line and not
//! the goroutine. The line is first come, first served, and its length counts as part of the global queue's, so that
//! whoever looks for work looks here too.
//!
//! Whom the processor goes to, a frozen machine or a goroutine in a queue: frozen ones have computed for long, the others
//! were mostly woken by something, so those go first; but once the first frozen machine has waited for [`PATIENCE`], and a
//! processor has run others for as long, it is its turn.

use std::time::Duration;

use super::{Runtime, Shared};
use crate::env::Moment;
use crate::m::M;
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
    /// `m`, which has no processor (any more), waits for one from here on.
    pub(crate) fn stand_in_line(&self, m: &'static M) {
        let now = Moment::now();
        let mut shared = self.shared.lock();
        m.frozen_at.set(now);
        shared.frozen.push(m);
        self.publish_global(&shared);
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
            if now.since(first.frozen_at.get().max(p.thawed_at.get())) < PATIENCE {
                return None;
            }
            p.thawed_at.set(now);
        }
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
        m.note.wake();
        Some(m)
    }
}
