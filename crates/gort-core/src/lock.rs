//! Short locks of the runtime. They block the *thread*, never a goroutine, and guard a few dozen instructions at a
//! time: nothing is allocated, printed, unwound or parked while one is held.
//!
//! Whoever holds one counts as inside the runtime (`sys::door`): a thread is not frozen, nor its processor taken, between
//! `lock` and `unlock`, which are on the same thread.
//!
//! A spin lock and not a futex lock, because its unlock is a plain store: a locked instruction costs as much as the
//! whole critical section. A waiter that does not get through soon gives the processor away, so that a holder which the
//! operating system has descheduled gets to run.

use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use crate::atomic::{AtomicBool, Ordering};
#[cfg(not(loom))]
use crate::sys::atomic::spin_hint;
use crate::sys::door;
#[cfg(loom)]
use crate::sys::waiters::Waiters;

/// A lock without data, for places where lock and unlock are far apart (a select's, or unlock in a park's commit).
#[derive(Debug)]
pub struct RawSpin(AtomicBool, #[cfg(loom)] Waiters);

impl RawSpin {
    /// An unlocked lock.
    #[cfg(not(loom))]
    pub const fn new() -> RawSpin {
        RawSpin::in_constant()
    }

    /// An unlocked lock.
    #[cfg(loom)]
    pub fn new() -> RawSpin {
        let lock = RawSpin::in_constant();
        lock.0.make();
        lock
    }

    /// As `new`, for constants, too: in a model the word is made at first use.
    const fn in_constant() -> RawSpin {
        RawSpin(
            AtomicBool::new(false),
            #[cfg(loom)]
            Waiters::new(),
        )
    }

    /// Takes the lock.
    #[inline]
    pub fn lock(&self) {
        door::enter_to_lock();
        if !self.try_acquire() {
            self.lock_slow();
        }
    }

    /// Takes the lock if it is free.
    #[inline]
    pub fn try_lock(&self) -> bool {
        door::enter_to_lock();
        let taken = self.try_acquire();
        if !taken {
            door::leave();
        }
        taken
    }

    #[inline(always)]
    fn try_acquire(&self) -> bool {
        // Acquire: pairs with the Release store in `unlock`.
        self.0.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Gives the lock back.
    ///
    /// # Safety
    /// The caller holds the lock (taken by `lock` or `try_lock` and not yet given back), on this thread.
    #[inline]
    pub unsafe fn unlock(&self) {
        // Release: what was written under the lock is seen by whoever takes it next.
        self.0.store(false, Ordering::Release);
        #[cfg(loom)]
        self.1.wake();
        door::leave();
    }

    /// Whether somebody holds the lock right now.
    #[inline]
    pub fn is_locked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// A model's threads do not spin, which would go on for ever in some orders of steps.
    #[cfg(loom)]
    fn lock_slow(&self) {
        while !self.try_acquire() {
            self.1.wait();
        }
    }

    #[cfg(not(loom))]
    #[cold]
    fn lock_slow(&self) {
        let mut round = 0u32;
        loop {
            while self.0.load(Ordering::Relaxed) {
                back_off(round);
                round += 1;
            }
            if self.try_acquire() {
                return;
            }
        }
    }
}

impl Default for RawSpin {
    fn default() -> Self {
        Self::new()
    }
}

/// Waits a little, the more the longer one has waited: pauses, then yields of the thread, then short sleeps (a holder
/// of lower priority must get to run).
#[cfg(not(loom))]
fn back_off(round: u32) {
    const PAUSES: u32 = 64;
    const YIELDS: u32 = 64;
    if round < PAUSES {
        spin_hint();
    } else if round < PAUSES + YIELDS {
        rustix::thread::sched_yield();
    } else {
        let pause = rustix::thread::Timespec { tv_sec: 0, tv_nsec: 50_000 };
        let _ = rustix::thread::nanosleep(&pause);
    }
}

/// A [`RawSpin`] around the data it guards.
#[derive(Debug, Default)]
pub struct Spin<T> {
    raw: RawSpin,
    data: UnsafeCell<T>,
}

// SAFETY: the lock lets one thread at a time reach the data, which may move between threads.
unsafe impl<T: Send> Send for Spin<T> {}
// SAFETY: as above: a shared `Spin` gives out the data to one thread at a time only.
unsafe impl<T: Send> Sync for Spin<T> {}

impl<T> Spin<T> {
    /// An unlocked lock around `data`.
    #[cfg(not(loom))]
    pub const fn new(data: T) -> Spin<T> {
        Spin::in_constant(data)
    }

    /// An unlocked lock around `data`.
    #[cfg(loom)]
    pub fn new(data: T) -> Spin<T> {
        Spin { raw: RawSpin::new(), data: UnsafeCell::new(data) }
    }

    /// As `new`, for what is made in constants, in models as well (see [`atomic`](crate::atomic)).
    pub const fn in_constant(data: T) -> Spin<T> {
        Spin { raw: RawSpin::in_constant(), data: UnsafeCell::new(data) }
    }

    /// Takes the lock until the guard is dropped.
    #[inline]
    pub fn lock(&self) -> SpinGuard<'_, T> {
        self.raw.lock();
        SpinGuard { lock: self, bound: PhantomData }
    }

    /// Takes the lock if it is free.
    #[inline]
    pub fn try_lock(&self) -> Option<SpinGuard<'_, T>> {
        self.raw.try_lock().then(|| SpinGuard { lock: self, bound: PhantomData })
    }

    /// The data, without locking: the borrow shows that nobody else has it.
    #[inline]
    pub fn get_mut(&mut self) -> &mut T {
        self.data.get_mut()
    }
}

/// Access to the data of a [`Spin`] while it is locked.
#[derive(Debug)]
#[must_use = "the lock is given back when the guard is dropped"]
pub struct SpinGuard<'a, T> {
    lock: &'a Spin<T>,
    /// Not `Send`: the thread that has taken the lock gives it back.
    bound: PhantomData<*mut ()>,
}

// SAFETY: a shared guard gives out shared references to the data, and nothing else.
unsafe impl<T: Sync> Sync for SpinGuard<'_, T> {}

impl<T> Deref for SpinGuard<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard exists, so this thread holds the lock.
        unsafe { &*self.lock.data.get() }
    }
}

impl<T> DerefMut for SpinGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard exists, so this thread holds the lock; the guard is borrowed mutably.
        unsafe { &mut *self.lock.data.get() }
    }
}

impl<T> Drop for SpinGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the guard was made by taking the lock and is being dropped once.
        unsafe { self.lock.raw.unlock() }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::{RawSpin, Spin, SpinGuard};

    #[test]
    fn the_lock_excludes() {
        const THREADS: u64 = 4;
        const ROUNDS: u64 = 20_000;
        let counts = Arc::new(Spin::new((0u64, 0u64)));
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                let counts = counts.clone();
                thread::spawn(move || {
                    for _ in 0..ROUNDS {
                        let mut counts = counts.lock();
                        counts.0 += 1;
                        assert_eq!(counts.0, counts.1 + 1, "somebody else is in here");
                        counts.1 += 1;
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().expect("no assertion failed"));
        assert_eq!(*counts.lock(), (THREADS * ROUNDS, THREADS * ROUNDS));
    }

    /// Whoever takes the lock gives it back, on the same thread.
    #[test]
    fn guards_stay_on_their_thread() {
        trait Ambiguous<Way> {
            fn found() {}
        }
        struct AlsoSend;
        impl<T> Ambiguous<()> for T {}
        impl<T: Send> Ambiguous<AlsoSend> for T {}
        // Does not compile if both ways are open.
        <SpinGuard<'_, u8> as Ambiguous<_>>::found();
    }

    #[test]
    fn try_lock_fails_while_it_is_held() {
        let lock = Spin::new(1);
        let held = lock.lock();
        assert!(lock.try_lock().is_none());
        drop(held);
        assert_eq!(lock.try_lock().map(|value| *value), Some(1));
    }

    #[test]
    fn lock_and_unlock_may_be_far_apart() {
        let lock = RawSpin::new();
        lock.lock();
        assert!(lock.is_locked() && !lock.try_lock());
        // SAFETY: locked above.
        unsafe { lock.unlock() };
        assert!(!lock.is_locked() && lock.try_lock());
    }
}

#[cfg(all(test, loom))]
mod models {
    use std::sync::Arc;

    use loom::thread;

    use super::{RawSpin, Spin};
    use crate::sys::atomic::Cell;
    use crate::sys::model;

    #[test]
    fn loom_the_lock_excludes() {
        model::check(|| {
            let count = Arc::new(Spin::new(Cell::new(0)));
            let adders = [true, false].map(|patient| {
                let count = count.clone();
                thread::spawn(move || {
                    let guard = if patient { Some(count.lock()) } else { count.try_lock() };
                    guard.map(|count| count.set(count.get() + 1)).is_some()
                })
            });
            {
                let count = count.lock();
                count.set(count.get() + 1);
            }
            let added = adders.map(|adder| adder.join().unwrap());
            assert!(added[0]);
            assert_eq!(count.lock().get(), 2 + i32::from(added[1]));
        });
    }

    /// A lock whose unlock does not release.
    struct Leaky(RawSpin, Cell<i32>);

    // SAFETY: that this is wrong is what the model is to show.
    unsafe impl Send for Leaky {}
    // SAFETY: as above.
    unsafe impl Sync for Leaky {}

    #[test]
    #[should_panic(expected = "Causality violation")]
    fn loom_an_unlock_that_does_not_release_is_found() {
        model::check(|| {
            let shared = Arc::new(Leaky(RawSpin::new(), Cell::new(0)));
            let other = thread::spawn({
                let shared = shared.clone();
                move || {
                    shared.0.lock();
                    shared.1.set(1);
                    shared.0.0.store(false, super::Ordering::Relaxed);
                }
            });
            shared.0.lock();
            shared.1.set(2);
            // SAFETY: locked above.
            unsafe { shared.0.unlock() };
            other.join().unwrap();
        });
    }
}
