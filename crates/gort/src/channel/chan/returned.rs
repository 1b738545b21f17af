//! Values that come back: a receiver that has been handed one and goes away before it looked (the future of a receive, a
//! select's choice that was not completed) gives it back, and it is received before all others.
//!
//! Rare, hence a list of boxes beside the buffer, whose order and size they must not touch. Knows the channel's steps.

use std::alloc::Layout;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};

use super::{Chan, Guarded, RECV_WAITING, RETURNED};
use crate::channel::owed::Owed;

/// A value that was given back.
pub(super) struct Returned<T> {
    next: *mut Returned<T>,
    value: MaybeUninit<T>,
}

impl<T> Chan<T> {
    /// Takes back a value that had been handed to a receiver which no longer wants it. It is received before all others.
    pub(in crate::channel) fn give_back(&self, value: T) {
        let mut returned = Box::new(Returned { next: ptr::null_mut(), value: MaybeUninit::new(value) });
        let mut owed = Owed::new();
        self.lock.lock();
        // SAFETY: the lock is held until the lines that give it back.
        unsafe {
            let guarded = &mut *self.guarded.get();
            if let Some(receiver) = self.pop(&mut guarded.recvq, RECV_WAITING) {
                let slot = receiver.as_ref().slot.get().cast::<T>();
                slot.copy_from_nonoverlapping(returned.value.as_ptr(), 1);
                owed.wake(receiver, true);
                self.unlock_and_pay(owed);
                return;
            }
            returned.next = guarded.returned;
            guarded.returned = Box::into_raw(returned);
            self.set(RETURNED, true);
            self.tell_observers(guarded, &mut owed);
            self.unlock_and_pay(owed);
        }
    }

    /// # Safety
    /// The lock is held, there is a returned value, and `out` may be written.
    pub(super) unsafe fn take_returned(&self, guarded: &mut Guarded<T>, out: *mut T, owed: &mut Owed) {
        let first = NonNull::new(guarded.returned).expect("the bit RETURNED tells the truth");
        // SAFETY: the list owns its boxes, which hold values; this one leaves it.
        unsafe {
            guarded.returned = first.as_ref().next;
            out.copy_from_nonoverlapping(first.as_ref().value.as_ptr(), 1);
            owed.free(first.cast(), Layout::new::<Returned<T>>());
        }
        if guarded.returned.is_null() {
            self.set(RETURNED, false);
        }
    }
}
