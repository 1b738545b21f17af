//! Sending and receiving: how a value gets from one end to the other.
//!
//! ```text
//!   inlined      room, or a value, and nothing special going on: lock, copy, unlock
//!   outlined     somebody waits: hand over and wake it;  else: wait
//!   special      all the rest: an end, a new block, observers, reservations, senders that refill the buffer
//! ```
//! **What a wait costs.** The processor predicts where a function returns to from the calls it has seen, and a switch of
//! goroutines makes all those predictions wrong, down to the caller's frame. So there is one frame between the user's
//! code and the switch, no more: [`Chan::send_waiting`] and [`Chan::recv_waiting`], into which everything that a wait
//! consists of is inlined, and which are compiled without deadlines. For the same reason a single waiter is woken
//! directly here, and only the special ways keep a list of debts.
//!
//! Knows the channel's steps, and of selects only that one may be chosen to send (`grant`).

use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::sync::atomic::Ordering;

use gort_core::claim::Claim;
use gort_core::env::Moment;
use gort_core::ids::WaitReason;
use gort_core::park;

use super::grant::meet;
use super::{
    Chan, DIVERTS_RECV, DIVERTS_SEND, ENDED, Guarded, ONE_VALUE, QUIET_FOR_RECV, RECV_WAITING, RETURNED,
    SEND_WAITING, Side, len_of,
};
use crate::channel::clock::AT_ONCE;
use crate::channel::owed::Owed;
use crate::waitq::Node;

/// How a send or receive ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::channel) enum Outcome {
    /// The value has changed places.
    Done,
    /// The channel has ended.
    Ended,
    /// It would have had to wait longer than it may.
    TimedOut,
}

/// What became of the offer of a future.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::channel) enum Offered {
    Taken,
    Ended,
    Queued,
}

/// What a look for a value found.
pub(in crate::channel) enum Take {
    /// It is where the caller wanted it.
    Got,
    /// A select was chosen to send; its value is yet to come, see [`meet`].
    Promised(NonNull<Node>),
    /// None is left, and none will come.
    Ended,
    /// None is there right now.
    Empty,
}

/// What a look for a place found.
pub(super) enum Offer {
    Taken,
    Ended,
    Full,
    NeedsBlock,
}

impl<T> Chan<T> {
    /// Sends `*value`, waiting until `deadline` at the longest.
    ///
    /// # Safety
    /// `value` points to a value; it has been moved out if the outcome is `Done`, and only then.
    #[inline]
    pub(in crate::channel) unsafe fn send(&self, value: *const T, deadline: Moment) -> Outcome {
        self.lock.lock();
        let state = self.state.load(Ordering::Relaxed);
        // SAFETY: the lock is held; the borrow ends before it is given back.
        let guarded = unsafe { &mut *self.guarded.get() };
        if state & DIVERTS_SEND == 0 && len_of(state) < self.cap && !guarded.ring.needs_block() {
            // SAFETY: there is room; the value is the caller's to give away. The lock is held.
            unsafe {
                guarded.ring.push(value);
                self.store(state + ONE_VALUE);
                self.lock.unlock();
            }
            return Outcome::Done;
        }
        // SAFETY: the lock is held; the value as promised by the caller.
        unsafe {
            if state & RECV_WAITING != 0 && self.hand_over(value) {
                return Outcome::Done;
            }
            match deadline {
                Moment::NEVER => self.send_waiting(value),
                _ => self.send_waiting_until(value, deadline),
            }
        }
    }

    /// Receives a value, waiting until `deadline` at the longest. `got` and `not` make the result of it, under the lock
    /// even: they only wrap.
    ///
    /// So a buffered value moves straight into the result, which matters if it is large.
    #[inline]
    pub(in crate::channel) fn recv<R>(
        &self,
        deadline: Moment,
        got: impl Fn(T) -> R,
        not: impl FnOnce(Outcome) -> R,
    ) -> R {
        self.lock.lock();
        let state = self.state.load(Ordering::Relaxed);
        if state & DIVERTS_RECV == 0 && state >= ONE_VALUE {
            // SAFETY: the lock is held, and there is a value, which is moved out once. The borrow ends before the lock is
            // given back.
            unsafe {
                let ring = &mut (*self.guarded.get()).ring;
                let result = got(ring.first().read());
                let block_ended = ring.pass_first();
                self.store(state - ONE_VALUE);
                if block_ended {
                    self.unlock_leaving_block();
                } else {
                    self.lock.unlock();
                }
                result
            }
        } else {
            let mut value = MaybeUninit::uninit();
            // SAFETY: the lock is held; `Done` says that the value was written.
            unsafe {
                match self.recv_specially(value.as_mut_ptr(), deadline) {
                    Outcome::Done => got(value.assume_init()),
                    outcome => not(outcome),
                }
            }
        }
    }

    /// # Safety
    /// The lock is held, it is given back; `out` may be written, and holds a value if the outcome is `Done`.
    #[inline]
    unsafe fn recv_specially(&self, out: *mut T, deadline: Moment) -> Outcome {
        let state = self.state.load(Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe {
            if state & !(QUIET_FOR_RECV | ENDED) == SEND_WAITING
                && let Some(outcome) = self.take_over(out)
            {
                return outcome;
            }
            match deadline {
                Moment::NEVER => self.recv_waiting(out),
                _ => self.recv_waiting_until(out, deadline),
            }
        }
    }

    /// Like [`Chan::send`] with a deadline in the past, but a full channel is found without the lock.
    ///
    /// # Safety
    /// As for [`Chan::send`].
    #[inline]
    pub(in crate::channel) unsafe fn try_send(&self, value: *const T) -> Outcome {
        if !self.may_send() {
            return Outcome::TimedOut;
        }
        // SAFETY: the caller's promise.
        unsafe { self.send(value, AT_ONCE) }
    }

    /// Like [`Chan::recv`] with a deadline in the past, but an empty channel is found without the lock.
    #[inline]
    pub(in crate::channel) fn try_recv<R>(&self, got: impl Fn(T) -> R, not: impl FnOnce(Outcome) -> R) -> R {
        let state = self.look();
        if state & !QUIET_FOR_RECV == 0 {
            return not(Outcome::TimedOut);
        }
        if state & !(QUIET_FOR_RECV | ENDED) == 0 {
            return not(Outcome::Ended);
        }
        self.recv(AT_ONCE, got, not)
    }

    // ---- Outlined: entered with the lock held, left without ----

    /// # Safety
    /// The lock is held; else as for [`Chan::send`].
    #[inline(never)]
    unsafe fn send_waiting(&self, value: *const T) -> Outcome {
        // SAFETY: the caller's promise.
        unsafe { self.send_or_wait(value, Moment::NEVER) }
    }

    /// # Safety
    /// The lock is held; else as for [`Chan::send`].
    #[inline(never)]
    unsafe fn send_waiting_until(&self, value: *const T, deadline: Moment) -> Outcome {
        // SAFETY: the caller's promise.
        unsafe { self.send_or_wait(value, deadline) }
    }

    /// # Safety
    /// As for [`Chan::recv_specially`].
    #[inline(never)]
    unsafe fn recv_waiting(&self, out: *mut T) -> Outcome {
        // SAFETY: the caller's promise.
        unsafe { self.recv_or_wait(out, Moment::NEVER) }
    }

    /// # Safety
    /// As for [`Chan::recv_specially`].
    #[inline(never)]
    unsafe fn recv_waiting_until(&self, out: *mut T, deadline: Moment) -> Outcome {
        // SAFETY: the caller's promise.
        unsafe { self.recv_or_wait(out, deadline) }
    }

    /// # Safety
    /// The lock is held; else as for [`Chan::send`].
    #[inline(always)]
    unsafe fn send_or_wait(&self, value: *const T, deadline: Moment) -> Outcome {
        loop {
            // SAFETY: the lock is held at the head of the loop, and each way out gives it back. The value is there.
            unsafe {
                let state = self.state.load(Ordering::Relaxed);
                if state & RECV_WAITING != 0 && self.hand_over(value) {
                    return Outcome::Done;
                }
                if state & ENDED != 0 || len_of(state) + (*self.guarded.get()).reserved < self.cap {
                    match self.send_special(value) {
                        Some(outcome) => return outcome,
                        None => continue,
                    }
                }
                if has_passed(deadline) {
                    self.lock.unlock();
                    return Outcome::TimedOut;
                }
                match self.wait(Side::Send, value.cast_mut(), WaitReason::ChanSend, deadline) {
                    Some(outcome) => return outcome,
                    None => self.lock.lock(),
                }
            }
        }
    }

    /// # Safety
    /// As for [`Chan::recv_specially`].
    #[inline(always)]
    unsafe fn recv_or_wait(&self, out: *mut T, deadline: Moment) -> Outcome {
        loop {
            let state = self.state.load(Ordering::Relaxed);
            // SAFETY: the lock is held at the head of the loop, and each way out gives it back. Nothing is written yet.
            unsafe {
                if state & !QUIET_FOR_RECV != 0 {
                    match self.recv_special(out) {
                        Some(outcome) => return outcome,
                        None => continue,
                    }
                }
                if has_passed(deadline) {
                    self.lock.unlock();
                    return Outcome::TimedOut;
                }
                match self.wait(Side::Recv, out, WaitReason::ChanReceive, deadline) {
                    Some(outcome) => return outcome,
                    None => self.lock.lock(),
                }
            }
        }
    }

    /// Waits in one of the queues. `None`: the caller is to look again.
    ///
    /// # Safety
    /// The lock is held, it is given back.
    #[inline(always)]
    unsafe fn wait(&self, side: Side, slot: *mut T, reason: WaitReason, deadline: Moment) -> Option<Outcome> {
        let (queue, bit) = self.queue(side);
        let claim = Claim::new();
        let claimed = if deadline == Moment::NEVER { ptr::null() } else { &raw const claim };
        let node = Node::with_claim(park::current(), claimed, 1, slot.cast());
        // SAFETY: the lock is held. The node lives in this frame until it was popped and woken, or removed below.
        unsafe { self.enqueue(queue, bit, &node) };
        // SAFETY: the lock is held when the commit runs.
        let unlock = || unsafe { self.lock.unlock() };
        match deadline {
            // Not a matter of course: this one is always inlined.
            Moment::NEVER => park::park(reason, unlock),
            _ => park::park_until(reason, deadline, &claim, unlock),
        }
        if node.ok.get() {
            return Some(Outcome::Done);
        }
        if deadline == Moment::NEVER || claim.winner() != Claim::TIMED_OUT {
            return None;
        }
        self.lock.lock();
        // SAFETY: taken in the line above.
        unsafe {
            self.dequeue(queue, bit, &node);
            self.lock.unlock();
        }
        Some(Outcome::TimedOut)
    }

    /// Hands the value to the first receiver that waits, and wakes it. False: there is none, and the lock is still held.
    ///
    /// # Safety
    /// The lock is held, it is given back with the answer true; the value has been moved out then.
    #[inline(never)]
    unsafe fn hand_over(&self, value: *const T) -> bool {
        // SAFETY: the lock is held. A popped receiver waits until it is woken, and its slot takes a value of this
        // channel's type.
        unsafe {
            let Some(receiver) = self.pop(&mut (*self.guarded.get()).recvq, RECV_WAITING) else {
                return false;
            };
            receiver.as_ref().slot.get().cast::<T>().copy_from_nonoverlapping(value, 1);
            self.part(receiver);
        }
        true
    }

    /// Takes the value of the first sender that waits, and wakes it. `None`: there is none; the lock is still held.
    ///
    /// # Safety
    /// The lock is held, it is given back with an outcome; the buffer is empty, and `out` may be written.
    #[inline(never)]
    unsafe fn take_over(&self, out: *mut T) -> Option<Outcome> {
        // SAFETY: the lock is held. A popped sender waits until it is woken; its slot is null or holds a value.
        unsafe {
            let sender = self.pop(&mut (*self.guarded.get()).sendq, SEND_WAITING)?;
            let slot = sender.as_ref().slot.get().cast::<T>();
            if slot.is_null() {
                return self.await_promised(sender, out);
            }
            out.copy_from_nonoverlapping(slot, 1);
            self.part(sender);
        }
        Some(Outcome::Done)
    }

    /// Gives the lock back and wakes a waiter, whose value has changed places.
    ///
    /// # Safety
    /// The lock is held, and `waiter` was popped.
    #[inline(always)]
    unsafe fn part(&self, waiter: NonNull<Node>) {
        // SAFETY: a popped node is alive until it is woken; the lock is held.
        unsafe {
            waiter.as_ref().ok.set(true);
            self.lock.unlock();
            Node::wake(waiter);
        }
    }

    // ---- The special ways. `None`: the caller is to look again, and still has the lock ----

    /// # Safety
    /// The lock is held; else as for [`Chan::send`].
    #[inline(never)]
    unsafe fn send_special(&self, value: *const T) -> Option<Outcome> {
        let mut owed = Owed::new();
        // SAFETY: the lock is held until it is given back.
        unsafe {
            let outcome = match self.offer(value, &mut owed) {
                Offer::Taken => Outcome::Done,
                Offer::Ended => Outcome::Ended,
                Offer::Full => return self.nothing_owed(owed),
                Offer::NeedsBlock => {
                    self.relock_with_block();
                    return self.nothing_owed(owed);
                }
            };
            self.unlock_and_pay(owed);
            Some(outcome)
        }
    }

    /// # Safety
    /// As for [`Chan::recv_specially`].
    #[inline(never)]
    unsafe fn recv_special(&self, out: *mut T) -> Option<Outcome> {
        let mut owed = Owed::new();
        // SAFETY: the lock is held until it is given back.
        unsafe {
            let outcome = match self.take(out, &mut owed) {
                Take::Got => Outcome::Done,
                Take::Ended => Outcome::Ended,
                Take::Empty => return self.nothing_owed(owed),
                Take::Promised(sender) => {
                    self.nothing_owed::<()>(owed);
                    return self.await_promised(sender, out);
                }
            };
            self.unlock_and_pay(owed);
            Some(outcome)
        }
    }

    /// # Safety
    /// The lock is held; `sender` was popped and is a select's; `out` may be written.
    #[inline(never)]
    unsafe fn await_promised(&self, sender: NonNull<Node>, out: *mut T) -> Option<Outcome> {
        // SAFETY: the caller's promise; the lock is held when the commit runs.
        if unsafe { meet(sender, out.cast(), WaitReason::ChanReceive, || self.lock.unlock()) } {
            return Some(Outcome::Done);
        }
        self.lock.lock();
        None
    }

    /// A step that has found nothing owes nothing, so the lock may be kept.
    #[inline]
    fn nothing_owed<R>(&self, owed: Owed) -> Option<R> {
        debug_assert!(owed.is_empty(), "debts are paid without the lock");
        None
    }

    // ---- Steps, under the lock ----

    /// Tries to find a place for `*value`.
    ///
    /// # Safety
    /// The lock is held. The value has been moved out if the answer is `Taken`, and only then.
    pub(super) unsafe fn offer(&self, value: *const T, owed: &mut Owed) -> Offer {
        // SAFETY: the lock is held.
        let guarded = unsafe { &mut *self.guarded.get() };
        let state = self.state.load(Ordering::Relaxed);
        if state & ENDED != 0 {
            return Offer::Ended;
        }
        if let Some(receiver) = self.pop(&mut guarded.recvq, RECV_WAITING) {
            // SAFETY: a popped receiver waits until it is woken, and its slot takes a value of this channel's type.
            unsafe { receiver.as_ref().slot.get().cast::<T>().copy_from_nonoverlapping(value, 1) };
            owed.wake(receiver, true);
            return Offer::Taken;
        }
        if len_of(state) + guarded.reserved >= self.cap {
            return Offer::Full;
        }
        if guarded.ring.needs_block() && !guarded.ring.reuse_block() {
            return Offer::NeedsBlock;
        }
        // SAFETY: there is room, and the value is the caller's to give away.
        unsafe { guarded.ring.push(value) };
        self.store(self.state.load(Ordering::Relaxed) + ONE_VALUE);
        self.tell_observers(guarded, owed);
        Offer::Taken
    }

    /// Tries to get a value into `*out`.
    ///
    /// # Safety
    /// The lock is held, and `out` may be written.
    pub(in crate::channel) unsafe fn take(&self, out: *mut T, owed: &mut Owed) -> Take {
        // SAFETY: the lock is held.
        let guarded = unsafe { &mut *self.guarded.get() };
        let state = self.state.load(Ordering::Relaxed);
        if state & RETURNED != 0 {
            // SAFETY: the lock is held, and the bit says that there is one (invariant 4).
            unsafe { self.take_returned(guarded, out, owed) };
            return Take::Got;
        }
        if len_of(state) > 0 {
            // SAFETY: there is a value; `out` may be written; a block that the ring gives out is nobody else's.
            unsafe {
                if guarded.ring.pop(out)
                    && let Some(block) = guarded.ring.next_block()
                {
                    let (memory, layout) = block.into_raw();
                    owed.free(memory, layout);
                }
            }
            self.store(state - ONE_VALUE);
            self.refill(guarded, owed);
            self.tell_observers(guarded, owed);
            return Take::Got;
        }
        if let Some(sender) = self.pop(&mut guarded.sendq, SEND_WAITING) {
            // SAFETY: a popped sender waits until it is woken.
            let slot = unsafe { sender.as_ref() }.slot.get().cast::<T>();
            if slot.is_null() {
                return Take::Promised(sender);
            }
            // SAFETY: the slot of a waiting sender holds a value of this channel's type.
            unsafe { out.copy_from_nonoverlapping(slot, 1) };
            owed.wake(sender, true);
            return Take::Got;
        }
        if state & ENDED != 0 { Take::Ended } else { Take::Empty }
    }

    /// Moves values of waiting senders into the free slots of the buffer (invariant 3). A sender that is a select gets a
    /// reservation.
    pub(super) fn refill(&self, guarded: &mut Guarded<T>, owed: &mut Owed) {
        loop {
            let state = self.state.load(Ordering::Relaxed);
            if state & SEND_WAITING == 0 || len_of(state) + guarded.reserved >= self.cap {
                return;
            }
            let Some(sender) = self.pop(&mut guarded.sendq, SEND_WAITING) else { return };
            // SAFETY: a popped sender waits until it is woken.
            let slot = unsafe { sender.as_ref() }.slot.get().cast::<T>();
            if slot.is_null() {
                self.reserve(guarded);
            } else {
                // SAFETY: the slot holds a value. Senders wait in bounded channels only, and there is room.
                unsafe { guarded.ring.push(slot) };
                self.store(self.state.load(Ordering::Relaxed) + ONE_VALUE);
            }
            owed.wake(sender, true);
        }
    }

    /// Sends `*value` if that is possible now, else queues `node`, in whose slot the value is.
    ///
    /// # Safety
    /// `value` points to a value; it has been moved out if the answer is `Taken`. The node obeys
    /// [`WaitQueue::push`](crate::waitq::WaitQueue::push).
    pub(in crate::channel) unsafe fn offer_or_enqueue(&self, value: *const T, node: &Node) -> Offered {
        self.lock.lock();
        loop {
            let mut owed = Owed::new();
            // SAFETY: the lock is held; else the caller's promise.
            unsafe {
                let offered = match self.offer(value, &mut owed) {
                    Offer::Taken => Offered::Taken,
                    Offer::Ended => Offered::Ended,
                    Offer::Full => {
                        self.enqueue_in(Side::Send, node);
                        Offered::Queued
                    }
                    Offer::NeedsBlock => {
                        self.relock_with_block();
                        continue;
                    }
                };
                self.unlock_and_pay(owed);
                return offered;
            }
        }
    }
}

impl<T: Copy> Chan<T> {
    /// Sends the value if that is possible now, and leaves the wake-up to the caller: for one that holds a lock.
    pub(in crate::channel) fn try_send_owing(&self, value: T, owed: &mut Owed) -> bool {
        self.lock.lock();
        loop {
            // SAFETY: the lock is held, until it is given back once; the value can be read as often as one likes.
            unsafe {
                let offer = self.offer(&raw const value, owed);
                if matches!(offer, Offer::NeedsBlock) {
                    self.relock_with_block();
                    continue;
                }
                self.lock.unlock();
                return matches!(offer, Offer::Taken);
            }
        }
    }
}

/// Whether one must not wait for this deadline.
#[inline]
fn has_passed(deadline: Moment) -> bool {
    deadline != Moment::NEVER && (deadline == AT_ONCE || deadline <= Moment::now())
}
