//! The barrier: a count and the queue of those who have come, under one short lock. Not in Go; std's shape.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::ptr;

use gort_core::ids::WaitReason;
use gort_core::lock::Spin;
use gort_core::park;

use crate::waitq::{Node, WaitQueue, Wakes};

/// A meeting point for a fixed number of goroutines or threads, usable again and again: `std::sync::Barrier`.
///
/// ```
/// use gort::sync::Barrier;
///
/// let barrier = Barrier::new(3);
/// let leaders: usize = std::thread::scope(|s| {
///     let threads: Vec<_> = (0..3).map(|_| s.spawn(|| barrier.wait().is_leader() as usize)).collect();
///     threads.into_iter().map(|t| t.join().unwrap()).sum()
/// });
/// assert_eq!(leaders, 1);
/// ```
pub struct Barrier {
    parties: usize,
    arrived: Spin<Arrived>,
}

struct Arrived {
    count: usize,
    waiters: WaitQueue,
}

/// What [`Barrier::wait`] tells each party.
#[derive(Debug)]
pub struct BarrierWaitResult(bool);

impl BarrierWaitResult {
    /// True for one party of each meeting: the one that came last.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.0
    }
}

impl Barrier {
    /// A barrier for `parties`. With 0 or 1 nobody ever waits.
    pub const fn new(parties: usize) -> Barrier {
        Barrier { parties, arrived: Spin::in_constant(Arrived { count: 0, waiters: WaitQueue::new() }) }
    }

    /// Waits until all parties have come; then the next meeting begins. Parks the goroutine.
    pub fn wait(&self) -> BarrierWaitResult {
        let node = Node::new(park::current(), ptr::null_mut());
        let mut arrived = self.arrived.lock();
        arrived.count += 1;
        if arrived.count < self.parties {
            // SAFETY: the node lives in this frame, which is left after the wake-up.
            unsafe { arrived.waiters.push(&node) };
            park::park(WaitReason::BarrierWait, move || drop(arrived));
            return BarrierWaitResult(false);
        }
        arrived.count = 0;
        let mut wakes = Wakes::new();
        while let Some(waiter) = arrived.waiters.pop() {
            wakes.add(waiter);
        }
        drop(arrived);
        wakes.wake_all();
        BarrierWaitResult(true)
    }
}

// A panic of somebody else never leaves it in a broken state: no code of the user's runs while it changes.
impl UnwindSafe for Barrier {}
impl RefUnwindSafe for Barrier {}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier").field("parties", &self.parties).finish_non_exhaustive()
    }
}
