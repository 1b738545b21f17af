//! `block_on`: a future waited for by plain blocking code.
//!
//! The caller polls the future itself. When the future is not ready the caller parks, and the future's waker ends the
//! park. This room owns that waker; it knows nothing of executors.
//!
//! ```text
//!            arm (then park)
//!   Idle ─────────────────────► Parked
//!    │ ▲                          │
//!    │ │ arm (then poll again)    │ notify (then ready)
//!    │ └────────── Notified       │
//!    │ notify        ▲   ▲        │
//!    └───────────────┘   └── no: Parked goes to Idle, its owner polls again
//! ```
//!
//! Invariants:
//! 1. The state changes under the lock, and the lock is held from `arm`'s decision to park until the park has
//!    committed. So a waker finds either a caller that will look at `Notified` before it parks, or one that is parked.
//! 2. Only the waker that moves the state away from `Parked` calls `ready`, once: one `ready` for each park.
//! 3. Wakers may outlive the call and be woken from anywhere: they own the signal, and a signal whose owner has left
//!    is never `Parked`.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use gort_core::ids::WaitReason;
use gort_core::lock::Spin;
use gort_core::park::{self, Sleeper};

/// Runs `future` to its end and gives its output. Between polls the calling goroutine is parked, not its thread; on a
/// plain OS thread the thread blocks.
///
/// Any future will do whose wakers are called by somebody else: channels' `recv_async`, or a future of some executor
/// that runs on threads of its own. Go has no counterpart.
///
/// ```
/// let answer = gort::block_on(async { 6 * 7 });
/// assert_eq!(answer, 42);
/// ```
///
/// # Panics
/// If the future panics.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let signal = Arc::new(Signal { sleeper: park::current(), state: Spin::new(State::Idle) });
    let waker = Waker::from(Arc::clone(&signal));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = poll_here(future.as_mut(), &mut context) {
            return output;
        }
        signal.wait();
    }
}

/// One poll, on the thread on which the goroutine is now. Never inlined: a future may use thread-locals, and in one function
/// with the park the compiler might take the address of the one before for the one after.
#[inline(never)]
fn poll_here<F: Future>(future: Pin<&mut F>, context: &mut Context<'_>) -> Poll<F::Output> {
    future.poll(context)
}

/// What the wakers of one `block_on` share with it.
struct Signal {
    /// The caller of `block_on`: it is one goroutine (or thread) from the first poll to the last.
    sleeper: Sleeper,
    state: Spin<State>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The future is being polled, or has been; nobody has called since.
    Idle,
    /// Somebody has called since the last poll began.
    Notified,
    /// The caller is parked and wants to be made ready.
    Parked,
}

impl State {
    /// The caller has nothing to do. True: it shall park; false: it was notified meanwhile, and shall poll again.
    #[must_use]
    fn arm(&mut self) -> bool {
        debug_assert_ne!(*self, State::Parked, "a parked caller does not arm");
        let park = *self == State::Idle;
        *self = if park { State::Parked } else { State::Idle };
        park
    }

    /// Something has happened. True: the caller is parked, and whoever called this now owes it a `ready`.
    #[must_use]
    fn notify(&mut self) -> bool {
        let parked = *self == State::Parked;
        *self = if parked { State::Idle } else { State::Notified };
        parked
    }
}

impl Signal {
    /// Parks until somebody has notified since the last call.
    fn wait(&self) {
        let mut state = self.state.lock();
        if state.arm() {
            park::park(WaitReason::Future, || drop(state));
        }
    }

    fn notify(&self) {
        let owed = self.state.lock().notify();
        if owed {
            // SAFETY: the state owes a wake-up to who has armed it and waits, and gives that out once.
            unsafe { park::ready(self.sleeper) };
        }
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Signal>) {
        self.notify();
    }

    fn wake_by_ref(self: &Arc<Signal>) {
        self.notify();
    }
}

#[cfg(test)]
mod tests {
    use super::State;

    /// Every order of up to ten notifications and looks of the caller: after a notification the caller polls at least
    /// once more, a parked caller is owed exactly one `ready`, and no `ready` is owed to one that runs.
    #[test]
    fn no_order_of_events_loses_or_doubles_a_wake_up() {
        for events in 0..1u32 << 10 {
            let mut state = State::Idle;
            let (mut parked, mut unseen) = (false, false);
            for at in 0..10 {
                if events >> at & 1 == 0 {
                    let owed = state.notify();
                    assert_eq!(owed, parked, "events {events:#b} at {at}");
                    // Being woken or not: the caller has something to see at its next poll.
                    unseen = !owed;
                    parked = false;
                } else if !parked {
                    parked = state.arm();
                    assert_eq!(parked, !unseen, "events {events:#b} at {at}");
                    unseen = false;
                }
            }
        }
    }
}
