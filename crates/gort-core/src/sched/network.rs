//! The scheduler's side of the network poller: who polls, when, and what becomes of those whose descriptors are ready.
//!
//! - A machine that finds nothing in its ring and in the global queue polls without waiting, if anybody waits for a
//!   descriptor and nobody has the watch.
//! - The watch, an idle machine, waits in the poller ([`keeper`](super::keeper)).
//! - The monitor polls if nobody has done so for 10 ms, or 2 ms if no processor is idle: all processors are busy with goroutines that queue one another.
//!
//! So while anybody waits for a descriptor, either somebody has the watch, or some machine is not idle and will look, or the
//! monitor does. A machine that goes idle makes its processor idle, has a full barrier, and then counts the waiters and the
//! idle processors: the last one sees that it is the last ([`search`](super::search) has the same argument for queues). Who
//! gives the watch up has a full barrier, and then takes an idle processor; if there is none some other machine is still to
//! go idle. A processor that is given away to nobody asks the same as a machine that goes idle, and wakes one. A goroutine that
//! begins to wait is counted by the machine that then looks for work. Only a waiter whose thread has no processor must see to
//! it that somebody looks (`announce_waiter`).
//!
//! What is cheap, and what is not: a look costs some tenths of a microsecond, waking a machine ten or more, and so does an
//! event for a machine that sleeps in the poller. Therefore:
//! - While another processor keeps polling between its goroutines, a machine that goes idle does not take the watch: each
//!   event would wake it, just before the other one looked.
//! - If all others are idle there is nobody to steal from: a machine that has only the network to wait for does not search.
//! - Who comes back from the poller leaves nobody there, and runs what was ready one after the other. Whether to wake others
//!   for that is learned (`p::WakePolicy`), by how long the poller remains unattended.

use std::ptr::NonNull;
use std::time::Duration;

use super::{MAX_PROCS, Queued, Runtime, runtime};
use crate::env::{self, Moment};
use crate::g::G;
use crate::netpoll::Wait;
use crate::netpoll::record::{Ready, Who};
use crate::p::P;
use crate::sys::atomic::{AtomicU64, Ordering, fence};

/// After this long without a look the monitor looks: Go's number. Sooner, if all processors are busy, perhaps with goroutines
/// that compute: then nobody else will.
const POLL_PERIOD: Duration = Duration::from_millis(10);
const POLL_PERIOD_BUSY: Duration = Duration::from_millis(2);
/// So many goroutines take long, whatever each of them does.
const MANY: usize = if cfg!(loom) { 1 } else { 32 };
/// A processor that has polled within about 40 us will soon do so again.
const SOON_TICKS: u64 = 100_000;

/// The last looks at the poller.
pub(crate) struct Polls {
    /// When a processor looked, in ticks, with its number in the lower bits ([`MAX_PROCS`]).
    by: AtomicU64,
    /// The monitor's: `by` when it last read it, and until when it knows that somebody has looked.
    seen: AtomicU64,
    last: AtomicU64,
}

impl Polls {
    pub(super) fn new() -> Polls {
        Polls { by: AtomicU64::new(0), seen: AtomicU64::new(0), last: AtomicU64::new(0) }
    }

    pub(super) fn note(&self, p: u32) {
        self.by.store(env::ticks() & !NUMBER | u64::from(p), Ordering::Relaxed);
    }

    /// The monitor: for how long nobody has looked, or more exactly, how long ago it found that somebody had.
    fn idle_for(&self, now: Moment) -> Duration {
        let by = self.by.load(Ordering::Relaxed);
        if self.seen.load(Ordering::Relaxed) != by {
            self.seen.store(by, Ordering::Relaxed);
            self.last.store(now.as_nanos(), Ordering::Relaxed);
        }
        now.since(Moment::from_nanos(self.last.load(Ordering::Relaxed)))
    }

    /// Whether a processor other than `p` polls again and again.
    fn others_go_on(&self, p: u32) -> bool {
        let by = self.by.load(Ordering::Relaxed);
        by & NUMBER != u64::from(p) && env::ticks().saturating_sub(by) < SOON_TICKS
    }
}

const NUMBER: u64 = MAX_PROCS as u64 - 1;
const _: () = assert!(MAX_PROCS.is_power_of_two());

/// The runtime has been started: somebody polls for those who wait.
pub(crate) fn is_running() -> bool {
    runtime().is_some()
}

/// A thread has begun to wait for a descriptor, and is counted. (For a goroutine its machine does this, if it has no
/// processor: after the commit, since that may hold a heap of timers, under which the scheduler's lock is not taken.)
pub(crate) fn announce_waiting_thread() {
    if let Some(rt) = runtime() {
        rt.announce_waiter();
    }
}

/// A thread does not wait for a descriptor any more, and may have been the last that waited for anything.
pub(crate) fn rouse_monitor() {
    if let Some(rt) = runtime() {
        rt.rouse_monitor();
    }
}

impl Runtime {
    /// Somebody without a processor may have begun to wait for a descriptor. (A machine with one looks for work right
    /// after that, and polls.)
    #[cold]
    pub(super) fn announce_waiter(&self) {
        if self.poller.waiters() == 0 {
            return;
        }
        // Full barrier: the waiter is counted before we look for the watch. Pairs with the one after which a machine that
        // goes idle counts the waiters.
        fence(Ordering::SeqCst);
        if self.search.idle() != 0 && !self.keeper.is_watched() {
            self.wake_p();
        }
    }

    /// Owner of `p`, which has nothing to do: takes what the poller has. The first is returned.
    pub(super) fn poll(&self, p: &'static P) -> Option<NonNull<G>> {
        if p.unattended.pending() {
            p.unattended.check();
        }
        if self.poller.waiters() == 0 || self.keeper.is_watched() {
            return None;
        }
        let ready = self.poller.poll(Wait::No);
        self.polls.note(p.id);
        if ready.is_empty() {
            return None;
        }
        self.inject(Some(p), ready);
        p.queue.take_next().or_else(|| p.queue.pop())
    }

    /// The monitor looks at the network, if nobody else has for a while.
    pub(crate) fn poll_network(&self, now: Moment) {
        let idle_for = self.polls.idle_for(now);
        let period = if self.search.idle() == 0 { POLL_PERIOD_BUSY } else { POLL_PERIOD };
        if self.poller.waiters() == 0 || self.keeper.is_watched() || idle_for < period {
            return;
        }
        self.polls.last.store(now.as_nanos(), Ordering::Relaxed);
        self.inject(None, self.poller.poll(Wait::No));
        // An idle machine can do it better: it takes the watch, if it finds nothing else to do.
        if self.search.idle() != 0 {
            self.wake_p();
        }
    }

    /// A machine that goes idle, and had the processor of this number: whether it is to watch the network, if nobody does. The
    /// last one sees that it is the last, since it counts under the lock: nobody would come after it.
    pub(super) fn wants_watch(&self, had: u32) -> bool {
        self.poller.waiters() != 0 && (!self.polls.others_go_on(had) || self.all_ps_idle())
    }

    /// A machine that has found nothing yet: nothing can happen unless the network brings it, or a timer. (Without the lock: it
    /// only decides how long to search.)
    pub(super) fn only_network(&self) -> bool {
        let others_are_idle = || self.search.idle() + 1 >= self.in_service.load(Ordering::Relaxed);
        self.poller.waiters() != 0 && !self.keeper.is_watched() && others_are_idle()
    }

    /// Queues the goroutines whose descriptors are ready, and tells the threads: into the ring of `p`, which the caller
    /// owns, or to the global queue, with machines woken for them, as many as may run at once. All of them go there if the
    /// caller has no processor.
    pub(super) fn inject(&self, p: Option<&'static P>, ready: Ready) {
        if ready.is_empty() {
            return;
        }
        let idle = self.search.idle() as usize;
        let eager = ready.len() > MANY || p.is_none_or(|p| idle != 0 && p.unattended.filled());
        // With a processor, the caller runs one of them itself.
        let away = match p {
            None => usize::MAX,
            Some(_) if eager => idle.min(ready.len() - 1),
            Some(_) => 0,
        };
        let (mut sent, count) = (0, ready.len());
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
        // Only now: whoever finds that nobody waits finds them queued, or awake.
        self.poller.fewer_wait(count);
        if sent != 0 {
            self.wake_for(sent.min(idle));
        } else if eager {
            self.wake_p();
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
