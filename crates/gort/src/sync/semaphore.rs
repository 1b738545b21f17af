//! The weighted semaphore: a number and a queue of those who want parts of it, under one short lock.
//!
//! Strictly first come, first served: who asks for much is not overtaken for ever by those who ask for little. So
//! nothing is given out while somebody waits, and a waiter that gives up may let the ones behind it through.

use std::fmt;
use std::mem;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::ptr;
use std::time::Duration;

use gort_core::claim::Claim;
use gort_core::env::Moment;
use gort_core::ids::WaitReason;
use gort_core::lock::Spin;
use gort_core::park;

use crate::waitq::{Node, WaitQueue, Wakes};

/// A weighted semaphore: `golang.org/x/sync/semaphore.Weighted`.
///
/// ```
/// use gort::sync::Semaphore;
///
/// let sem = Semaphore::new(3);
/// sem.acquire(2);
/// assert!(!sem.try_acquire(2));
/// {
///     let _permit = sem.acquire_guard(1);
///     assert_eq!(sem.available(), 0);
/// }
/// sem.release(2);
/// assert_eq!(sem.available(), 3);
/// ```
pub struct Semaphore {
    capacity: usize,
    inner: Spin<Inner>,
}

struct Inner {
    available: usize,
    waiters: WaitQueue,
}

impl Semaphore {
    /// A semaphore of which `capacity` units can be out at a time.
    pub const fn new(capacity: usize) -> Semaphore {
        Semaphore {
            capacity,
            inner: Spin::in_constant(Inner { available: capacity, waiters: WaitQueue::new() }),
        }
    }

    /// Takes `n` units, and waits until it can. Parks the goroutine.
    ///
    /// # Panics
    /// If `n` is more than the capacity: the wait could never end.
    #[track_caller]
    pub fn acquire(&self, n: usize) {
        self.acquire_until(n, Moment::NEVER);
    }

    /// Takes `n` units, and waits for at most `timeout` until it can. True if it got them.
    ///
    /// # Panics
    /// As [`acquire`](Semaphore::acquire).
    #[track_caller]
    pub fn acquire_timeout(&self, n: usize, timeout: Duration) -> bool {
        self.acquire_until(n, Moment::after(timeout))
    }

    /// Takes `n` units if there are as many and nobody waits. Does not wait.
    pub fn try_acquire(&self, n: usize) -> bool {
        self.inner.lock().take(n)
    }

    /// Gives `n` units back, and lets in those who can now have what they wait for, in the order in which they came.
    ///
    /// # Panics
    /// If more is given back than was taken: `semaphore: released more than held`.
    #[track_caller]
    pub fn release(&self, n: usize) {
        let mut wakes = Wakes::new();
        let mut inner = self.inner.lock();
        if n > self.capacity - inner.available {
            drop(inner);
            panic!("semaphore: released more than held");
        }
        inner.available += n;
        inner.serve(&mut wakes);
        drop(inner);
        wakes.wake_all();
    }

    /// [`acquire`](Semaphore::acquire), given back when the guard is dropped.
    ///
    /// # Panics
    /// As [`acquire`](Semaphore::acquire).
    #[track_caller]
    pub fn acquire_guard(&self, n: usize) -> SemaphoreGuard<'_> {
        self.acquire(n);
        SemaphoreGuard { semaphore: self, n }
    }

    /// [`try_acquire`](Semaphore::try_acquire), given back when the guard is dropped.
    pub fn try_acquire_guard(&self, n: usize) -> Option<SemaphoreGuard<'_>> {
        self.try_acquire(n).then(|| SemaphoreGuard { semaphore: self, n })
    }

    /// How many units could be taken right now, were nobody waiting.
    pub fn available(&self) -> usize {
        self.inner.lock().available
    }

    /// How many units there are in all.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    #[track_caller]
    fn acquire_until(&self, n: usize, deadline: Moment) -> bool {
        assert!(n <= self.capacity, "semaphore: acquire of {n} from a capacity of {}", self.capacity);
        self.try_acquire(n) || self.acquire_slow(n, deadline)
    }

    #[cold]
    fn acquire_slow(&self, n: usize, deadline: Moment) -> bool {
        let claim = Claim::new();
        let claimed = if deadline == Moment::NEVER { ptr::null() } else { ptr::from_ref(&claim) };
        const SERVED: usize = 1;
        // The slot carries the number of units that are wanted.
        let node = Node::with_claim(park::current(), claimed, SERVED, ptr::without_provenance_mut(n));
        let mut inner = self.inner.lock();
        if inner.take(n) {
            return true;
        }
        // SAFETY: node and claim live in this frame, which is left after the wake-up, or with the node taken out.
        unsafe { inner.waiters.push(&node) };
        park::park_until(WaitReason::Semacquire, deadline, &claim, move || drop(inner));
        if deadline == Moment::NEVER || claim.winner() != Claim::TIMED_OUT {
            return true;
        }
        let mut wakes = Wakes::new();
        let mut inner = self.inner.lock();
        inner.waiters.remove(&node);
        inner.serve(&mut wakes);
        drop(inner);
        wakes.wake_all();
        false
    }
}

impl Inner {
    fn take(&mut self, n: usize) -> bool {
        let can = self.available >= n && self.waiters.is_empty();
        if can {
            self.available -= n;
        }
        can
    }

    /// Gives to the waiters, in order, until the first that wants more than there is.
    fn serve(&mut self, wakes: &mut Wakes) {
        while let Some(first) = self.waiters.peek() {
            // SAFETY: queued nodes are alive, and we hold the lock.
            let first = unsafe { first.as_ref() };
            let wanted = first.slot.get().addr();
            if wanted > self.available {
                return;
            }
            self.waiters.remove(first);
            // One whose deadline has won goes empty-handed.
            if first.try_claim() {
                self.available -= wanted;
                wakes.add(ptr::NonNull::from(first));
            }
        }
    }
}

// A panic of somebody else never leaves it in a broken state: no code of the user's runs while it changes.
impl UnwindSafe for Semaphore {}
impl RefUnwindSafe for Semaphore {}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("capacity", &self.capacity)
            .field("available", &self.available())
            .finish_non_exhaustive()
    }
}

/// Units of a [`Semaphore`], given back when dropped.
#[derive(Debug)]
#[must_use = "the units are given back when the guard is dropped"]
pub struct SemaphoreGuard<'a> {
    semaphore: &'a Semaphore,
    n: usize,
}

impl SemaphoreGuard<'_> {
    /// How many units the guard stands for.
    pub fn units(&self) -> usize {
        self.n
    }

    /// Keeps the units taken; somebody else will [`release`](Semaphore::release) them.
    pub fn forget(self) {
        mem::forget(self);
    }
}

impl Drop for SemaphoreGuard<'_> {
    fn drop(&mut self) {
        self.semaphore.release(self.n);
    }
}
