//! The waist: the only door for everything that blocks.
//!
//! ```text
//!   waiter                                   waker
//!   current() -> Sleeper
//!   publish the sleeper under a lock
//!   park(reason, commit)                     take the sleeper out under the lock
//!     ... context is saved ...               ready(sleeper)
//!     commit()   (unlocks)
//!     ... waits ...            <───────────
//!   goes on
//! ```
//!
//! Rules, on which every room above relies:
//! 1. `commit` runs after the goroutine's context has been saved, on its machine's own stack. Locks held across the
//!    decision to park are given back in it. Nobody can resume the goroutine before it has run to its end.
//! 2. Each `park` is answered by exactly one `ready`; whoever calls `ready` owns that right (it took the wait node out
//!    of a queue under the queue's lock, or won the wait's [`Claim`]).
//! 3. A park has no spurious end.
//! 4. Everything works on a plain OS thread too; there it blocks the thread.

pub(crate) mod goroutine;
pub(crate) mod thread;

use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::ptr::{self, NonNull};
use std::sync::atomic::Ordering;
use std::task::Waker;

use crate::claim::Claim;
use crate::env::Moment;
use crate::g::G;
use crate::ids::{GoroutineId, WaitReason};
use crate::m::{Call, M};
use crate::sched::submit;
use crate::sys::door;

pub use thread::External;

/// Who is parked or about to park: a goroutine, an OS thread, or something foreign that wants a call ([`External`]).
///
/// A plain value: it may be copied, stored and sent, and be stale; only rule 2 of the [module](self) gives the right to
/// use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sleeper(NonNull<()>);

// SAFETY: a sleeper is a tagged address of type-stable memory (goroutines and thread parkers are never freed); using
// it is governed by rule 2, on any thread.
unsafe impl Send for Sleeper {}
// SAFETY: as for Send: it has no interior.
unsafe impl Sync for Sleeper {}

const TAG_MASK: usize = 0b11;
const TAG_GOROUTINE: usize = 0;
const TAG_THREAD: usize = 0b01;
const TAG_EXTERNAL: usize = 0b10;

impl Sleeper {
    fn tagged(ptr: *const (), tag: usize) -> Sleeper {
        debug_assert_eq!(ptr.addr() & TAG_MASK, 0);
        // The pointers come from references, and the tag only adds to them: never null.
        Sleeper(NonNull::new(ptr.cast_mut().map_addr(|addr| addr | tag)).expect("a sleeper is never null"))
    }

    fn goroutine(g: &'static G) -> Sleeper {
        Sleeper::tagged(ptr::from_ref(g).cast(), TAG_GOROUTINE)
    }

    fn tag(self) -> usize {
        self.0.as_ptr().addr() & TAG_MASK
    }

    fn untagged<T>(self) -> *const T {
        self.0.as_ptr().map_addr(|addr| addr & !TAG_MASK).cast_const().cast()
    }

    /// Whether it is neither a goroutine nor a thread.
    #[inline]
    pub fn is_external(self) -> bool {
        self.tag() == TAG_EXTERNAL
    }

    /// A sleeper whose wake-up is a call of `external.wake`.
    ///
    /// # Safety
    /// `external` stays valid until its `wake` has been called, or until the caller has made sure that nobody will.
    pub unsafe fn external(external: *const External) -> Sleeper {
        Sleeper::tagged(external.cast(), TAG_EXTERNAL)
    }
}

/// Who is calling: the current goroutine, or else the current OS thread.
#[inline]
pub fn current() -> Sleeper {
    match this() {
        Some((_, g)) => Sleeper::goroutine(g),
        None => thread::current(),
    }
}

/// Parks the caller until somebody calls [`ready`] with its [`Sleeper`].
///
/// `commit` runs once the caller can be resumed safely; see the rules of the [module](self).
#[inline(always)]
pub fn park<F: FnOnce()>(reason: WaitReason, commit: F) {
    match this() {
        Some((m, g)) => goroutine::park(m, g, reason, commit),
        None => thread::park(commit),
    }
}

/// Parks the caller until somebody who has won `claim` calls [`ready`], or until `deadline`: then the deadline wins the
/// claim with [`Claim::TIMED_OUT`]. After the return `claim.winner()` tells which it was.
///
/// With [`Moment::NEVER`] this is [`park`].
#[inline]
pub fn park_until<F: FnOnce()>(reason: WaitReason, deadline: Moment, claim: &Claim, commit: F) {
    match this() {
        Some((m, g)) if deadline == Moment::NEVER => goroutine::park(m, g, reason, commit),
        Some((m, g)) => goroutine::park_until(m, g, reason, deadline, claim, commit),
        None => thread::park_until(deadline, claim, commit),
    }
}

/// Parks the caller until `deadline`.
pub fn sleep_until(deadline: Moment) {
    match this() {
        Some((m, g)) if deadline == Moment::NEVER => goroutine::park(m, g, WaitReason::Sleep, || ()),
        Some((m, g)) => goroutine::sleep_until(m, g, deadline),
        None => thread::park_until(deadline, &Claim::new(), || ()),
    }
}

/// Ends the park of `sleeper`.
///
/// # Safety
/// The caller has the right to (rule 2 of the [module](self)).
#[inline]
pub unsafe fn ready(sleeper: Sleeper) {
    // SAFETY: the caller's promise.
    if let Some(waker) = unsafe { ready_or_waker(sleeper) } {
        call(waker);
    }
}

/// As [`ready`], but leaves it to the caller to [`call`] the waker of a foreign sleeper. For who has to wake several: foreign
/// code may poll or drop any of them.
///
/// # Safety
/// As for [`ready`].
#[inline]
pub unsafe fn ready_or_waker(sleeper: Sleeper) -> Option<Waker> {
    match sleeper.tag() {
        // SAFETY: an untagged sleeper came from `Sleeper::goroutine`; goroutines are never freed.
        TAG_GOROUTINE => submit::ready(unsafe { &*sleeper.untagged::<G>() }),
        TAG_THREAD => thread::ready(sleeper.untagged()),
        _ => return thread::ready_external(sleeper.untagged()),
    }
    None
}

/// Calls a foreign waker. Its panic has been reported by the hook, and is not the misfortune of whoever wakes: others are still
/// to be woken, and a value has perhaps changed places.
#[cold]
pub fn call(waker: Waker) {
    if let Err(payload) = panic::catch_unwind(AssertUnwindSafe(|| waker.wake())) {
        // Its drop might panic again.
        mem::forget(payload);
    }
}

/// As [`ready`], but the goroutine goes behind all others that wait for the caller's processor, instead of before them:
/// for one that will most likely have to wait again until they have run, such as the parent of many that end.
///
/// # Safety
/// As for [`ready`].
#[inline]
pub unsafe fn ready_last(sleeper: Sleeper) {
    match sleeper.tag() {
        // SAFETY: as in `ready_or_waker`.
        TAG_GOROUTINE => submit::ready_last(unsafe { &*sleeper.untagged::<G>() }),
        // SAFETY: the caller's promise.
        _ => unsafe { ready(sleeper) },
    }
}

/// Lets others run: Go's `Gosched`. On a plain OS thread it yields the thread.
#[inline]
pub fn yield_now() {
    match this() {
        Some((m, g)) => goroutine::yield_now(m, g),
        None => std::thread::yield_now(),
    }
}

/// A place where a goroutine that never parks can be asked to let others run: operations that mostly succeed at once, of
/// which a program may well do nothing else in a loop. Yields if the goroutine has had its processor for long and others
/// wait for it; else one load.
#[inline(always)]
pub fn checkpoint() {
    if crate::sched::yield_wanted() {
        checkpoint_slow();
    }
}

#[cold]
fn checkpoint_slow() {
    let Some((m, g)) = this() else { return };
    let asked = {
        let _inside = door::inside();
        match m.p() {
            Some(p) => p.yield_wanted.swap(false, Ordering::Relaxed),
            // It lost its processor while it slept in the kernel; it runs on, but has to queue up for one.
            None => m.call() == Call::Found,
        }
    };
    if asked {
        goroutine::yield_now(m, g);
    }
}

/// The id of the calling goroutine; None on a plain OS thread.
pub fn goroutine_id() -> Option<GoroutineId> {
    this().map(|(_, g)| g.id())
}

/// Whether the caller is a goroutine.
#[inline]
pub fn on_goroutine() -> bool {
    this().is_some()
}

/// The slot for goroutine-locals of the calling goroutine; None on a plain OS thread. The room above that uses it
/// registers its destructor with [`set_locals_end`](crate::spawn::set_locals_end).
pub fn locals_slot() -> Option<NonNull<std::cell::Cell<*mut ()>>> {
    this().map(|(_, g)| NonNull::from(&g.locals))
}

/// The machine that the calling thread is and the goroutine that it runs. Good until the next park.
#[inline(always)]
pub(crate) fn this() -> Option<(&'static M, &'static G)> {
    let m = M::current()?;
    Some((m, m.curg()?))
}
