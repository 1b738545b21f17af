//! One winner among many: the word by which a waiter that can be woken from several sides is woken exactly once.
//!
//! A goroutine in a select waits on many channels and perhaps for a deadline. Whoever wants to wake it must first win
//! its claim; the losers treat it as if it were not there. Only the winner may call [`ready`](crate::park::ready).
//!
//! ```text
//!   OPEN ──try_win(token)──► token        (once; every later try_win fails)
//! ```

use crate::sys::atomic::{AtomicUsize, Ordering};

/// The claim of one wait. Lives in the waiter's frame, is pointed to by its wait nodes and its alarm.
#[derive(Debug)]
pub struct Claim(AtomicUsize);

impl Claim {
    /// Nobody has won yet.
    pub const OPEN: usize = 0;
    /// The token by which a deadline wins.
    pub const TIMED_OUT: usize = usize::MAX;

    /// An open claim.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Claim {
        Claim(AtomicUsize::new(Self::OPEN))
    }

    /// Tries to win the claim with `token`, which must not be [`Claim::OPEN`]. True for exactly one caller.
    #[inline]
    pub fn try_win(&self, token: usize) -> bool {
        debug_assert_ne!(token, Self::OPEN);
        // Acquire: the winner goes on to write into the waiter's frame, which the waiter set up before it published the
        // node that led here (under a lock, so this is belt and braces). Release: pairs with `winner`'s load.
        self.0.compare_exchange(Self::OPEN, token, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// The winner's token, or [`Claim::OPEN`].
    #[inline]
    pub fn winner(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }
}

#[cfg(all(test, loom))]
mod models {
    use std::sync::Arc;

    use loom::thread;

    use super::Claim;
    use crate::sys::atomic::{Cell, spin_hint};
    use crate::sys::model;

    struct World {
        claim: Claim,
        /// What each claimer leaves for the waiter, who may read the winner's only.
        words: [Cell<usize>; 3],
    }

    // SAFETY: loom watches that the words are handed over properly.
    unsafe impl Send for World {}
    // SAFETY: as above.
    unsafe impl Sync for World {}

    #[test]
    fn loom_one_claimer_wins_and_the_waiter_sees_what_it_wrote() {
        model::check(|| {
            let world =
                Arc::new(World { claim: Claim::new(), words: [Cell::new(0), Cell::new(0), Cell::new(0)] });
            let claimers = [1, 2, 3].map(|token| {
                let world = world.clone();
                thread::spawn(move || {
                    world.words[token - 1].set(10 * token);
                    world.claim.try_win(token)
                })
            });
            let winner = loop {
                match world.claim.winner() {
                    Claim::OPEN => spin_hint(),
                    token => break token,
                }
            };
            assert_eq!(world.words[winner - 1].get(), 10 * winner);
            let won = claimers.map(|claimer| claimer.join().unwrap());
            assert_eq!(won, [1, 2, 3].map(|token| token == winner));
        });
    }
}
