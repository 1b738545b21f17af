//! The mutex: one word, Go's normal and starvation mode. Owns the word's meaning; sleeping is the semaphore room's.
//!
//! ```text
//!   LOCKED     somebody holds the lock, or it has been handed over to a waiter that is about to run
//!   PARKED     somebody sleeps in the lock's queue (changes only under the bucket's lock)
//!   WOKEN      somebody is awake and competes for the lock: unlock need not wake anybody
//!   STARVING   the lock is handed over from owner to waiter; newcomers queue up behind
//! ```
//!
//! In *normal* mode an unlock frees the lock and wakes the first waiter, who competes with whoever comes along. The
//! newcomers have the advantage of running already, and letting them have it is what makes the lock fast: a goroutine
//! may take it many times within its slice. A waiter that loses goes back to the front of the queue; once it has waited
//! for more than a millisecond it switches the lock to *starvation* mode. There an unlock hands the lock to the first
//! waiter directly: LOCKED stays set, so nobody can overtake it. The lock returns to normal mode with a waiter that was
//! the last one or had waited for less than a millisecond.
//!
//! Invariants:
//! 1. While the bucket is unlocked, PARKED is set if and only if the queue is not empty (up to waiters that have timed
//!    out and are on their way to take themselves out).
//! 2. STARVING implies PARKED and LOCKED.
//! 3. PARKED implies LOCKED or WOKEN: somebody will look after the sleepers. A competitor drops WOKEN only in the same
//!    step in which it takes the lock, or sees it taken and goes to sleep.
//! 4. The step that frees or hands over the lock is the last one that touches the word: afterwards the memory may
//!    belong to somebody else. Only the bucket, found by address, is used later.
//!
//! The word has 32 bits because a compare-exchange of a byte takes longer, by a quarter of an uncontended lock and
//! unlock on the x86-64 where it was measured.
//!
//! Ordering: taking is Acquire, freeing is Release; a hand-over is ordered by the wake-up itself. The other
//! transitions only move bits that guard no data, and are Relaxed.

use std::time::{Duration, Instant};

use gort_core::atomic::{AtomicU32, Ordering};
use gort_core::env::Moment;
use gort_core::ids::WaitReason;
use gort_core::park;
use lock_api::GuardSend;

use super::spin::Spinner;
use crate::sema::{self, Key, Place, Wait, Woken};

const LOCKED: u32 = 1;
const PARKED: u32 = 2;
const WOKEN: u32 = 4;
const STARVING: u32 = 8;

/// How long a waiter puts up with being overtaken.
const STARVATION: Duration = Duration::from_millis(1);

/// A mutual exclusion lock: Go's `sync.Mutex` in std's shape, without poisoning.
///
/// It parks the goroutine, not the thread; on a plain OS thread it blocks the thread. It is fair in the way of Go: a
/// running goroutine may overtake a sleeping one, but one that has waited for a millisecond gets the lock next.
/// Locking a mutex that one holds oneself deadlocks.
///
/// Besides `lock` and `try_lock` (which gives an `Option`) there are `try_lock_for` and `try_lock_until`, `lock_arc`
/// with guards that own an `Arc` of the mutex, and [`MutexGuard::map`](lock_api::MutexGuard::map).
///
/// The lock belongs to whoever has the guard, not to a thread, and a goroutine may go on on another thread while it
/// holds one; so guards are `Send`, and any goroutine may unlock, as in Go.
///
/// ```
/// use gort::sync::Mutex;
///
/// let count = Mutex::new(0);
/// std::thread::scope(|s| {
///     for _ in 0..4 {
///         s.spawn(|| *count.lock() += 1);
///     }
/// });
/// assert_eq!(count.into_inner(), 4);
/// ```
pub type Mutex<T> = lock_api::Mutex<RawMutex, T>;

/// The right to use what a [`Mutex`] guards; dropping it unlocks. May yield the goroutine if others starve.
pub type MutexGuard<'a, T> = lock_api::MutexGuard<'a, RawMutex, T>;

/// A [`MutexGuard`] narrowed to a part of the data.
pub type MappedMutexGuard<'a, T> = lock_api::MappedMutexGuard<'a, RawMutex, T>;

/// A [`MutexGuard`] that owns an `Arc` of its mutex instead of borrowing it.
pub type ArcMutexGuard<T> = lock_api::ArcMutexGuard<RawMutex, T>;

/// The lock inside a [`Mutex`], without data. Used through `lock_api`'s traits.
#[derive(Debug)]
pub struct RawMutex {
    state: AtomicU32,
}

// SAFETY: LOCKED is set by one compare-exchange from an unlocked state (Acquire), or handed over by the owner, and
// cleared by the owner alone (Release).
unsafe impl lock_api::RawMutex for RawMutex {
    #[allow(clippy::declare_interior_mutable_const)]
    const INIT: RawMutex = RawMutex { state: AtomicU32::new(0) };

    type Guard = GuardSend;

    #[inline]
    fn lock(&self) -> GuardSend {
        self.acquire(WaitReason::MutexLock, Moment::NEVER);
        GuardSend::new()
    }

    #[inline]
    fn try_lock(&self) -> Option<GuardSend> {
        self.try_acquire().then(GuardSend::new)
    }

    #[inline]
    unsafe fn unlock(&self, _guard: GuardSend) {
        self.release();
    }

    fn is_locked(&self) -> bool {
        self.state.load(Ordering::Relaxed) & LOCKED != 0
    }
}

// SAFETY: as above; the same state machine, left earlier.
unsafe impl lock_api::RawMutexTimed for RawMutex {
    type Duration = Duration;
    type Instant = Instant;

    fn try_lock_for(&self, timeout: Duration) -> Option<GuardSend> {
        self.acquire(WaitReason::MutexLock, Moment::after(timeout)).then(GuardSend::new)
    }

    fn try_lock_until(&self, deadline: Instant) -> Option<GuardSend> {
        self.acquire(WaitReason::MutexLock, Moment::from(deadline)).then(GuardSend::new)
    }
}

// SAFETY: as above; LOCKED stays set while it is handed over.
unsafe impl lock_api::RawMutexFair for RawMutex {
    unsafe fn unlock_fair(&self, _guard: GuardSend) {
        if !self.try_release() {
            self.release_slow(true);
        }
    }
}

impl RawMutex {
    pub(super) const fn new() -> RawMutex {
        <RawMutex as lock_api::RawMutex>::INIT
    }

    /// Takes the lock; false if `deadline` came first.
    #[inline]
    pub(super) fn acquire(&self, reason: WaitReason, deadline: Moment) -> bool {
        // Acquire: pairs with the Release of whoever freed the lock.
        self.state.compare_exchange_weak(0, LOCKED, Ordering::Acquire, Ordering::Relaxed).is_ok()
            || self.acquire_slow(reason, deadline)
    }

    /// Takes the lock if nobody has it, sleepers or not.
    #[inline]
    pub(super) fn try_acquire(&self) -> bool {
        let mut state = self.state.load(Ordering::Relaxed);
        while state & LOCKED == 0 {
            // Acquire: as in `acquire`.
            match self.state.compare_exchange_weak(
                state,
                state | LOCKED,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(now) => state = now,
            }
        }
        false
    }

    /// Gives the lock back. The caller has it.
    #[inline]
    pub(super) fn release(&self) {
        if !self.try_release() {
            self.release_slow(false);
        }
    }

    #[inline]
    fn try_release(&self) -> bool {
        // Release: pairs with the Acquire of whoever takes the lock next.
        self.state.compare_exchange(LOCKED, 0, Ordering::Release, Ordering::Relaxed).is_ok()
    }

    #[cold]
    fn acquire_slow(&self, reason: WaitReason, deadline: Moment) -> bool {
        self.compete(Competitor::default(), reason, deadline)
    }

    fn compete(&self, mut me: Competitor, reason: WaitReason, deadline: Moment) -> bool {
        let mut spinner = Spinner::new();
        loop {
            let state = self.state.load(Ordering::Relaxed);
            if state & LOCKED == 0 {
                // Acquire: as in `acquire`.
                let taken = (state | LOCKED) & !me.flag();
                if self
                    .state
                    .compare_exchange_weak(state, taken, Ordering::Acquire, Ordering::Relaxed)
                    .is_ok()
                {
                    return true;
                }
            } else if state & STARVING == 0 && spinner.spin() {
                self.announce(state, &mut me);
            } else if let Some(taken) = self.sleep(&mut me, reason, deadline) {
                return taken;
            } else {
                spinner = Spinner::new();
            }
        }
    }

    /// While somebody spins, unlock need not wake a sleeper.
    fn announce(&self, state: u32, me: &mut Competitor) {
        if !me.awake && state & (PARKED | WOKEN) == PARKED {
            let woken = state | WOKEN;
            me.awake =
                self.state.compare_exchange(state, woken, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        }
    }

    /// Sleeps until called, if the lock is still taken. `Some` if that settled the matter.
    fn sleep(&self, me: &mut Competitor, reason: WaitReason, deadline: Moment) -> Option<bool> {
        let wait = Wait::new(reason, deadline);
        let since = *me.since.get_or_insert_with(Moment::now);
        let bucket = sema::lock(Key::of(&self.state));
        if !self.transition_to_parked(me) {
            return None;
        }
        let place = if me.queued_before { Place::Front } else { Place::Back };
        me.queued_before = true;
        match bucket.sleep(&wait, place) {
            Woken::Granted => {
                if Moment::now().since(since) < STARVATION {
                    self.state.fetch_and(!STARVING, Ordering::Relaxed);
                }
                Some(true)
            }
            Woken::Called => {
                me.awake = true;
                me.starving |= Moment::now().since(since) > STARVATION;
                None
            }
            Woken::TimedOut(bucket) => {
                if bucket.is_empty() {
                    self.state.fetch_and(!(PARKED | STARVING), Ordering::Relaxed);
                }
                Some(false)
            }
        }
    }

    /// Under the bucket's lock: announces a sleeper, unless the lock has become free.
    fn transition_to_parked(&self, me: &mut Competitor) -> bool {
        let starving = if me.starving { STARVING } else { 0 };
        let parked = self.state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |state| {
            (state & LOCKED != 0).then_some((state | PARKED | starving) & !me.flag())
        });
        me.awake &= parked.is_err();
        parked.is_ok()
    }

    #[cold]
    fn release_slow(&self, fair: bool) {
        let mut state = self.state.load(Ordering::Relaxed);
        debug_assert_ne!(state & LOCKED, 0, "sync: unlock of unlocked mutex");
        while state & PARKED == 0 || (!fair && state & (WOKEN | STARVING) == WOKEN) {
            // Nobody sleeps, or somebody is awake already and will look after those who sleep (invariant 3).
            // Release: as in `try_release`.
            let freed = state & !LOCKED;
            match self.state.compare_exchange_weak(state, freed, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => state = now,
            }
        }
        let mut bucket = sema::lock(Key::of(&self.state));
        let popped = bucket.pop();
        let last = if bucket.is_empty() { PARKED | STARVING } else { 0 };
        let Some(popped) = popped else {
            self.state.fetch_and(!(LOCKED | last), Ordering::Release);
            return;
        };
        // STARVING changes under the bucket's lock, or by the owner, which we are.
        let hand_over = fair || self.state.load(Ordering::Relaxed) & STARVING != 0;
        if hand_over {
            popped.grant();
            self.state.fetch_and(!last, Ordering::Relaxed);
        } else {
            let _ = self.state.fetch_update(Ordering::Release, Ordering::Relaxed, |state| {
                Some((state | WOKEN) & !(LOCKED | last))
            });
        }
        drop(bucket);
        popped.wake();
        if hand_over && park::on_goroutine() && !std::thread::panicking() {
            // The new owner is not running yet and everybody waits for it: let it start at once.
            park::yield_now();
        }
    }
}

/// What a goroutine that competes for the lock knows of itself.
#[derive(Default)]
struct Competitor {
    /// It answers for WOKEN.
    awake: bool,
    /// It has waited for longer than it should.
    starving: bool,
    queued_before: bool,
    since: Option<Moment>,
}

impl Competitor {
    fn flag(&self) -> u32 {
        if self.awake { WOKEN } else { 0 }
    }
}

#[cfg(all(test, loom))]
mod models;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lock_api::RawMutex as _;

    use super::*;

    #[test]
    fn the_word_is_clean_after_contention() {
        let raw = Arc::new(RawMutex::new());
        let threads: Vec<_> = (0..6)
            .map(|i| {
                let raw = raw.clone();
                std::thread::spawn(move || {
                    for round in 0..2000u64 {
                        let deadline = match (round + i) % 3 {
                            0 => Moment::after(Duration::from_micros(round % 50)),
                            _ => Moment::NEVER,
                        };
                        if raw.acquire(WaitReason::MutexLock, deadline) {
                            if round % 64 == 0 {
                                std::thread::yield_now();
                            }
                            raw.release();
                        }
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert!(raw.try_lock().is_some());
        assert_eq!(raw.state.load(Ordering::Relaxed), LOCKED);
        raw.release();
    }

    #[test]
    fn a_fair_unlock_hands_over() {
        let raw = Arc::new(RawMutex::new());
        assert!(raw.try_acquire());
        let other = raw.clone();
        let waiter = std::thread::spawn(move || assert!(other.acquire(WaitReason::MutexLock, Moment::NEVER)));
        while raw.state.load(Ordering::Relaxed) & PARKED == 0 {
            std::thread::yield_now();
        }
        raw.release_slow(true);
        assert!(!raw.try_acquire(), "the waiter has the lock, whether it runs yet or not");
        waiter.join().unwrap();
        assert_eq!(raw.state.load(Ordering::Relaxed), LOCKED);
        raw.release();
    }
}
