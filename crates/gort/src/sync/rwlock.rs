//! The readers-writer lock: phase-fair, as Go's. Owns one word and a mutex among the writers.
//!
//! ```text
//!   state:    readers (62 bits) | PARKED | WRITER        writers: RawMutex
//!
//!   read      state += 1; WRITER not set: done           else take the 1 back and sleep for the end of the phase
//!   write     writers.lock; set WRITER; sleep until the readers inside have gone
//!   unlock    all sleeping readers += 1 each, WRITER off, in one step; wake them; writers.unlock
//! ```
//!
//! A waiting writer stops new readers; when it leaves, it first lets in every reader that queued up meanwhile, and then
//! the next writer competes. So readers and writers take turns, and neither can starve the other. Reading recursively
//! can deadlock, as in Go: a writer may have announced itself between the two reads.
//!
//! An upgradable reader is one that holds `writers` without having announced itself.
//!
//! Invariants:
//! 1. WRITER is set and cleared only by the holder of `writers`.
//! 2. PARKED changes only under the lock of the readers' bucket, and is set while readers sleep there. It implies
//!    WRITER.
//! 3. While WRITER is set, the count falls to the readers inside plus those that are about to take their 1 back: the
//!    latter do so once per phase, so a writer that sees zero owns the lock, and one that does not will be woken by
//!    whoever makes it zero.
//!
//! Ordering: entering is Acquire on the state, leaving is Release; a phase's sleepers are ordered by their wake-up.

use std::time::{Duration, Instant};

use gort_core::atomic::{AtomicUsize, Ordering};
use gort_core::env::Moment;
use gort_core::ids::WaitReason;
use lock_api::{GuardSend, RawMutex as _};

use super::mutex::RawMutex;
use super::spin::Spinner;
use crate::sema::{self, Key, Place, Wait, Woken};
use crate::waitq::Wakes;

const WRITER: usize = 1;
const PARKED: usize = 2;
const ONE: usize = 4;
/// Set if more guards have been leaked than there can be goroutines.
const TOO_MANY: usize = 1 << (usize::BITS - 1);

/// A lock for one writer or many readers: Go's `sync.RWMutex` in std's shape, without poisoning.
///
/// A waiting writer stops new readers, and a leaving writer lets in those that have queued up before the next writer:
/// neither side starves. Both sides park the goroutine, or block a plain OS thread. Taking a read lock that one holds
/// already can deadlock, if a writer comes in between.
///
/// Besides `read`, `write`, `try_read` and `try_write` (which give an `Option`) there are forms with a timeout
/// (`try_read_for`, `try_write_until`, ..), with guards that own an `Arc` (`read_arc`, ..), upgradable reads, and
/// mapped guards. `is_locked_exclusive` counts a writer that waits for the last readers. Guards are `Send` for the reason
/// given at [`Mutex`](super::Mutex).
///
/// ```
/// use gort::sync::RwLock;
///
/// let lock = RwLock::new(vec![1]);
/// {
///     let (a, b) = (lock.read(), lock.read());
///     assert_eq!(a[0], b[0]);
/// }
/// lock.write().push(2);
/// assert!(lock.try_write().is_some());
/// assert_eq!(lock.into_inner(), [1, 2]);
/// ```
pub type RwLock<T> = lock_api::RwLock<RawRwLock, T>;

/// Shared access to what a [`RwLock`] guards.
pub type RwLockReadGuard<'a, T> = lock_api::RwLockReadGuard<'a, RawRwLock, T>;

/// Exclusive access to what a [`RwLock`] guards.
pub type RwLockWriteGuard<'a, T> = lock_api::RwLockWriteGuard<'a, RawRwLock, T>;

/// Shared access that excludes writers and can become exclusive without letting go.
pub type RwLockUpgradableReadGuard<'a, T> = lock_api::RwLockUpgradableReadGuard<'a, RawRwLock, T>;

/// A [`RwLockReadGuard`] narrowed to a part of the data.
pub type MappedRwLockReadGuard<'a, T> = lock_api::MappedRwLockReadGuard<'a, RawRwLock, T>;

/// A [`RwLockWriteGuard`] narrowed to a part of the data.
pub type MappedRwLockWriteGuard<'a, T> = lock_api::MappedRwLockWriteGuard<'a, RawRwLock, T>;

/// A [`RwLockReadGuard`] that owns an `Arc` of its lock.
pub type ArcRwLockReadGuard<T> = lock_api::ArcRwLockReadGuard<RawRwLock, T>;

/// A [`RwLockWriteGuard`] that owns an `Arc` of its lock.
pub type ArcRwLockWriteGuard<T> = lock_api::ArcRwLockWriteGuard<RawRwLock, T>;

/// The lock inside a [`RwLock`], without data. Used through `lock_api`'s traits.
#[derive(Debug)]
pub struct RawRwLock {
    state: AtomicUsize,
    writers: RawMutex,
}

// SAFETY: a reader is inside only with a count taken while WRITER was not set, or granted by the leaving writer; a
// writer only with WRITER set and no reader inside (invariants 1 and 3). Orderings as in the essay.
unsafe impl lock_api::RawRwLock for RawRwLock {
    #[allow(clippy::declare_interior_mutable_const)]
    const INIT: RawRwLock = RawRwLock { state: AtomicUsize::new(0), writers: RawMutex::new() };

    type SharedGuard = GuardSend;
    type ExclusiveGuard = GuardSend;

    #[inline]
    fn lock_shared(&self) -> GuardSend {
        self.read(Moment::NEVER);
        GuardSend::new()
    }

    #[inline]
    fn try_lock_shared(&self) -> Option<GuardSend> {
        self.try_read().then(GuardSend::new)
    }

    #[inline]
    unsafe fn unlock_shared(&self, _guard: GuardSend) {
        self.leave();
    }

    #[inline]
    fn lock_exclusive(&self) -> GuardSend {
        self.write(Moment::NEVER);
        GuardSend::new()
    }

    #[inline]
    fn try_lock_exclusive(&self) -> Option<GuardSend> {
        if !self.writers.try_acquire() {
            return None;
        }
        if self.try_announce() {
            return Some(GuardSend::new());
        }
        self.writers.release();
        None
    }

    #[inline]
    unsafe fn unlock_exclusive(&self, _guard: GuardSend) {
        self.end_phase(0);
        self.writers.release();
    }

    fn is_locked(&self) -> bool {
        // An upgradable reader is inside without a count.
        self.state.load(Ordering::Relaxed) != 0 || self.writers.is_locked()
    }

    fn is_locked_exclusive(&self) -> bool {
        self.state.load(Ordering::Relaxed) & WRITER != 0
    }
}

// SAFETY: the readers let in include the caller, who held the lock exclusively.
unsafe impl lock_api::RawRwLockDowngrade for RawRwLock {
    unsafe fn downgrade(&self, _guard: GuardSend) -> GuardSend {
        self.end_phase(ONE);
        self.writers.release();
        GuardSend::new()
    }
}

// SAFETY: the same state machine, left earlier.
unsafe impl lock_api::RawRwLockTimed for RawRwLock {
    type Duration = Duration;
    type Instant = Instant;

    fn try_lock_shared_for(&self, timeout: Duration) -> Option<GuardSend> {
        self.read(Moment::after(timeout)).then(GuardSend::new)
    }

    fn try_lock_shared_until(&self, deadline: Instant) -> Option<GuardSend> {
        self.read(Moment::from(deadline)).then(GuardSend::new)
    }

    fn try_lock_exclusive_for(&self, timeout: Duration) -> Option<GuardSend> {
        self.write(Moment::after(timeout)).then(GuardSend::new)
    }

    fn try_lock_exclusive_until(&self, deadline: Instant) -> Option<GuardSend> {
        self.write(Moment::from(deadline)).then(GuardSend::new)
    }
}

// SAFETY: the holder of `writers` excludes writers, hence may read beside the readers inside.
unsafe impl lock_api::RawRwLockUpgrade for RawRwLock {
    type UpgradableGuard = GuardSend;

    fn lock_upgradable(&self) -> GuardSend {
        self.writers.acquire(WaitReason::RwLockRead, Moment::NEVER);
        GuardSend::new()
    }

    fn try_lock_upgradable(&self) -> Option<GuardSend> {
        self.writers.try_acquire().then(GuardSend::new)
    }

    unsafe fn unlock_upgradable(&self, _guard: GuardSend) {
        self.writers.release();
    }

    unsafe fn upgrade(&self, _guard: GuardSend) -> GuardSend {
        self.announce(Moment::NEVER);
        GuardSend::new()
    }

    unsafe fn try_upgrade(&self, guard: GuardSend) -> Result<GuardSend, GuardSend> {
        if self.try_announce() { Ok(guard) } else { Err(guard) }
    }
}

// SAFETY: `writers` is kept or released as the new guard wants it; the caller's count is added before it goes.
unsafe impl lock_api::RawRwLockUpgradeDowngrade for RawRwLock {
    unsafe fn downgrade_upgradable(&self, guard: GuardSend) -> GuardSend {
        // No WRITER is set: only the holder of `writers`, the caller, could.
        self.state.fetch_add(ONE, Ordering::Relaxed);
        self.writers.release();
        guard
    }

    unsafe fn downgrade_to_upgradable(&self, guard: GuardSend) -> GuardSend {
        self.end_phase(0);
        guard
    }
}

impl RawRwLock {
    #[inline]
    fn read(&self, deadline: Moment) -> bool {
        // Acquire: pairs with the Release by which a writer ends its phase.
        let before = self.state.fetch_add(ONE, Ordering::Acquire);
        before & (WRITER | TOO_MANY) == 0 || self.read_slow(before, deadline)
    }

    #[inline]
    fn try_read(&self) -> bool {
        let mut state = self.state.load(Ordering::Relaxed);
        while state & (WRITER | TOO_MANY) == 0 {
            // Acquire: as in `read`.
            match self.state.compare_exchange_weak(state, state + ONE, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => state = now,
            }
        }
        false
    }

    /// A reader has come while a writer holds the lock or waits for it; its count is in the state.
    #[cold]
    fn read_slow(&self, mut before: usize, deadline: Moment) -> bool {
        let wait = Wait::new(WaitReason::RwLockRead, deadline);
        loop {
            self.leave();
            assert!(before & TOO_MANY == 0, "sync: too many readers of a RwLock");
            let bucket = sema::lock(self.readers_key());
            let state = self.state.fetch_or(PARKED, Ordering::Relaxed);
            if state & WRITER != 0 {
                match bucket.sleep(&wait, Place::Back) {
                    Woken::TimedOut(bucket) => {
                        if bucket.is_empty() {
                            self.state.fetch_and(!PARKED, Ordering::Relaxed);
                        }
                        return false;
                    }
                    Woken::Granted | Woken::Called => return true,
                }
            }
            // The phase has ended meanwhile, so nobody sleeps here (invariant 2): take the bit back.
            self.state.fetch_and(!PARKED, Ordering::Relaxed);
            drop(bucket);
            // Acquire: as in `read`.
            before = self.state.fetch_add(ONE, Ordering::Acquire);
            if before & (WRITER | TOO_MANY) == 0 {
                return true;
            }
        }
    }

    /// Takes back one count: a reader leaves, or has not been let in.
    #[inline]
    fn leave(&self) {
        // Release: pairs with the Acquire of the writer that sees the count at zero.
        let before = self.state.fetch_sub(ONE, Ordering::Release);
        if before & WRITER != 0 && before / ONE == 1 {
            self.wake_writer();
        }
    }

    #[cold]
    fn wake_writer(&self) {
        let popped = sema::lock(self.drain_key()).pop();
        if let Some(popped) = popped {
            popped.wake();
        }
    }

    #[inline]
    fn write(&self, deadline: Moment) -> bool {
        if !self.writers.acquire(WaitReason::RwLockWrite, deadline) {
            return false;
        }
        let taken = self.announce(deadline);
        if !taken {
            self.writers.release();
        }
        taken
    }

    /// The holder of `writers` keeps new readers out and waits until those inside have gone. If the deadline comes
    /// first, it lets the readers in again.
    #[inline]
    fn announce(&self, deadline: Moment) -> bool {
        // Acquire: pairs with the Release of the readers that have left (`leave`).
        let before = self.state.fetch_or(WRITER, Ordering::Acquire);
        before / ONE == 0 || self.drain_slow(deadline)
    }

    fn try_announce(&self) -> bool {
        // Acquire: as in `announce`.
        self.state.compare_exchange(0, WRITER, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    #[cold]
    fn drain_slow(&self, deadline: Moment) -> bool {
        let wait = Wait::new(WaitReason::RwLockWrite, deadline);
        let mut spinner = Spinner::new();
        loop {
            // The loads below are Acquire for the reason given in `announce`.
            if self.state.load(Ordering::Acquire) / ONE == 0 {
                return true;
            }
            if spinner.spin() {
                continue;
            }
            let bucket = sema::lock(self.drain_key());
            if self.state.load(Ordering::Acquire) / ONE == 0 {
                return true;
            }
            if let Woken::TimedOut(bucket) = bucket.sleep(&wait, Place::Back) {
                drop(bucket);
                if self.state.load(Ordering::Acquire) / ONE == 0 {
                    return true;
                }
                self.end_phase(0);
                return false;
            }
        }
    }

    /// Lets in all readers that sleep, and `also` (a count for the caller itself), and new ones.
    #[inline]
    fn end_phase(&self, also: usize) {
        let mut state = self.state.load(Ordering::Relaxed);
        while state & PARKED == 0 {
            // Release: pairs with the Acquire of the readers that come in (`read`).
            let open = state - WRITER + also;
            match self.state.compare_exchange_weak(state, open, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => state = now,
            }
        }
        self.end_phase_slow(also);
    }

    #[cold]
    fn end_phase_slow(&self, also: usize) {
        let mut wakes = Wakes::new();
        let mut bucket = sema::lock(self.readers_key());
        let readers = bucket.grant_all(&mut wakes) as usize;
        let parked = self.state.load(Ordering::Relaxed) & PARKED;
        let add = readers * ONE + also;
        // Release: as in `end_phase`. WRITER and PARKED are set, so the subtraction borrows from nobody.
        self.state.fetch_add(add.wrapping_sub(WRITER + parked), Ordering::Release);
        drop(bucket);
        wakes.wake_all();
    }

    fn readers_key(&self) -> Key {
        Key::of(&self.state)
    }

    fn drain_key(&self) -> Key {
        Key::of(&self.state).second()
    }
}

#[cfg(all(test, loom))]
mod models;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn the_word_is_clean_after_contention() {
        let raw = Arc::new(<RawRwLock as lock_api::RawRwLock>::INIT);
        let threads: Vec<_> = (0..6)
            .map(|i| {
                let raw = raw.clone();
                std::thread::spawn(move || {
                    for round in 0..2000u64 {
                        let deadline = match (round + i) % 3 {
                            0 => Moment::after(Duration::from_micros(round % 40)),
                            _ => Moment::NEVER,
                        };
                        if round % 4 == 0 {
                            if raw.write(deadline) {
                                assert_eq!(raw.state.load(Ordering::Relaxed) & WRITER, WRITER);
                                raw.end_phase(0);
                                raw.writers.release();
                            }
                        } else if raw.read(deadline) {
                            raw.leave();
                        }
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(raw.state.load(Ordering::Relaxed), 0);
        assert!(raw.writers.try_acquire());
    }

    #[test]
    fn a_writer_that_gives_up_lets_readers_in() {
        let raw = Arc::new(<RawRwLock as lock_api::RawRwLock>::INIT);
        assert!(raw.read(Moment::NEVER));
        let other = raw.clone();
        let writer = std::thread::spawn(move || other.write(Moment::after(Duration::from_millis(30))));
        while raw.state.load(Ordering::Relaxed) & WRITER == 0 {
            std::thread::yield_now();
        }
        assert!(!raw.try_read(), "a waiting writer stops new readers");
        assert!(raw.read(Moment::NEVER), "until it gives up");
        assert!(!writer.join().unwrap());
        raw.leave();
        raw.leave();
        assert_eq!(raw.state.load(Ordering::Relaxed), 0);
    }
}
