//! Doing something once: the state machine under `Once`, `OnceLock` and `LazyLock`, and `Once` itself.
//!
//! ```text
//!   NEW ──try_start──► RUNNING ──finish──► DONE
//!    ▲                    │
//!    └────── give_up ─────┘         PARKED (a bit beside these): somebody may sleep
//! ```
//!
//! Invariants:
//! 1. The one who moved NEW to RUNNING, and nobody else, moves it on.
//! 2. PARKED is set under the bucket's lock by whoever is about to sleep, and dropped together with RUNNING; after
//!    that step the bucket is emptied. DONE stands alone, so that the fast path is one comparison.
//!
//! Ordering: DONE is stored with Release and read with Acquire, so whoever sees it sees what was done.

use gort_core::atomic::{AtomicU8, Ordering};
use gort_core::env::Moment;
use gort_core::ids::WaitReason;

use crate::sema::{self, Key, Place, Wait};
use crate::waitq::Wakes;

const NEW: u8 = 0;
const RUNNING: u8 = 1;
const DONE: u8 = 2;
const STATE: u8 = 0b11;
const PARKED: u8 = 0b100;

/// Runs a function once, however many goroutines ask for it: Go's `sync.Once`.
///
/// A call that comes while the function runs waits for its end. As in Go, and unlike std, a function that panics has
/// had its turn: later calls return at once. Calling `call_once` from within the function deadlocks.
///
/// ```
/// use gort::sync::Once;
///
/// static START: Once = Once::new();
/// let mut calls = 0;
/// for _ in 0..3 {
///     START.call_once(|| calls += 1);
/// }
/// assert_eq!(calls, 1);
/// assert!(START.is_completed());
/// ```
#[derive(Debug)]
pub struct Once {
    raw: RawOnce,
}

impl Once {
    /// A once whose function has not run.
    pub const fn new() -> Once {
        Once { raw: RawOnce::new() }
    }

    /// Runs `f` unless some function was run by this method before; waits if one is running. Go's `Once.Do`.
    #[inline]
    pub fn call_once<F: FnOnce()>(&self, f: F) {
        if !self.raw.is_done() {
            self.call_once_slow(f);
        }
    }

    /// Whether the function has run to its end.
    #[inline]
    pub fn is_completed(&self) -> bool {
        self.raw.is_done()
    }

    /// Waits until the function has run to its end, whoever runs it.
    pub fn wait(&self) {
        self.raw.wait_done();
    }

    #[cold]
    fn call_once_slow<F: FnOnce()>(&self, f: F) {
        if let Some(running) = self.raw.start() {
            let _done_even_after_a_panic = FinishOnDrop(running);
            f();
        }
    }
}

impl Default for Once {
    fn default() -> Once {
        Once::new()
    }
}

struct FinishOnDrop<'a>(Running<'a>);

impl Drop for FinishOnDrop<'_> {
    fn drop(&mut self) {
        self.0.transition_to(DONE);
    }
}

/// The state machine.
#[derive(Debug)]
pub(super) struct RawOnce {
    state: AtomicU8,
}

impl RawOnce {
    pub(super) const fn new() -> RawOnce {
        RawOnce { state: AtomicU8::new(NEW) }
    }

    pub(super) const fn new_done() -> RawOnce {
        RawOnce { state: AtomicU8::new(DONE) }
    }

    #[inline]
    pub(super) fn is_done(&self) -> bool {
        // Acquire: pairs with the Release in `transition_to`.
        self.state.load(Ordering::Acquire) == DONE
    }

    /// As new; exclusive access shows that nobody runs or waits.
    pub(super) fn reset(&mut self) {
        self.state = AtomicU8::new(NEW);
    }

    /// Makes the caller the one who does it, or waits until it is done and returns `None`.
    pub(super) fn start(&self) -> Option<Running<'_>> {
        loop {
            // Acquire: as in `is_done`; and what one who gave up has left behind is seen by the next.
            let state = self.state.load(Ordering::Acquire);
            match state & STATE {
                DONE => return None,
                NEW => {
                    let running = state | RUNNING;
                    let order = (Ordering::Acquire, Ordering::Relaxed);
                    if self.state.compare_exchange(state, running, order.0, order.1).is_ok() {
                        return Some(Running(self));
                    }
                }
                _ => self.sleep(|state| state & STATE == RUNNING),
            }
        }
    }

    pub(super) fn wait_done(&self) {
        while !self.is_done() {
            self.sleep(|state| state & STATE != DONE);
        }
    }

    /// Sleeps until the next `finish` or `give_up`, if `still` holds of the state.
    #[cold]
    fn sleep(&self, still: impl Fn(u8) -> bool) {
        let wait = Wait::new(WaitReason::OnceWait, Moment::NEVER);
        let bucket = sema::lock(Key::of(&self.state));
        let parked = self.state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |state| {
            still(state).then_some(state | PARKED)
        });
        if parked.is_ok() {
            bucket.sleep(&wait, Place::Back);
        }
    }
}

/// The right, and the duty, to end what one has started.
#[must_use = "others wait for the end"]
pub(super) struct Running<'a>(&'a RawOnce);

impl Running<'_> {
    pub(super) fn finish(self) {
        self.transition_to(DONE);
    }

    /// It did not work out: let somebody else try.
    pub(super) fn give_up(self) {
        self.transition_to(NEW);
    }

    fn transition_to(&self, state: u8) {
        let key = Key::of(&self.0.state);
        // Release: pairs with the Acquire loads in `is_done` and `start`. After this step the memory may be gone.
        let before = self.0.state.swap(state, Ordering::Release);
        debug_assert_eq!(before & STATE, RUNNING);
        if before & PARKED != 0 {
            wake_all(key);
        }
    }
}

#[cold]
fn wake_all(key: Key) {
    let mut wakes = Wakes::new();
    sema::lock(key).grant_all(&mut wakes);
    wakes.wake_all();
}

#[cfg(all(test, loom))]
mod models;
