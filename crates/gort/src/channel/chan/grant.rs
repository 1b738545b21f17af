//! Sends of selects: their value is known only after they have been chosen.
//!
//! Such a send waits with a null slot, and is given one of two things. A *reservation* keeps a slot of the buffer free
//! until the value comes or the reservation is given back. A *promise* is made to a receiver that found nothing buffered
//! to take: it shows the select where it wants the value, wakes it, and waits for it ([`meet`]).
//!
//! Knows the channel's steps; knows nothing of how a select decides.
//!
//! Invariant: `reserved` counts the reservations that are neither used nor given back, each of which belongs to one
//! select.

use std::ptr::NonNull;
use std::sync::atomic::Ordering;

use gort_core::ids::WaitReason;
use gort_core::park;

use super::{Chan, ENDED, Guarded, Offer, RECV_WAITING, RESERVED, len_of};
use crate::channel::owed::Owed;
use crate::waitq::Node;

/// What a select that wants to send was given.
pub(in crate::channel) enum Grant {
    /// A slot of the buffer.
    Reserved,
    /// A waiting receiver, popped: it wants the value in its slot.
    Receiver(NonNull<Node>),
    /// The certainty that the send will fail.
    Ended,
    /// Nothing right now.
    Full,
}

impl<T> Chan<T> {
    /// Gives a select that wants to send what it needs.
    ///
    /// # Safety
    /// The lock is held.
    pub(in crate::channel) unsafe fn grant(&self) -> Grant {
        // SAFETY: the lock is held.
        let guarded = unsafe { &mut *self.guarded.get() };
        let state = self.state.load(Ordering::Relaxed);
        if state & ENDED != 0 {
            return Grant::Ended;
        }
        if let Some(receiver) = self.pop(&mut guarded.recvq, RECV_WAITING) {
            return Grant::Receiver(receiver);
        }
        if len_of(state) + guarded.reserved >= self.cap {
            return Grant::Full;
        }
        self.reserve(guarded);
        Grant::Reserved
    }

    /// Sends `*value` into a reserved slot; the reservation is used up. False: the channel has ended meanwhile.
    ///
    /// # Safety
    /// The caller owns a reservation. The value has been moved out if the answer is true, and only then.
    pub(in crate::channel) unsafe fn send_reserved(&self, value: *const T) -> bool {
        self.lock.lock();
        loop {
            let mut owed = Owed::new();
            // SAFETY: the lock is held until it is given back below.
            unsafe {
                let guarded = &mut *self.guarded.get();
                self.drop_reservation(guarded);
                match self.offer(value, &mut owed) {
                    Offer::NeedsBlock => {
                        let guarded = &mut *self.guarded.get();
                        self.reserve(guarded);
                        self.relock_with_block();
                    }
                    Offer::Full => unreachable!("a reservation keeps a slot free"),
                    taken_or_ended => {
                        // A value that went straight to a receiver has left its slot to a waiting sender.
                        self.refill(&mut *self.guarded.get(), &mut owed);
                        self.unlock_and_pay(owed);
                        return matches!(taken_or_ended, Offer::Taken);
                    }
                }
            }
        }
    }

    /// Gives a reserved slot back.
    ///
    /// # Safety
    /// The caller owns a reservation; it is used up.
    pub(in crate::channel) unsafe fn cancel_reserved(&self) {
        let mut owed = Owed::new();
        self.lock.lock();
        // SAFETY: the lock is held until the last line.
        unsafe {
            let guarded = &mut *self.guarded.get();
            self.drop_reservation(guarded);
            self.refill(guarded, &mut owed);
            self.tell_observers(guarded, &mut owed);
            self.unlock_and_pay(owed);
        }
    }

    /// Keeps a slot of the buffer free for a select.
    pub(super) fn reserve(&self, guarded: &mut Guarded<T>) {
        guarded.reserved += 1;
        self.set(RESERVED, true);
    }

    fn drop_reservation(&self, guarded: &mut Guarded<T>) {
        guarded.reserved -= 1;
        if guarded.reserved == 0 {
            self.set(RESERVED, false);
        }
    }
}

/// Waits for the value of a select that was chosen to send. False: it has given up, and the caller looks again.
///
/// The caller's record of where it wants the value is a wait node in no queue; the select finds it in its own node's
/// slot, fills it and wakes it.
///
/// # Safety
/// `sender` was popped by the caller, is a select's, and `out` is the slot for a value of the channel's type. Locks that
/// the caller holds are given back in `commit`.
pub(crate) unsafe fn meet<F: FnOnce()>(
    sender: NonNull<Node>,
    out: *mut (),
    reason: WaitReason,
    commit: F,
) -> bool {
    let record = Node::new(park::current(), out);
    // SAFETY: a popped node is alive until it is woken, which happens in the commit: from then on the record may be
    // used, and this frame stays until it is woken.
    unsafe { sender.as_ref() }.slot.set((&raw const record).cast_mut().cast());
    park::park(reason, || {
        commit();
        // SAFETY: popped by the caller, and not yet woken. It is a select, hence a goroutine or a thread, and no foreign
        // code that a commit must not run.
        unsafe {
            sender.as_ref().ok.set(true);
            Node::wake(sender);
        }
    });
    record.ok.get()
}
