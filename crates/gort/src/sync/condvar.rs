//! The condition variable: Go's notify list. Owns a queue of waiters in the order of their tickets.
//!
//! ```text
//!   wait    push a waiter (its place in the queue is its ticket)
//!           unlock the mutex
//!           notified already? then go on, else park
//!           lock the mutex
//!   notify  pop the first waiter(s), mark them notified; wake those that are parked
//! ```
//!
//! The ticket is taken before the mutex is unlocked. So a notification that comes after the unlock finds the waiter,
//! whether or not it sleeps yet, and goes to the oldest one: a later waiter can not steal it.
//!
//! Invariants, under the queue's short lock:
//! 1. A waiter is popped by the one who notifies it, or removed by itself after its deadline has won its claim.
//! 2. A waiter that is popped before it has parked is marked and not woken: it finds the mark instead of parking.
//!
//! Ordering: the short lock orders everything; a wake-up orders what follows it.

use std::cell::Cell;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::ptr;
use std::time::Duration;

use gort_core::claim::Claim;
use gort_core::env::Moment;
use gort_core::ids::WaitReason;
use gort_core::lock::Spin;
use gort_core::park;

use super::MutexGuard;
use crate::waitq::{Node, WaitQueue, Wakes};

/// A condition variable: Go's `sync.Cond` in std's shape, without poisoning.
///
/// Waiters are served in the order in which they began to wait. There are no spurious wake-ups: a wait ends because of
/// a notification that came after it began, or because of its deadline. (The condition itself may have changed again
/// until the mutex is locked: use [`wait_while`](Condvar::wait_while), or a loop.)
///
/// Waiting parks the goroutine, or blocks a plain OS thread. It may be used with different mutexes, even at a time.
///
/// ```
/// use gort::sync::{Condvar, Mutex};
///
/// let ready = Mutex::new(false);
/// let changed = Condvar::new();
/// std::thread::scope(|s| {
///     s.spawn(|| {
///         *ready.lock() = true;
///         changed.notify_one();
///     });
///     let ready = changed.wait_while(ready.lock(), |ready| !*ready);
///     assert!(*ready);
/// });
/// ```
pub struct Condvar {
    waiters: Spin<WaitQueue>,
}

/// Whether a wait ended by its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// True if the time ran out before a notification came.
    pub fn timed_out(&self) -> bool {
        self.0
    }
}

impl Condvar {
    /// A condition variable nobody waits for.
    pub const fn new() -> Condvar {
        Condvar { waiters: Spin::in_constant(WaitQueue::new()) }
    }

    /// Unlocks the mutex, waits for a notification, and locks the mutex again. Go's `Cond.Wait`.
    pub fn wait<'a, T: ?Sized>(&self, mut guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.wait_until_moment(&mut guard, Moment::NEVER);
        guard
    }

    /// Waits until `condition` is false; it is looked at with the mutex locked, first of all before waiting.
    pub fn wait_while<'a, T: ?Sized, F>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut condition: F,
    ) -> MutexGuard<'a, T>
    where
        F: FnMut(&mut T) -> bool,
    {
        while condition(&mut *guard) {
            self.wait_until_moment(&mut guard, Moment::NEVER);
        }
        guard
    }

    /// [`wait`](Condvar::wait), for at most `timeout`.
    pub fn wait_timeout<'a, T: ?Sized>(
        &self,
        mut guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> (MutexGuard<'a, T>, WaitTimeoutResult) {
        let notified = self.wait_until_moment(&mut guard, Moment::after(timeout));
        (guard, WaitTimeoutResult(!notified))
    }

    /// [`wait_while`](Condvar::wait_while), for at most `timeout`. The result says "timed out" only if the condition
    /// still held at the end.
    pub fn wait_timeout_while<'a, T: ?Sized, F>(
        &self,
        mut guard: MutexGuard<'a, T>,
        timeout: Duration,
        mut condition: F,
    ) -> (MutexGuard<'a, T>, WaitTimeoutResult)
    where
        F: FnMut(&mut T) -> bool,
    {
        let deadline = Moment::after(timeout);
        let mut in_time = true;
        loop {
            if !condition(&mut *guard) {
                return (guard, WaitTimeoutResult(false));
            }
            if !in_time {
                return (guard, WaitTimeoutResult(true));
            }
            in_time = self.wait_until_moment(&mut guard, deadline);
        }
    }

    /// Wakes the goroutine that has waited longest, if any. Go's `Cond.Signal`. The mutex may be locked or not.
    pub fn notify_one(&self) {
        let mut wakes = Wakes::new();
        let mut waiters = self.waiters.lock();
        notify_first(&mut waiters, &mut wakes);
        drop(waiters);
        wakes.wake_all();
    }

    /// Wakes everybody who waits now. Go's `Cond.Broadcast`. The mutex may be locked or not.
    pub fn notify_all(&self) {
        let mut wakes = Wakes::new();
        let mut waiters = self.waiters.lock();
        while notify_first(&mut waiters, &mut wakes) {}
        drop(waiters);
        wakes.wake_all();
    }

    /// False if the deadline came first.
    fn wait_until_moment<T: ?Sized>(&self, guard: &mut MutexGuard<'_, T>, deadline: Moment) -> bool {
        let claim = Claim::new();
        let claimed = if deadline == Moment::NEVER { ptr::null() } else { ptr::from_ref(&claim) };
        let waiter = Waiter::new(claimed);
        // The slot leads from the queue's node to the waiter around it.
        waiter.node.slot.set(ptr::from_ref(&waiter).cast_mut().cast());
        // SAFETY: the waiter lives in this frame and is out of the queue when `sleep` returns. Nothing in between
        // unwinds: unlocking and locking a mutex do not panic.
        unsafe { self.waiters.lock().push(&waiter.node) };
        MutexGuard::unlocked(guard, || self.sleep(&waiter, &claim, deadline))
    }

    fn sleep(&self, waiter: &Waiter, claim: &Claim, deadline: Moment) -> bool {
        let waiters = self.waiters.lock();
        if waiter.node.ok.get() {
            return true;
        }
        waiter.parked.set(true);
        park::park_until(WaitReason::CondWait, deadline, claim, move || drop(waiters));
        if deadline == Moment::NEVER || claim.winner() != Claim::TIMED_OUT {
            return true;
        }
        self.waiters.lock().remove(&waiter.node);
        false
    }
}

/// Pops and marks the first waiter. False if there is none.
fn notify_first(waiters: &mut WaitQueue, wakes: &mut Wakes) -> bool {
    let Some(node) = waiters.pop() else { return false };
    // SAFETY: a popped waiter is alive until woken, or until it has seen its mark under the lock that we hold.
    let waiter = unsafe { &*node.as_ref().slot.get().cast::<Waiter>().cast_const() };
    waiter.node.ok.set(true);
    if waiter.parked.get() {
        wakes.add(node);
    }
    true
}

struct Waiter {
    node: Node,
    /// The owner is parked, or about to be with the queue locked until it is.
    parked: Cell<bool>,
}

impl Waiter {
    fn new(claim: *const Claim) -> Waiter {
        const NOTIFIED: usize = 1;
        Waiter {
            node: Node::with_claim(park::current(), claim, NOTIFIED, ptr::null_mut()),
            parked: Cell::new(false),
        }
    }
}

impl Default for Condvar {
    fn default() -> Condvar {
        Condvar::new()
    }
}

// A panic of somebody else never leaves it in a broken state: no code of the user's runs while it changes.
impl UnwindSafe for Condvar {}
impl RefUnwindSafe for Condvar {}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar").finish_non_exhaustive()
    }
}

#[cfg(all(test, loom))]
mod models;
