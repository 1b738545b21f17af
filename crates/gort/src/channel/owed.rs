//! What an operation owes once the channel's lock is given back: wake-ups and memory to free.
//!
//! Under the lock nothing is woken and nothing is freed; it is gathered here instead, and the `#[must_use]` type sees
//! to it that nobody forgets.

use std::alloc::{self, Layout};
use std::ptr::NonNull;

use crate::waitq::{Node, WaitQueue, Wakes};

/// Debts of one hold of a channel's lock, paid by [`Owed::pay`] after it.
#[must_use = "waiters sleep for ever and memory leaks if nobody pays"]
pub(crate) struct Owed {
    wakes: Wakes,
    /// One piece of memory, its contents moved out. One hold of the lock retires one piece at most.
    garbage: Option<(NonNull<u8>, Layout)>,
}

impl Owed {
    #[inline]
    pub(crate) const fn new() -> Owed {
        Owed { wakes: Wakes::new(), garbage: None }
    }

    /// A wake-up for a popped waiter, with the verdict that it is to find.
    #[inline]
    pub(crate) fn wake(&mut self, node: NonNull<Node>, ok: bool) {
        // SAFETY: a popped node is alive until it is woken (waitq's invariant 2).
        unsafe { node.as_ref() }.ok.set(ok);
        self.wakes.add(node);
    }

    /// Wake-ups for everybody in `queue`; they are to look again.
    pub(crate) fn wake_all_of(&mut self, queue: &mut WaitQueue) {
        while let Some(node) = queue.pop() {
            self.wake(node, false);
        }
    }

    /// Memory to give back to the allocator.
    ///
    /// # Safety
    /// `memory` came from the global allocator with this layout, and nobody else knows it any more.
    pub(super) unsafe fn free(&mut self, memory: NonNull<u8>, layout: Layout) {
        debug_assert!(self.garbage.is_none(), "one hold of the lock retires one piece of memory");
        self.garbage = Some((memory, layout));
    }

    /// Whether there is nothing to pay.
    pub(crate) fn is_empty(&self) -> bool {
        self.wakes.is_empty() && self.garbage.is_none()
    }

    /// Wakes and frees. No lock of a channel is held.
    #[inline]
    pub(crate) fn pay(self) {
        if let Some((memory, layout)) = self.garbage {
            // SAFETY: `free`'s contract.
            unsafe { alloc::dealloc(memory.as_ptr(), layout) };
        }
        self.wakes.wake_all();
    }
}
