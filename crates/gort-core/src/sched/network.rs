//! The scheduler's side of the network poller: who polls, when, and what becomes of those whose descriptors are ready.
//!
//! - A machine that finds nothing in its ring and in the global queue polls without waiting, if anybody waits for a
//!   descriptor and no keeper sleeps in the poller.
//! - The keeper, the one idle machine that keeps time, waits in the poller ([`keeper`](super::keeper)).
//! - The monitor polls if nobody has done so for 10 ms: all processors are busy with goroutines that queue one another.
//!
//! So while anybody waits for a descriptor, either somebody sleeps in the poller, or some machine is not idle and will look,
//! or the monitor does. A machine that goes idle makes its processor idle, has a full barrier, and then counts the waiters
//! ([`search`](super::search) has the same argument for queues); a goroutine that begins to wait is counted by the machine
//! that then looks for work. Only a waiter whose thread has no processor must see to it that somebody looks
//! ([`announce_waiter`]).
//!
//! A keeper that comes back with a goroutine does not call another machine to take its place: in a quiet server that would
//! cost more than all the rest, and the goroutine mostly waits again in some microseconds, and then the same machine polls
//! again. If it does not, the monitor notices, and has another machine woken.

use std::ptr::NonNull;
use std::time::Duration;

use super::{Queued, Runtime, runtime};
use crate::env::Moment;
use crate::g::G;
use crate::m::M;
use crate::netpoll::Wait;
use crate::netpoll::record::{Ready, Who};
use crate::p::P;
use crate::sys::atomic::{Ordering, fence};

/// After this long without a look the monitor looks: Go's number.
const POLL_PERIOD: Duration = Duration::from_millis(10);

/// The runtime has been started: somebody polls for those who wait.
pub(crate) fn is_running() -> bool {
    runtime().is_some()
}

/// The poller was just opened: the keeper has to sleep in it from now on.
pub(crate) fn poller_opened() {
    if let Some(rt) = runtime() {
        rt.keeper.look_again();
    }
}

/// The caller has begun to wait for a descriptor, and is counted.
pub(crate) fn announce_waiter() {
    // A machine with a processor looks for work right after this, and polls.
    if M::current().and_then(M::p).is_none()
        && let Some(rt) = runtime()
    {
        rt.announce_waiter_slow();
    }
}

impl Runtime {
    #[cold]
    fn announce_waiter_slow(&self) {
        // Full barrier: the waiter is counted before we look for a keeper. Pairs with the one after which a machine that
        // goes idle counts the waiters.
        fence(Ordering::SeqCst);
        if self.search.idle() != 0 && !self.keeper.is_there() {
            self.wake_p();
        }
    }

    /// Owner of `p`, which has nothing to do: takes what the poller has. The first is returned.
    pub(super) fn poll(&self, p: &'static P) -> Option<NonNull<G>> {
        if self.poller.waiters() == 0 || self.keeper.is_there() {
            return None;
        }
        self.last_poll.store(self.coarse_now.load(Ordering::Relaxed), Ordering::Relaxed);
        let ready = self.poller.poll(Wait::No);
        if ready.len() == 0 {
            return None;
        }
        self.inject(Some(p), ready);
        p.queue.take_next().or_else(|| p.queue.pop())
    }

    /// The monitor looks at the network, if nobody else has for a while.
    pub(crate) fn poll_network(&self, now: Moment) {
        let last = Moment::from_nanos(self.last_poll.load(Ordering::Relaxed));
        if self.poller.waiters() == 0 || self.keeper.is_there() || now.since(last) < POLL_PERIOD {
            return;
        }
        self.last_poll.store(now.as_nanos(), Ordering::Relaxed);
        self.inject(None, self.poller.poll(Wait::No));
        // An idle machine can do it better: it becomes the keeper, if it finds nothing else to do.
        if self.search.idle() != 0 {
            self.wake_p();
        }
    }

    /// Queues the goroutines whose descriptors are ready, and tells the threads. As many goroutines as there are idle
    /// processors go to the global queue, with a machine woken for each; the others into the ring of `p`, which the caller
    /// owns. Without a processor all go to the global queue.
    pub(super) fn inject(&self, p: Option<&'static P>, ready: Ready) {
        let idle = self.search.idle() as usize;
        // The caller runs one of them itself.
        let away = if p.is_some() { idle.min(ready.len().saturating_sub(1)) } else { usize::MAX };
        let mut sent = 0;
        for (waiter, who) in ready {
            match (who, p) {
                (Who::Goroutine(g), p) => {
                    // SAFETY: goroutines are never freed.
                    unsafe { g.as_ref() }.status.transition_to_ready();
                    match p {
                        Some(p) if sent == away => self.put_ring(p, g),
                        _ => {
                            sent += 1;
                            self.push_global(g);
                        }
                    }
                }
                // SAFETY: the waiter is there until this call, which is the one that it waits for.
                (Who::Call(call), _) => unsafe { call(waiter) },
            }
        }
        if sent != 0 {
            self.wake_for(sent.min(idle));
        }
    }

    fn push_global(&self, g: NonNull<G>) {
        let mut shared = self.shared.lock();
        shared.global.push_back(Queued(g));
        self.publish_global(&shared);
    }

    /// Something was queued globally: wakes about as many machines, each with an idle processor.
    fn wake_for(&self, count: usize) {
        // The first as usual: with the submitter's barrier, and counted as searching.
        self.wake_p();
        for _ in 1..count {
            let Some(p) = self.take_idle_p() else { break };
            self.start_m(p, false);
        }
    }
}
