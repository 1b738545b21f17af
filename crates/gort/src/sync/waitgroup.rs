//! The wait group: a counter, and a bit that says whether somebody sleeps until it is zero.
//!
//! ```text
//!   state:  counter (63 bits, signed) | PARKED
//! ```
//! Whoever brings the counter to zero while PARKED is set empties the bucket and then drops the bit, in one hold of
//! the bucket's lock. So each wait ends with *a* moment at which the counter was zero, and a group may be used again
//! as soon as a wait has returned.
//!
//! Ordering: `done` is Release and the loads of a zero are Acquire, through the chain of read-modify-writes between
//! them: what was done before any `done` is seen after `wait`.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use gort_core::atomic::{AtomicI64, Ordering};
use gort_core::env::Moment;
use gort_core::ids::WaitReason;

use crate::go;
use crate::panic_policy;
use crate::sema::{self, Key, Place, Wait};
use crate::waitq::Wakes;

const PARKED: i64 = 1;
const ONE: i64 = 2;

/// Waits for a number of tasks to be done: Go's `sync.WaitGroup`. Clones are the same group.
///
/// ```
/// use gort::sync::WaitGroup;
///
/// #[gort::main(unsafe(migrate))]
/// fn main() {
///     let wg = WaitGroup::new();
///     for i in 0..3 {
///         wg.go(move || println!("task {i}"));
///     }
///     wg.wait();
/// }
/// ```
///
/// The counter works everywhere, not only on goroutines:
///
/// ```
/// let wg = gort::sync::WaitGroup::new();
/// wg.add(1);
/// let clone = wg.clone();
/// std::thread::spawn(move || clone.done());
/// wg.wait();
/// ```
#[derive(Clone, Default)]
pub struct WaitGroup {
    state: Arc<AtomicI64>,
}

impl WaitGroup {
    /// A group without tasks.
    pub fn new() -> WaitGroup {
        WaitGroup::default()
    }

    /// Adds `delta`, which may be negative, to the counter of tasks. If that makes it zero, all waits end.
    ///
    /// Adding to a counter of zero must happen before the `wait` that is to wait for it: add before starting the
    /// task, not in it.
    ///
    /// # Panics
    /// `sync: negative WaitGroup counter`, and `sync: WaitGroup misuse: Add called concurrently with Wait` if a
    /// counter of zero is added to while those who waited for the zero are still being woken. The counter is then as
    /// it was before the call.
    #[inline]
    #[track_caller]
    pub fn add(&self, delta: isize) {
        let delta = (delta as i64).checked_mul(ONE).expect("sync: WaitGroup counter overflow");
        // Release and Acquire: see the room's essay.
        let before = self.state.fetch_add(delta, Ordering::AcqRel);
        let (count, after) = (before / ONE, before.wrapping_add(delta));
        if after < 0 {
            self.take_back(delta, "sync: negative WaitGroup counter");
        }
        if count == 0 && delta > 0 && before & PARKED != 0 {
            self.take_back(delta, "sync: WaitGroup misuse: Add called concurrently with Wait");
        }
        if after == PARKED {
            self.release_waiters();
        }
    }

    /// One task is done: `add(-1)`.
    ///
    /// # Panics
    /// `sync: negative WaitGroup counter`.
    #[inline]
    #[track_caller]
    pub fn done(&self) {
        self.add(-1);
    }

    /// Waits until the counter is zero. Parks the goroutine.
    #[inline]
    pub fn wait(&self) {
        // Acquire: see the room's essay.
        if self.state.load(Ordering::Acquire) / ONE != 0 {
            self.wait_slow();
        }
    }

    /// Starts a goroutine that runs `f` and is counted until `f` has ended, by returning, by
    /// [`goexit`](crate::goexit), or by a panic. Go's `WaitGroup.Go`.
    ///
    /// Nobody joins the goroutine: a panic of `f` is dealt with as the
    /// [panic policy](crate::runtime::set_panic_policy) says. If that ends the process, it does so before the task
    /// counts as done.
    ///
    /// # Panics
    /// Outside the runtime.
    #[inline(always)]
    #[track_caller]
    pub fn go<F>(&self, f: F)
    where
        F: FnOnce() + Send + 'static,
    {
        self.add(1);
        let task = Task(self.clone());
        go::detached(move || task.run(f));
    }

    /// How many tasks are not done yet.
    pub(super) fn count(&self) -> i64 {
        self.state.load(Ordering::Relaxed) / ONE
    }

    #[cold]
    #[track_caller]
    fn take_back(&self, delta: i64, text: &str) -> ! {
        if self.state.fetch_sub(delta, Ordering::AcqRel).wrapping_sub(delta) == PARKED {
            self.release_waiters();
        }
        panic!("{text}");
    }

    #[cold]
    fn wait_slow(&self) {
        let wait = Wait::new(WaitReason::WaitGroupWait, Moment::NEVER);
        let bucket = sema::lock(self.key());
        // Acquire: see the room's essay.
        let before = self.state.fetch_or(PARKED, Ordering::AcqRel);
        if before / ONE != 0 {
            bucket.sleep(&wait, Place::Back);
        } else if bucket.is_empty() {
            // Zero by now, and nobody else sleeps. (If somebody does, whoever made it zero is on the way.)
            self.state.fetch_and(!PARKED, Ordering::Relaxed);
        }
    }

    #[cold]
    fn release_waiters(&self) {
        let mut wakes = Wakes::new();
        let mut bucket = sema::lock(self.key());
        bucket.grant_all(&mut wakes);
        self.state.fetch_and(!PARKED, Ordering::Relaxed);
        drop(bucket);
        wakes.wake_all();
    }

    fn key(&self) -> Key {
        Key::of(&*self.state)
    }
}

/// A task that is counted. Done when dropped, also if its goroutine could not be started.
struct Task(WaitGroup);

impl Task {
    fn run<F: FnOnce()>(self, f: F) {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(f)) {
            // May end the process, which waiters must not overtake.
            panic_policy::unjoined(payload);
        }
        go::about_to_tell();
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.done();
    }
}

impl fmt::Debug for WaitGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitGroup").field("count", &self.count()).finish()
    }
}

#[cfg(all(test, loom))]
mod models;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adding_to_a_zero_that_is_being_told_panics() {
        let wg = WaitGroup::new();
        // As it is between a last `done` and the moment at which its waiters are taken out of the bucket.
        wg.state.store(PARKED, Ordering::Relaxed);
        let payload = catch_unwind(AssertUnwindSafe(|| wg.add(1))).unwrap_err();
        let text = "sync: WaitGroup misuse: Add called concurrently with Wait";
        assert_eq!(payload.downcast_ref::<String>().map(String::as_str), Some(text));
        assert_eq!(wg.state.load(Ordering::Relaxed), 0);
        wg.wait();
    }
}
