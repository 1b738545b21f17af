//! A processor's own run queue: a ring of pointers with one owner and many thieves, and a `next` slot before it.
//!
//! ```text
//!            next            what the running goroutine made ready last: runs next, while its data is warm
//!              │ displaced
//!   head ─► [o o o o . . . . . .] ◄─ tail
//!   taken by the owner (CAS)      written by the owner only
//!   or by thieves (CAS)
//! ```
//! Counters run freely and wrap; `tail - head` items are queued at `index & MASK`.
//!
//! Invariants:
//! 1. `tail` is stored by the owner only, after the slot is written (Release; thieves load it with Acquire before they
//!    read slots).
//! 2. `head` only advances, by CAS; whoever advances it over a slot owns what was there. The CAS releases, and the
//!    owner's load of `head` in `push` acquires, so that a slot is not overwritten while a thief still reads it.
//! 3. `next` is filled by the owner; taken by the owner or a thief, by swap or CAS.

use std::ptr::{self, NonNull};

use crate::sys::atomic::{AtomicPtr, AtomicU32, Ordering};

/// Slots of a processor's ring; Go's number, a compromise between batching and stealing.
#[cfg(not(loom))]
pub(crate) const CAPACITY: usize = 256;
#[cfg(loom)]
pub(crate) const CAPACITY: usize = 4;

const MASK: u32 = CAPACITY as u32 - 1;

/// The queue of one processor.
#[derive(Debug)]
pub(crate) struct LocalQueue<T> {
    next: AtomicPtr<T>,
    tail: AtomicU32,
    head: AtomicU32,
    slots: [AtomicPtr<T>; CAPACITY],
}

impl<T> LocalQueue<T> {
    pub(crate) fn new() -> LocalQueue<T> {
        LocalQueue {
            next: AtomicPtr::new(ptr::null_mut()),
            tail: AtomicU32::new(0),
            head: AtomicU32::new(0),
            slots: std::array::from_fn(|_| AtomicPtr::new(ptr::null_mut())),
        }
    }

    /// Owner: puts `item` into the `next` slot; what was there before must go to the ring.
    #[inline]
    pub(crate) fn set_next(&self, item: NonNull<T>) -> Option<NonNull<T>> {
        // SeqCst: with the idle protocol of `sched`: the item is visible before the count of searchers is read.
        NonNull::new(self.next.swap(item.as_ptr(), Ordering::SeqCst))
    }

    /// Owner: takes what is in the `next` slot.
    #[inline]
    pub(crate) fn take_next(&self) -> Option<NonNull<T>> {
        if self.next.load(Ordering::Relaxed).is_null() {
            return None;
        }
        // Acquire: the item may come back by way of other threads; pairs with the swap in `set_next`. Release: whoever
        // sees the slot empty in `is_empty` also sees the `tail` of what was displaced from it before.
        NonNull::new(self.next.swap(ptr::null_mut(), Ordering::AcqRel))
    }

    /// Anybody: the item in the `next` slot, just to look at.
    pub(crate) fn peek_next(&self) -> *mut T {
        self.next.load(Ordering::Relaxed)
    }

    /// Thief: takes `item` if it is still in the `next` slot.
    pub(crate) fn steal_next(&self, item: *mut T) -> Option<NonNull<T>> {
        // Acquire: pairs with the swap in `set_next`.
        self.next
            .compare_exchange(item, ptr::null_mut(), Ordering::Acquire, Ordering::Relaxed)
            .ok()
            .and_then(NonNull::new)
    }

    /// Owner: appends `item` to the ring. Full: gives it back.
    #[inline]
    pub(crate) fn push(&self, item: NonNull<T>) -> Result<(), NonNull<T>> {
        // Acquire: invariant 2.
        let head = self.head.load(Ordering::Acquire);
        let tail = self.tail.load(Ordering::Relaxed);
        if tail.wrapping_sub(head) >= CAPACITY as u32 {
            return Err(item);
        }
        self.slots[(tail & MASK) as usize].store(item.as_ptr(), Ordering::Relaxed);
        // Release: invariant 1.
        self.tail.store(tail.wrapping_add(1), Ordering::Release);
        Ok(())
    }

    /// Owner: takes the oldest item of the ring.
    #[inline]
    pub(crate) fn pop(&self) -> Option<NonNull<T>> {
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            // The owner wrote `tail` itself.
            if self.tail.load(Ordering::Relaxed) == head {
                return None;
            }
            let item = self.slots[(head & MASK) as usize].load(Ordering::Relaxed);
            // Release: invariant 2. The owner wrote the slot itself, so there is nothing to acquire.
            match self.head.compare_exchange_weak(
                head,
                head.wrapping_add(1),
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return NonNull::new(item),
                Err(seen) => head = seen,
            }
        }
    }

    /// Owner: the item that `pop` would take two calls from now, so that it can be fetched into the cache meanwhile.
    #[inline]
    pub(crate) fn peek_ahead(&self) -> *mut T {
        let at = self.head.load(Ordering::Relaxed).wrapping_add(1);
        if self.tail.load(Ordering::Relaxed).wrapping_sub(at) as i32 <= 0 {
            return ptr::null_mut();
        }
        self.slots[(at & MASK) as usize].load(Ordering::Relaxed)
    }

    /// Owner: takes half of a full ring out, oldest first, into `sink`. Nothing if thieves made room meanwhile.
    #[cold]
    pub(crate) fn take_half(&self, mut sink: impl FnMut(NonNull<T>)) {
        let mut batch = [ptr::null_mut(); CAPACITY / 2];
        // Acquire: invariant 2.
        let head = self.head.load(Ordering::Acquire);
        let tail = self.tail.load(Ordering::Relaxed);
        let count = tail.wrapping_sub(head) / 2;
        if count == 0 {
            return;
        }
        for i in 0..count {
            batch[i as usize] = self.slots[(head.wrapping_add(i) & MASK) as usize].load(Ordering::Relaxed);
        }
        // Release: invariant 2.
        if self
            .head
            .compare_exchange(head, head.wrapping_add(count), Ordering::Release, Ordering::Relaxed)
            .is_ok()
        {
            batch[..count as usize].iter().copied().filter_map(NonNull::new).for_each(&mut sink);
        }
    }

    /// Thief: moves half of this ring (rounded up) to the thief's own, empty ring `to`, and returns one of the items.
    pub(crate) fn steal_half(&self, to: &LocalQueue<T>) -> Option<NonNull<T>> {
        let to_tail = to.tail.load(Ordering::Relaxed);
        loop {
            // Acquire: a consistent pair with `tail`, and invariant 2 for thieves among each other.
            let head = self.head.load(Ordering::Acquire);
            // Acquire: invariant 1.
            let tail = self.tail.load(Ordering::Acquire);
            let queued = tail.wrapping_sub(head);
            let count = queued - queued / 2;
            if count == 0 {
                return None;
            }
            if count > CAPACITY as u32 / 2 {
                continue; // head and tail were read at different times
            }
            for i in 0..count {
                let item = self.slots[(head.wrapping_add(i) & MASK) as usize].load(Ordering::Relaxed);
                to.slots[(to_tail.wrapping_add(i) & MASK) as usize].store(item, Ordering::Relaxed);
            }
            // Release: invariant 2: the slots have been read.
            if self
                .head
                .compare_exchange(head, head.wrapping_add(count), Ordering::AcqRel, Ordering::Relaxed)
                .is_err()
            {
                continue;
            }
            let last = to_tail.wrapping_add(count - 1);
            let item = to.slots[(last & MASK) as usize].load(Ordering::Relaxed);
            if count > 1 {
                // Release: invariant 1, for thieves of the thief.
                to.tail.store(last, Ordering::Release);
            }
            return NonNull::new(item);
        }
    }

    /// How many items the ring holds, the `next` slot not counted; exact only for an owner without thieves.
    pub(crate) fn len(&self) -> usize {
        let head = self.head.load(Ordering::Relaxed);
        self.tail.load(Ordering::Relaxed).wrapping_sub(head).min(CAPACITY as u32) as usize
    }

    /// Whether nothing is queued, at one instant: an item that moves from `next` to the ring meanwhile is not missed.
    pub(crate) fn is_empty(&self) -> bool {
        loop {
            // Acquire thrice: the loads happen in this order, so an unchanged `tail` brackets the look at `next`.
            let tail = self.tail.load(Ordering::Acquire);
            let head = self.head.load(Ordering::Acquire);
            let next = self.next.load(Ordering::Acquire);
            if tail == self.tail.load(Ordering::Relaxed) {
                return head == tail && next.is_null();
            }
        }
    }
}

#[cfg(all(test, loom))]
mod models;
#[cfg(all(test, not(loom)))]
mod tests;
