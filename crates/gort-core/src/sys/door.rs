//! The door of the runtime: whether a thread is inside the runtime, where nobody may take its processor away, or outside,
//! in the program's code, where anybody may at any instruction.
//!
//! Two want to know. The thread's own signal handler: it freezes the thread only if it finds it outside. And the monitor,
//! on another thread: it takes the processor of a thread that sleeps in the kernel, and must not do so just when that
//! thread wakes and comes in.
//!
//! ```text
//!   owner                                 taker
//!   1. depth += 1                         1. shut = true
//!   2. (light barrier)                    2. heavy barrier: every other thread passes a full one
//!   3. shut? then wait until it is not    3. depth == 0? then it is outside, and stays there until ..
//!      .. uses its processor ..           4. .. the processor is taken
//!   4. depth -= 1                         5. shut = false
//! ```
//! By the barriers either the taker sees the depth or the owner sees that the door is shut. The owner comes in millions of
//! times a second and the taker seldom, so the owner's barrier only holds the compiler, and the taker's is the kernel's
//! `membarrier`, which makes all threads of the process pass a full one. Without that system call nothing is taken.
//!
//! Invariants:
//! 1. A door's depth is written by the thread that it belongs to, and by nobody else. Its signal handler runs on that
//!    thread, between two instructions, and leaves the depth as it found it.
//! 2. A machine runs goroutines' code at depth 0 and everything else at depth 1 or more; a goroutine that parks is at the
//!    machine's depth, so that depth is the thread's and not the goroutine's, and moves with neither.
//! 3. What the owner does at depth 1 or more happens before what a taker does who has found it outside.
//! 4. Spin locks count as inside: who holds one is neither frozen nor robbed.
//!
//! The per-thread word points to a machine, and a machine begins with its door: so the doors of the calling thread are
//! found without knowing machines.

use std::ptr;

use super::atomic::{AtomicBool, AtomicU32, Ordering};
use super::{membarrier, word};

/// One thread's door.
#[derive(Debug)]
pub(crate) struct Door {
    depth: AtomicU32,
    shut: AtomicBool,
}

impl Door {
    /// A door whose thread is inside.
    pub(crate) fn new() -> Door {
        Door { depth: AtomicU32::new(1), shut: AtomicBool::new(false) }
    }

    /// Own thread: goes inside, once more. What is read of the machine's processor before is not to be relied on.
    #[inline(always)]
    pub(crate) fn enter(&self) {
        self.deepen();
        membarrier::light();
        // Acquire: it may have been shut and opened again: pairs with the Release in `Shut::drop`, so that what the taker has
        // written is seen.
        if self.shut.load(Ordering::Acquire) {
            self.wait_outside();
        }
    }

    /// Own thread: one deeper. Enough to hold a lock; before the processor is looked at the door has to be, too.
    #[inline(always)]
    fn deepen(&self) {
        // Relaxed: invariant 1; the barrier orders it for takers.
        self.depth.store(self.depth.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// Own thread: undoes one `enter`.
    #[inline(always)]
    pub(crate) fn leave(&self) {
        let depth = self.depth.load(Ordering::Relaxed);
        debug_assert_ne!(depth, 0, "a thread leaves the runtime that was outside");
        // Release: pairs with the Acquire in `try_shut` (invariant 3).
        self.depth.store(depth - 1, Ordering::Release);
    }

    /// Whether the thread is outside, at this moment. Certain for its own signal handler, a hint for others.
    #[inline]
    pub(crate) fn is_outside(&self) -> bool {
        self.depth.load(Ordering::Relaxed) == 0
    }

    /// Another thread: shuts the door, if its owner is outside, until the guard is dropped. One taker at a time.
    pub(crate) fn try_shut(&self) -> Option<Shut<'_>> {
        if !membarrier::available() || !self.is_outside() {
            return None;
        }
        // Relaxed: the barrier follows.
        self.shut.store(true, Ordering::Relaxed);
        let shut = Shut(self);
        membarrier::heavy();
        // Acquire: pairs with the Release in `leave` (invariant 3).
        (self.depth.load(Ordering::Acquire) == 0).then_some(shut)
    }

    /// Somebody is about to take the processor: a matter of a few instructions, unless it is descheduled.
    #[cold]
    fn wait_outside(&self) {
        // Acquire: pairs with the Release in `Shut::drop`; what the taker has written is seen.
        while self.shut.load(Ordering::Acquire) {
            super::atomic::spin_hint();
            #[cfg(not(loom))]
            rustix::thread::sched_yield();
        }
    }
}

/// A door that is shut, with its owner outside.
#[derive(Debug)]
#[must_use = "the door opens when this is dropped"]
pub(crate) struct Shut<'a>(&'a Door);

impl Drop for Shut<'_> {
    fn drop(&mut self) {
        // Release: pairs with the Acquire in `wait_outside`.
        self.0.shut.store(false, Ordering::Release);
    }
}

/// The door of the calling thread, if it is a machine.
#[inline(always)]
fn own() -> Option<&'static Door> {
    let word = word::load();
    // SAFETY: null, or the address of a machine, which begins with its door (`m` asserts it) and is never freed.
    unsafe { word.cast::<Door>().as_ref() }
}

/// The calling thread goes inside to hold a lock.
#[inline(always)]
pub(crate) fn enter_to_lock() {
    if let Some(door) = own() {
        door.deepen();
        membarrier::light();
    }
}

/// The calling thread leaves, once.
#[inline(always)]
pub(crate) fn leave() {
    if let Some(door) = own() {
        membarrier::light();
        door.leave();
    }
}

/// The calling thread goes inside.
#[inline(always)]
pub(crate) fn enter() {
    if let Some(door) = own() {
        door.enter();
    }
}

/// The calling thread is inside until the guard is dropped. Not to be kept across a park.
#[inline(always)]
pub(crate) fn inside() -> Inside {
    enter();
    Inside(ptr::null())
}

/// See [`inside`].
#[must_use = "the thread leaves when this is dropped"]
pub(crate) struct Inside(#[expect(dead_code, reason = "makes the guard stay on its thread")] *const ());

impl Drop for Inside {
    #[inline(always)]
    fn drop(&mut self) {
        leave();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Door;

    #[test]
    fn who_is_inside_can_not_be_shut_out() {
        let door = Door::new();
        assert!(!door.is_outside() && door.try_shut().is_none());
        door.enter();
        door.leave();
        assert!(door.try_shut().is_none(), "it was inside twice and left once");
        door.leave();
        assert!(door.is_outside());
    }

    #[test]
    fn a_door_that_is_shut_opens_again() {
        assert!(super::membarrier::register(), "this kernel has membarrier");
        let door = Door::new();
        door.leave();
        drop(door.try_shut().expect("the owner is outside"));
        door.enter();
        assert!(door.try_shut().is_none());
    }
}

#[cfg(all(test, loom))]
mod models {
    use std::sync::Arc;

    use loom::thread;

    use super::Door;
    use crate::sys::atomic::{AtomicBool, Cell, Ordering};
    use crate::sys::{membarrier, model};

    /// A machine's door and its processor, which the owner uses whenever it is inside and still has it.
    struct World {
        door: Door,
        has_p: AtomicBool,
        p: Cell<u32>,
    }

    // SAFETY: loom watches that the cell is handed over properly.
    unsafe impl Send for World {}
    // SAFETY: as above.
    unsafe impl Sync for World {}

    fn world() -> Arc<World> {
        let door = Door::new();
        door.leave();
        Arc::new(World { door, has_p: AtomicBool::new(true), p: Cell::new(0) })
    }

    impl World {
        fn use_p(&self, enter: fn(&Door)) {
            enter(&self.door);
            if self.has_p.load(Ordering::Relaxed) {
                self.p.set(self.p.get() + 1);
            }
            self.door.leave();
        }

        /// True if the processor came to the caller, who then uses it.
        fn take(&self) -> bool {
            let Some(shut) = self.door.try_shut() else { return false };
            self.has_p.store(false, Ordering::Relaxed);
            drop(shut);
            self.p.set(self.p.get() + 10);
            true
        }
    }

    fn owner_against_taker(enter: fn(&Door)) {
        model::check(move || {
            let world = world();
            let taker = thread::spawn({
                let world = world.clone();
                move || world.take()
            });
            world.use_p(enter);
            world.use_p(enter);
            let taken = taker.join().unwrap();
            assert_eq!(taken, !world.has_p.load(Ordering::Relaxed));
            assert!(!taken || world.p.get() >= 10);
        });
    }

    #[test]
    fn loom_owner_and_taker_never_use_a_processor_at_once() {
        owner_against_taker(Door::enter);
    }

    #[test]
    #[should_panic(expected = "Causality violation")]
    fn loom_an_owner_that_does_not_look_at_the_door_is_found() {
        owner_against_taker(Door::deepen);
    }

    #[test]
    #[should_panic(expected = "Causality violation")]
    fn loom_an_owner_without_barrier_is_found() {
        owner_against_taker(|door| {
            door.deepen();
            if door.shut.load(Ordering::Acquire) {
                door.wait_outside();
            }
        });
    }

    #[test]
    #[should_panic(expected = "Causality violation")]
    fn loom_an_owner_that_does_not_see_what_the_taker_wrote_is_found() {
        owner_against_taker(|door| {
            door.deepen();
            membarrier::light();
            if door.shut.load(Ordering::Relaxed) {
                door.wait_outside();
            }
        });
    }
}
