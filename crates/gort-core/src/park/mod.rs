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

mod thread;

use std::ptr::NonNull;

use crate::claim::Claim;
use crate::env::Moment;
use crate::ids::WaitReason;

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
const TAG_THREAD: usize = 0b01;
const TAG_EXTERNAL: usize = 0b10;

impl Sleeper {
    fn tagged(ptr: *const (), tag: usize) -> Sleeper {
        debug_assert_eq!(ptr.addr() & TAG_MASK, 0);
        // The pointers come from references, and the tag only adds to them: never null.
        Sleeper(NonNull::new(ptr.cast_mut().map_addr(|addr| addr | tag)).expect("a sleeper is never null"))
    }

    fn tag(self) -> usize {
        self.0.as_ptr().addr() & TAG_MASK
    }

    fn untagged<T>(self) -> *const T {
        self.0.as_ptr().map_addr(|addr| addr & !TAG_MASK).cast_const().cast()
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
    thread::current()
}

/// Parks the caller until somebody calls [`ready`] with its [`Sleeper`].
///
/// `commit` runs once the caller can be resumed safely; see the rules of the [module](self).
#[inline]
pub fn park<F: FnOnce()>(reason: WaitReason, commit: F) {
    let _ = reason;
    thread::park(commit);
}

/// Parks the caller until somebody who has won `claim` calls [`ready`], or until `deadline`: then the deadline wins the
/// claim with [`Claim::TIMED_OUT`]. After the return `claim.winner()` tells which it was.
///
/// With [`Moment::NEVER`] this is [`park`].
#[inline]
pub fn park_until<F: FnOnce()>(reason: WaitReason, deadline: Moment, claim: &Claim, commit: F) {
    let _ = reason;
    thread::park_until(deadline, claim, commit);
}

/// Ends the park of `sleeper`. The caller has the right to (rule 2 of the [module](self)).
#[inline]
pub fn ready(sleeper: Sleeper) {
    match sleeper.tag() {
        TAG_THREAD => thread::ready(sleeper.untagged()),
        _ => thread::ready_external(sleeper.untagged()),
    }
}

/// Lets others run: Go's `Gosched`. On a plain OS thread it yields the thread.
#[inline]
pub fn yield_now() {
    std::thread::yield_now();
}

/// Whether the caller is a goroutine.
#[inline]
pub fn on_goroutine() -> bool {
    false
}
