//! Channels that are clocks: `after`, `at`, `tick`, and the channels of timers and tickers.
//!
//! A clock stores no value. It knows the moment of its next tick, and whoever receives computes whether that has come:
//!
//! ```text
//!   when: NEVER            nothing to receive; stopped, or fired once and received
//!   when: in the future    nothing to receive yet; a blocked receiver waits until then, each with its own deadline
//!   when: in the past      one value, `when` itself, ready for whoever comes first
//!   receive                when = NEVER, or the next moment on the period's grid that lies in the future
//! ```
//!
//! So there is no timer in any heap unless somebody waits, a clock that nobody refers to is freed like anything else, a
//! slow receiver finds one tick and not a backlog, and after [`Clock::stop`] or [`Clock::reset`] no value of the old
//! setting can be received: there is none.
//!
//! Knows the clock of the runtime (`Moment`) and the waist; knows neither the scheduler's timers nor callbacks.
//!
//! Invariants:
//! 1. `when` is written under the lock; it is read without it only for a quick "not yet".
//! 2. `waiters` holds whoever waits for a change of the setting; a change wakes all of them, and they look again.
//! 3. `period` changes only together with `when`, under the lock.

use std::cell::UnsafeCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gort_core::claim::Claim;
use gort_core::env::Moment;
use gort_core::ids::WaitReason;
use gort_core::lock::RawSpin;
use gort_core::park;

use super::Receiver;
use super::owed::Owed;
use crate::waitq::{Node, WaitQueue};

/// The moment that is always past: a deadline that means "do not wait".
pub(crate) const AT_ONCE: Moment = Moment::from_nanos(0);

/// A clock whose setting can be changed: what stands behind a timer, a ticker, `after` and `tick`. Clones share it.
#[derive(Clone)]
pub(crate) struct Clock {
    shared: Arc<Shared>,
}

struct Shared {
    lock: RawSpin,
    /// The next tick as `Moment::as_nanos` (invariant 1).
    when: AtomicU64,
    guarded: UnsafeCell<Guarded>,
    /// Whether `len` and `capacity` show a buffer of one value.
    buffered: bool,
}

struct Guarded {
    period: Option<Duration>,
    waiters: WaitQueue,
}

// SAFETY: `guarded` is reached under `lock` only; the rest is atomic or never changes.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Clock {
    /// A clock that ticks at `when` (`None`: it is not set), and then every `period`, if there is one. To the user its
    /// channel has no buffer: `len` and `capacity` are 0, as with Go's timers.
    pub(crate) fn new(when: Option<Moment>, period: Option<Duration>) -> Clock {
        Clock::with(when, period, false)
    }

    /// The same, but the channel shows a buffer of one value, as crossbeam-channel's `after` and `tick` do.
    pub(super) fn buffered(when: Moment, period: Option<Duration>) -> Clock {
        Clock::with(Some(when), period, true)
    }

    fn with(when: Option<Moment>, period: Option<Duration>, buffered: bool) -> Clock {
        let when = AtomicU64::new(when.unwrap_or(Moment::NEVER).as_nanos());
        let guarded = UnsafeCell::new(Guarded { period, waiters: WaitQueue::new() });
        Clock { shared: Arc::new(Shared { lock: RawSpin::new(), when, guarded, buffered }) }
    }

    /// A receiving end. Any number of them may exist; each tick goes to one of them.
    pub(crate) fn receiver(&self) -> Receiver<Instant> {
        Receiver::of_clock(self.clone())
    }

    /// Unsets the clock. True if it was set and its tick has not been received: Go's `Timer.Stop`.
    pub(crate) fn stop(&self) -> bool {
        self.change(Moment::NEVER, None)
    }

    /// Sets the clock anew. True if it was set and its tick has not been received: Go's `Timer.Reset`.
    pub(crate) fn reset(&self, when: Moment, period: Option<Duration>) -> bool {
        self.change(when, period)
    }

    fn change(&self, when: Moment, period: Option<Duration>) -> bool {
        let mut owed = Owed::new();
        let lock = self.lock_word();
        lock.lock();
        // SAFETY: the lock is held.
        let guarded = unsafe { &mut *self.shared.guarded.get() };
        let was_set = self.when() != Moment::NEVER;
        self.shared.when.store(when.as_nanos(), Ordering::Relaxed);
        guarded.period = period;
        owed.wake_all_of(&mut guarded.waiters);
        // SAFETY: taken above.
        unsafe { lock.unlock() };
        owed.pay();
        was_set
    }

    /// Receives a tick, waiting until `deadline` for it. `None`: the deadline came first.
    pub(super) fn recv(&self, deadline: Moment) -> Option<Instant> {
        loop {
            // Without the lock: a clock that is asked too early is asked often.
            if deadline == AT_ONCE && !self.is_due() {
                return None;
            }
            let lock = self.lock_word();
            lock.lock();
            // SAFETY: the lock is held.
            let ticked = unsafe { self.take() };
            let over = ticked.is_none() && deadline != Moment::NEVER && deadline <= Moment::now();
            if ticked.is_some() || over {
                // SAFETY: taken above.
                unsafe { lock.unlock() };
                return ticked.map(Moment::to_instant);
            }
            // SAFETY: the lock is held; this call gives it back.
            unsafe { self.wait(deadline) };
        }
    }

    /// Waits for a change of the setting, the tick or the deadline, whichever comes first.
    ///
    /// # Safety
    /// The lock is held; it is given back.
    unsafe fn wait(&self, deadline: Moment) {
        let claim = Claim::new();
        let node = Node::with_claim(park::current(), &claim, 1, std::ptr::null_mut());
        // SAFETY: the lock is held, and the node is removed below unless it was popped and woken.
        unsafe { self.enqueue(&node) };
        let until = deadline.min(self.when());
        // SAFETY: the lock was taken by the caller.
        park::park_until(WaitReason::ChanReceive, until, &claim, || unsafe { self.lock_word().unlock() });
        if claim.winner() == Claim::TIMED_OUT {
            self.lock_word().lock();
            // SAFETY: the lock is held; this is the queue that the node was in.
            unsafe {
                self.dequeue(&node);
                self.lock_word().unlock();
            }
        }
    }

    // ---- What a select asks of a clock ----

    #[inline]
    pub(super) fn lock_word(&self) -> &RawSpin {
        &self.shared.lock
    }

    /// The moment of the next tick.
    #[inline]
    pub(super) fn when(&self) -> Moment {
        Moment::from_nanos(self.shared.when.load(Ordering::Relaxed))
    }

    /// Whether there is a tick to receive right now.
    #[inline]
    pub(super) fn is_due(&self) -> bool {
        let when = self.when();
        when != Moment::NEVER && when <= Moment::now()
    }

    /// Takes the tick, if there is one, and moves on to the next.
    ///
    /// # Safety
    /// The lock is held.
    pub(super) unsafe fn take(&self) -> Option<Moment> {
        let when = self.when();
        if when == Moment::NEVER {
            return None;
        }
        let now = Moment::now();
        if now < when {
            return None;
        }
        // SAFETY: the lock is held.
        let period = unsafe { &*self.shared.guarded.get() }.period;
        let next = period.map_or(Moment::NEVER, |period| next_on_grid(when, now, period));
        self.shared.when.store(next.as_nanos(), Ordering::Relaxed);
        Some(when)
    }

    /// Queues a waiter that wants to hear of a change of the setting.
    ///
    /// # Safety
    /// The lock is held; the node obeys [`WaitQueue::push`].
    pub(super) unsafe fn enqueue(&self, node: &Node) {
        // SAFETY: the lock is held; the caller keeps the node as `push` demands.
        unsafe { (*self.shared.guarded.get()).waiters.push(node) };
    }

    /// Takes the waiter back, if nobody has popped it.
    ///
    /// # Safety
    /// The lock is held; the node was queued here.
    pub(super) unsafe fn dequeue(&self, node: &Node) -> bool {
        // SAFETY: the lock is held.
        unsafe { (*self.shared.guarded.get()).waiters.remove(node) }
    }

    // ---- What a receiver shows ----

    pub(super) fn len(&self) -> usize {
        usize::from(self.shared.buffered && self.is_due())
    }

    pub(super) fn capacity(&self) -> usize {
        usize::from(self.shared.buffered)
    }

    /// The clock's identity.
    pub(super) fn id(&self) -> *const () {
        Arc::as_ptr(&self.shared).cast()
    }
}

/// The first moment after `now` on the grid that `when` and `period` span: ticks keep their phase, missed ones are
/// dropped.
fn next_on_grid(when: Moment, now: Moment, period: Duration) -> Moment {
    let period_ns = period.as_nanos();
    if period_ns == 0 {
        return now;
    }
    let missed = now.since(when).as_nanos() / period_ns;
    let ahead_ns = period_ns.saturating_mul(missed + 1);
    u64::try_from(ahead_ns).map_or(Moment::NEVER, |ns| when.plus(Duration::from_nanos(ns)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::{RecvTimeoutError, TryRecvError};

    const MS: Duration = Duration::from_millis(1);

    fn at(ns: u64) -> Moment {
        Moment::from_nanos(ns)
    }

    #[test]
    fn ticks_keep_their_phase_and_drop_the_missed() {
        let period = Duration::from_nanos(10);
        assert_eq!(next_on_grid(at(100), at(100), period), at(110));
        assert_eq!(next_on_grid(at(100), at(109), period), at(110));
        assert_eq!(next_on_grid(at(100), at(110), period), at(120));
        assert_eq!(next_on_grid(at(100), at(157), period), at(160));
        assert_eq!(next_on_grid(at(100), at(157), Duration::MAX), Moment::NEVER);
        assert_eq!(next_on_grid(at(100), at(157), Duration::ZERO), at(157));
    }

    #[test]
    fn the_value_is_the_moment_it_was_due() {
        let when = Moment::now().plus(5 * MS);
        let clock = Clock::new(Some(when), None);
        let rx = clock.receiver();
        assert_eq!((rx.len(), rx.capacity()), (0, Some(0)));
        std::thread::sleep(15 * MS);
        assert_eq!((rx.len(), rx.capacity()), (0, Some(0)));
        assert_eq!(rx.recv(), Ok(when.to_instant()));
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
        assert!(!clock.stop(), "the tick was received");
    }

    #[test]
    fn no_stale_tick_after_stop_or_reset() {
        let clock = Clock::new(Some(Moment::now()), None);
        let rx = clock.receiver();
        std::thread::sleep(MS);
        assert!(clock.stop(), "due, but not received");
        assert!(!clock.stop());
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
        assert!(!clock.reset(Moment::after(3600 * 1000 * MS), None));
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
        let soon = Moment::after(2 * MS);
        assert!(clock.reset(soon, None));
        assert_eq!(rx.recv(), Ok(soon.to_instant()));
    }

    #[test]
    fn a_reset_reaches_blocked_receivers() {
        let clock = Clock::new(None, None);
        std::thread::scope(|s| {
            let waiting: Vec<_> = (0..3).map(|_| s.spawn(|| clock.receiver().recv().unwrap())).collect();
            let limited = s.spawn(|| clock.receiver().recv_timeout(5 * MS));
            assert_eq!(limited.join().unwrap(), Err(RecvTimeoutError::Timeout));
            let first = Moment::after(2 * MS);
            clock.reset(first, Some(2 * MS));
            let mut got: Vec<_> = waiting.into_iter().map(|w| w.join().unwrap()).collect();
            got.sort();
            got.dedup();
            assert_eq!(got.len(), 3, "each tick goes to one receiver");
            assert_eq!(got[0], first.to_instant());
            assert!(
                got.iter().all(|t| (*t - first.to_instant()).as_nanos().is_multiple_of((2 * MS).as_nanos()))
            );
        });
    }

    #[test]
    fn a_stop_keeps_a_blocked_receiver_waiting() {
        let stopped_in_time = |time: Duration| {
            let clock = Clock::new(Some(Moment::after(time)), None);
            let rx = clock.receiver();
            std::thread::scope(|s| {
                let waiting = s.spawn(|| rx.recv_timeout(time + 100 * MS));
                std::thread::sleep(5 * MS);
                let stopped = clock.stop();
                let received = waiting.join().unwrap();
                assert!(!stopped || received == Err(RecvTimeoutError::Timeout));
                stopped
            })
        };
        assert!([300, 3000, 30_000].into_iter().any(|ms| stopped_in_time(ms * MS)));
    }
}
