//! The channel itself: Go's `hchan`. One short lock, a buffer, a queue of waiting receivers, a queue of waiting senders.
//!
//! ```text
//!   send   ended? ── fail          receiver waiting? ── into its slot, wake it
//!          room?  ── into the buffer                else ── wait in `sendq`, the value in one's own frame
//!   recv   a value in the buffer? ── take it; the first waiting sender's value moves into the room that this made
//!          sender waiting? ── out of its slot, wake it
//!          ended? ── fail                           else ── wait in `recvq`
//! ```
//! A receiver that was woken with `ok` finds the value in its slot, a sender that was woken with `ok` finds that its
//! value is gone. Woken without `ok`, each *looks again*: that is how a close is told, and it needs no other verdict.
//!
//! **Selects that send** know their value only after they have been chosen, so they wait in `sendq` with a null slot.
//! Being chosen gives them one of two things. Room in the buffer becomes a *reservation*, which counts as taken until
//! the value comes or the reservation is given back. A receiver without a buffered value to take makes a *promise*: it
//! shows the select where it wants the value, wakes it, and waits for it ([`meet`]).
//!
//! **The state word** sums up the channel for those who look without the lock, and tells the fast paths with one test
//! that nothing special is going on: the number of buffered values above eight bits. It is one word so that one look is
//! one instant: a non-blocking operation that fails has seen a moment at which it had to fail.
//!
//! Knows wait queues and the waist; knows neither selects (they come through `case`) nor clocks.
//!
//! Invariants:
//! 1. `guarded` and the writes to `state` belong to whoever holds `lock`. Nothing is allocated, freed, woken or dropped
//!    under it; see [`Owed`].
//! 2. If a receiver waits, the buffer is empty and no sender waits, except for a select that waits on both ends.
//! 3. If a sender waits, buffered values and reservations together fill the buffer, with the same exception.
//! 4. The bits `RECV_WAITING`, `SEND_WAITING` and `OBSERVED` are set exactly if the queue is not empty (it may hold only
//!    waiters whose claim somebody else has won), `RESERVED` exactly if there are reservations, `RETURNED` exactly if
//!    there are returned values.
//! 5. Once an end bit is set it stays, no value enters the channel, and nobody starts to wait in it.
//! 6. Each value is in one place: the sender's frame, the buffer, the returned ones, or the receiver's slot.

use std::alloc::Layout;
use std::cell::UnsafeCell;
use std::mem::{self, MaybeUninit};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};

use gort_core::claim::Claim;
use gort_core::env::Moment;
use gort_core::ids::WaitReason;
use gort_core::lock::RawSpin;
use gort_core::park;

use super::clock::AT_ONCE;
use super::owed::Owed;
use super::ring::{OutOfRange, Ring, Spare};
use crate::waitq::{Node, WaitQueue};

/// `Sender::close` was called.
pub(super) const CLOSED: u64 = 1 << 0;
/// The last sender is gone.
pub(super) const NO_SENDERS: u64 = 1 << 1;
/// The last receiver is gone.
pub(super) const NO_RECEIVERS: u64 = 1 << 2;
const RECV_WAITING: u64 = 1 << 3;
const SEND_WAITING: u64 = 1 << 4;
const RESERVED: u64 = 1 << 5;
const OBSERVED: u64 = 1 << 6;
const RETURNED: u64 = 1 << 7;
const LEN_SHIFT: u32 = 8;
const ONE_VALUE: u64 = 1 << LEN_SHIFT;

const ENDED: u64 = CLOSED | NO_SENDERS | NO_RECEIVERS;
const DIVERTS_SEND: u64 = ENDED | RECV_WAITING | RESERVED | OBSERVED;
const DIVERTS_RECV: u64 = SEND_WAITING | OBSERVED | RETURNED;
/// If no bit but these is set, there is nothing to receive.
const QUIET_FOR_RECV: u64 = RECV_WAITING | RESERVED | OBSERVED;

/// The capacity of an unbounded channel, and the largest a channel can have.
pub(super) const UNBOUNDED: usize = usize::MAX >> LEN_SHIFT;

/// A channel. Counted by its ends (see `ends`).
#[repr(C)]
pub(super) struct Chan<T> {
    lock: RawSpin,
    state: AtomicU64,
    cap: usize,
    guarded: UnsafeCell<Guarded<T>>,
}

#[repr(C)]
struct Guarded<T> {
    ring: Ring<T>,
    recvq: WaitQueue,
    sendq: WaitQueue,
    /// Slots promised to selects that were chosen to send.
    reserved: usize,
    /// Who wants to hear that something has changed: `Select::ready`.
    observers: WaitQueue,
    /// Values that were handed to receivers which went away before they looked. They come before the buffer.
    returned: *mut Returned<T>,
}

struct Returned<T> {
    next: *mut Returned<T>,
    value: MaybeUninit<T>,
}

// SAFETY: values move from thread to thread, so `T: Send`; all else is guarded by the lock (invariant 1).
unsafe impl<T: Send> Send for Chan<T> {}
// SAFETY: as above; no `&T` is ever given out.
unsafe impl<T: Send> Sync for Chan<T> {}

/// How a send or receive ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The value has changed places.
    Done,
    /// The channel has ended.
    Ended,
    /// It would have had to wait longer than it may.
    TimedOut,
}

enum Offer {
    Taken,
    Ended,
    Full,
    NeedsBlock,
}

/// What became of the offer of a future.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offered {
    Taken,
    Ended,
    Queued,
}

/// What a look for a value found.
pub(super) enum Take {
    /// It is where the caller wanted it.
    Got,
    /// A select was chosen to send; its value is yet to come, see [`meet`].
    Promised(NonNull<Node>),
    /// None is left, and none will come.
    Ended,
    /// None is there right now.
    Empty,
}

/// What a select that wants to send was given.
pub(super) enum Grant {
    /// A slot of the buffer.
    Reserved,
    /// A waiting receiver, popped: it wants the value in its slot.
    Receiver(NonNull<Node>),
    /// The certainty that the send will fail.
    Ended,
    /// Nothing right now.
    Full,
}

#[inline]
fn len_of(state: u64) -> usize {
    (state >> LEN_SHIFT) as usize
}

impl<T> Chan<T> {
    pub(super) fn bounded(cap: usize) -> Result<Chan<T>, OutOfRange> {
        if cap >= UNBOUNDED {
            return Err(OutOfRange);
        }
        Ok(Chan::with(Ring::bounded(cap)?, cap))
    }

    pub(super) fn unbounded() -> Chan<T> {
        Chan::with(Ring::growing(), UNBOUNDED)
    }

    fn with(ring: Ring<T>, cap: usize) -> Chan<T> {
        let guarded = Guarded {
            ring,
            recvq: WaitQueue::new(),
            sendq: WaitQueue::new(),
            reserved: 0,
            observers: WaitQueue::new(),
            returned: ptr::null_mut(),
        };
        Chan { lock: RawSpin::new(), state: AtomicU64::new(0), cap, guarded: UnsafeCell::new(guarded) }
    }

    // ---- Looking, without the lock ----

    /// The state, from outside the lock.
    #[inline]
    fn look(&self) -> u64 {
        // Acquire: pairs with the Release in `store`; who sees the end sees what came before it.
        self.state.load(Ordering::Acquire)
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        len_of(self.look())
    }

    /// The capacity; `None` if there is no bound.
    #[inline]
    pub(super) fn capacity(&self) -> Option<usize> {
        (self.cap != UNBOUNDED).then_some(self.cap)
    }

    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.len() >= self.cap
    }

    #[inline]
    pub(super) fn has_ended(&self) -> bool {
        self.look() & ENDED != 0
    }

    /// Whether a send might not have to wait. False is certain, at the instant of the look.
    #[inline]
    pub(super) fn may_send(&self) -> bool {
        let state = self.look();
        state & (ENDED | RECV_WAITING) != 0 || len_of(state) < self.cap
    }

    /// Whether a receive might not have to wait. False is certain, at the instant of the look.
    #[inline]
    pub(super) fn may_recv(&self) -> bool {
        self.look() & !QUIET_FOR_RECV != 0
    }

    // ---- The fast paths ----

    /// Sends `*value`, waiting until `deadline` at the longest.
    ///
    /// # Safety
    /// `value` points to a value; it has been moved out if the outcome is `Done`, and only then.
    #[inline]
    pub(super) unsafe fn send(&self, value: *mut T, deadline: Moment) -> Outcome {
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
        unsafe { self.send_slow(value, deadline) }
    }

    /// Receives a value into `*out`, waiting until `deadline` at the longest.
    ///
    /// # Safety
    /// `out` may be written; it holds a value if the outcome is `Done`, and only then.
    #[inline]
    pub(super) unsafe fn recv(&self, out: *mut T, deadline: Moment) -> Outcome {
        self.lock.lock();
        let state = self.state.load(Ordering::Relaxed);
        if state & DIVERTS_RECV == 0 && state >= ONE_VALUE {
            // SAFETY: the lock is held, there is a value, and `out` may be written. The borrow ends with the line.
            unsafe {
                let block_ended = (*self.guarded.get()).ring.pop(out);
                self.store(state - ONE_VALUE);
                if block_ended {
                    self.unlock_leaving_block();
                } else {
                    self.lock.unlock();
                }
            }
            return Outcome::Done;
        }
        // SAFETY: the lock is held; `out` as promised by the caller.
        unsafe { self.recv_slow(out, deadline) }
    }

    /// Like [`Chan::send`] with a deadline in the past, but a full channel is found without the lock.
    ///
    /// # Safety
    /// As for [`Chan::send`].
    #[inline]
    pub(super) unsafe fn try_send(&self, value: *mut T) -> Outcome {
        if !self.may_send() {
            return Outcome::TimedOut;
        }
        // SAFETY: the caller's promise.
        unsafe { self.send(value, AT_ONCE) }
    }

    /// Like [`Chan::recv`] with a deadline in the past, but an empty channel is found without the lock.
    ///
    /// # Safety
    /// As for [`Chan::recv`].
    #[inline]
    pub(super) unsafe fn try_recv(&self, out: *mut T) -> Outcome {
        let state = self.look();
        if state & !QUIET_FOR_RECV == 0 {
            return Outcome::TimedOut;
        }
        if state & !(QUIET_FOR_RECV | ENDED) == 0 {
            return Outcome::Ended;
        }
        // SAFETY: the caller's promise.
        unsafe { self.recv(out, AT_ONCE) }
    }

    // ---- The slow paths: entered with the lock held, left without ----

    /// # Safety
    /// The lock is held; else as for [`Chan::send`].
    #[inline(never)]
    unsafe fn send_slow(&self, value: *mut T, deadline: Moment) -> Outcome {
        loop {
            let mut owed = Owed::new();
            // SAFETY: the lock is held until each arm gives it back; the value is still there, or the loop has ended.
            unsafe {
                match self.offer(value, &mut owed) {
                    Offer::Taken => {
                        self.unlock_and_pay(owed);
                        return Outcome::Done;
                    }
                    Offer::Ended => {
                        self.unlock_and_pay(owed);
                        return Outcome::Ended;
                    }
                    Offer::NeedsBlock => self.relock_with_block(),
                    Offer::Full => {
                        if has_passed(deadline) {
                            self.unlock_and_pay(owed);
                            return Outcome::TimedOut;
                        }
                        let queue = &raw mut (*self.guarded.get()).sendq;
                        match self.wait(queue, SEND_WAITING, value, WaitReason::ChanSend, deadline) {
                            Some(outcome) => return outcome,
                            None => self.lock.lock(),
                        }
                    }
                }
            }
        }
    }

    /// # Safety
    /// The lock is held; else as for [`Chan::recv`].
    #[inline(never)]
    unsafe fn recv_slow(&self, out: *mut T, deadline: Moment) -> Outcome {
        loop {
            let mut owed = Owed::new();
            // SAFETY: the lock is held until each arm gives it back; nothing was written yet, or the loop has ended.
            unsafe {
                match self.take(out, &mut owed) {
                    Take::Got => {
                        self.unlock_and_pay(owed);
                        return Outcome::Done;
                    }
                    Take::Ended => {
                        self.unlock_and_pay(owed);
                        return Outcome::Ended;
                    }
                    Take::Promised(sender) => {
                        debug_assert!(owed.is_empty(), "a park's commit only unlocks");
                        if meet(sender, out.cast(), WaitReason::ChanReceive, || self.lock.unlock()) {
                            return Outcome::Done;
                        }
                        self.lock.lock();
                    }
                    Take::Empty => {
                        if has_passed(deadline) {
                            self.unlock_and_pay(owed);
                            return Outcome::TimedOut;
                        }
                        let queue = &raw mut (*self.guarded.get()).recvq;
                        match self.wait(queue, RECV_WAITING, out, WaitReason::ChanReceive, deadline) {
                            Some(outcome) => return outcome,
                            None => self.lock.lock(),
                        }
                    }
                }
            }
        }
    }

    /// Waits in one of the queues. `None`: the caller is to look again.
    ///
    /// # Safety
    /// The lock is held, it is given back; `queue` is of this channel and `bit` is its bit.
    #[inline]
    unsafe fn wait(
        &self,
        queue: *mut WaitQueue,
        bit: u64,
        slot: *mut T,
        reason: WaitReason,
        deadline: Moment,
    ) -> Option<Outcome> {
        let claim = Claim::new();
        let claimed = if deadline == Moment::NEVER { ptr::null() } else { &raw const claim };
        let node = Node::with_claim(park::current(), claimed, 1, slot.cast());
        // SAFETY: the lock is held. The node lives in this frame until it was popped and woken, or removed below.
        unsafe { self.enqueue(queue, bit, &node) };
        // SAFETY: the lock is held when the commit runs.
        park::park_until(reason, deadline, &claim, || unsafe { self.lock.unlock() });
        if node.ok.get() {
            return Some(Outcome::Done);
        }
        if claim.winner() != Claim::TIMED_OUT {
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

    // ---- Steps, under the lock ----

    /// Tries to find a place for `*value`.
    ///
    /// # Safety
    /// The lock is held. The value has been moved out if the answer is `Taken`, and only then.
    unsafe fn offer(&self, value: *const T, owed: &mut Owed) -> Offer {
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
    pub(super) unsafe fn take(&self, out: *mut T, owed: &mut Owed) -> Take {
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

    /// Gives a select that wants to send what it needs.
    ///
    /// # Safety
    /// The lock is held.
    pub(super) unsafe fn grant(&self) -> Grant {
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
        guarded.reserved += 1;
        self.set(RESERVED, true);
        Grant::Reserved
    }

    /// Moves values of waiting senders into the free slots of the buffer (invariant 3). A sender that is a select gets a
    /// reservation.
    fn refill(&self, guarded: &mut Guarded<T>, owed: &mut Owed) {
        loop {
            let state = self.state.load(Ordering::Relaxed);
            if state & SEND_WAITING == 0 || len_of(state) + guarded.reserved >= self.cap {
                return;
            }
            let Some(sender) = self.pop(&mut guarded.sendq, SEND_WAITING) else { return };
            // SAFETY: a popped sender waits until it is woken.
            let slot = unsafe { sender.as_ref() }.slot.get().cast::<T>();
            if slot.is_null() {
                guarded.reserved += 1;
                self.set(RESERVED, true);
            } else {
                // SAFETY: the slot holds a value. Senders wait in bounded channels only, and there is room.
                unsafe { guarded.ring.push(slot) };
                self.store(self.state.load(Ordering::Relaxed) + ONE_VALUE);
            }
            owed.wake(sender, true);
        }
    }

    /// Pops the first waiter whose claim can be won, and keeps the queue's bit true.
    fn pop(&self, queue: &mut WaitQueue, bit: u64) -> Option<NonNull<Node>> {
        if queue.is_empty() {
            return None;
        }
        let node = queue.pop();
        if queue.is_empty() {
            self.set(bit, false);
        }
        node
    }

    /// Puts a waiter into a queue, and keeps the queue's bit true. Observers hear of it: the other side may proceed now.
    ///
    /// They are woken here, under the lock, for lack of a better moment: the caller is about to park, and neither before
    /// its wait node is there nor in a park's commit may they be woken. They are goroutines and threads, whose waking is a
    /// matter of the scheduler alone, and they are rare.
    ///
    /// # Safety
    /// The lock is held, the queue and the bit are this channel's, and the node obeys [`WaitQueue::push`].
    unsafe fn enqueue(&self, queue: *mut WaitQueue, bit: u64, node: &Node) {
        // SAFETY: the lock is held; the caller keeps the node as `push` demands.
        unsafe { (*queue).push(node) };
        self.set(bit, true);
        if bit != OBSERVED && self.state.load(Ordering::Relaxed) & OBSERVED != 0 {
            let mut owed = Owed::new();
            // SAFETY: the lock is held.
            self.tell_observers(unsafe { &mut *self.guarded.get() }, &mut owed);
            owed.pay();
        }
    }

    /// Takes a waiter back, and keeps the queue's bit true.
    ///
    /// # Safety
    /// The lock is held, and the queue and the bit are this channel's.
    unsafe fn dequeue(&self, queue: *mut WaitQueue, bit: u64, node: &Node) -> bool {
        // SAFETY: the lock is held.
        let queue = unsafe { &mut *queue };
        let removed = queue.remove(node);
        if removed && queue.is_empty() {
            self.set(bit, false);
        }
        removed
    }

    /// Wakes those who wait for a change.
    #[inline]
    fn tell_observers(&self, guarded: &mut Guarded<T>, owed: &mut Owed) {
        if self.state.load(Ordering::Relaxed) & OBSERVED != 0 {
            owed.wake_all_of(&mut guarded.observers);
            self.set(OBSERVED, false);
        }
    }

    #[inline]
    fn set(&self, bits: u64, on: bool) {
        let state = self.state.load(Ordering::Relaxed);
        self.store(if on { state | bits } else { state & !bits });
    }

    #[inline]
    fn store(&self, state: u64) {
        // Release: pairs with the Acquire in `look`.
        self.state.store(state, Ordering::Release);
    }

    // ---- What selects and futures ask for ----

    #[inline]
    pub(super) fn lock_word(&self) -> &RawSpin {
        &self.lock
    }

    /// Queues a waiter: of a select, or of a future.
    ///
    /// # Safety
    /// The lock is held; the node obeys [`WaitQueue::push`]; its slot is as the queue demands.
    pub(super) unsafe fn enqueue_in(&self, side: Side, node: &Node) {
        let (queue, bit) = self.queue(side);
        // SAFETY: the caller's promise.
        unsafe { self.enqueue(queue, bit, node) }
    }

    /// Takes a waiter back that [`Chan::enqueue_in`] has queued, if nobody has popped it.
    ///
    /// # Safety
    /// The lock is held.
    pub(super) unsafe fn dequeue_from(&self, side: Side, node: &Node) -> bool {
        let (queue, bit) = self.queue(side);
        // SAFETY: the caller's promise.
        unsafe { self.dequeue(queue, bit, node) }
    }

    fn queue(&self, side: Side) -> (*mut WaitQueue, u64) {
        let guarded = self.guarded.get();
        // SAFETY: only addresses are taken.
        unsafe {
            match side {
                Side::Recv => (&raw mut (*guarded).recvq, RECV_WAITING),
                Side::Send => (&raw mut (*guarded).sendq, SEND_WAITING),
                Side::Observe => (&raw mut (*guarded).observers, OBSERVED),
            }
        }
    }

    /// Sends `*value` if that is possible now, else queues `node`, in whose slot the value is.
    ///
    /// # Safety
    /// `value` points to a value; it has been moved out if the answer is `Taken`. The node obeys [`WaitQueue::push`].
    pub(super) unsafe fn offer_or_enqueue(&self, value: *const T, node: &Node) -> Offered {
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

    /// Sends `*value` into a reserved slot; the reservation is used up. False: the channel has ended meanwhile.
    ///
    /// # Safety
    /// The caller owns a reservation. The value has been moved out if the answer is true, and only then.
    pub(super) unsafe fn send_reserved(&self, value: *const T) -> bool {
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
                        guarded.reserved += 1;
                        self.set(RESERVED, true);
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
    pub(super) unsafe fn cancel_reserved(&self) {
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

    fn drop_reservation(&self, guarded: &mut Guarded<T>) {
        guarded.reserved -= 1;
        if guarded.reserved == 0 {
            self.set(RESERVED, false);
        }
    }

    /// Takes back a value that had been handed to a receiver which no longer wants it. It is received before all others.
    pub(super) fn give_back(&self, value: T) {
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
    unsafe fn take_returned(&self, guarded: &mut Guarded<T>, out: *mut T, owed: &mut Owed) {
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

    // ---- The end ----

    /// Ends the channel for the reason that `bit` names, and tells everybody who waits. False if it had ended for this
    /// very reason before.
    pub(super) fn end(&self, bit: u64) -> bool {
        let mut owed = Owed::new();
        self.lock.lock();
        // SAFETY: the lock is held until it is given back.
        unsafe {
            let state = self.state.load(Ordering::Relaxed);
            let first = state & bit == 0;
            if first {
                let guarded = &mut *self.guarded.get();
                owed.wake_all_of(&mut guarded.recvq);
                owed.wake_all_of(&mut guarded.sendq);
                owed.wake_all_of(&mut guarded.observers);
                self.store((state | bit) & !(RECV_WAITING | SEND_WAITING | OBSERVED));
            }
            self.unlock_and_pay(owed);
            first
        }
    }

    /// Drops the values that nobody will receive. If a drop panics the rest is leaked: another panic on the way out would
    /// end the process.
    pub(super) fn discard(&self) {
        struct LeakRest<'a, T>(&'a Chan<T>);
        impl<T> Drop for LeakRest<'_, T> {
            fn drop(&mut self) {
                self.0.forget_values();
            }
        }
        let leak_rest = LeakRest(self);
        while let Some(value) = self.next_value() {
            drop(value);
        }
        mem::forget(leak_rest);
    }

    fn forget_values(&self) {
        self.lock.lock();
        let state = self.state.load(Ordering::Relaxed);
        // SAFETY: the lock is held until it is given back.
        unsafe {
            (*self.guarded.get()).returned = ptr::null_mut();
            self.store(state & (ONE_VALUE - 1) & !RETURNED);
            self.lock.unlock();
        }
    }

    fn next_value(&self) -> Option<T> {
        let mut value = MaybeUninit::uninit();
        // SAFETY: `Done` says that the value was written.
        unsafe { (self.recv(value.as_mut_ptr(), AT_ONCE) == Outcome::Done).then(|| value.assume_init()) }
    }

    // ---- Giving the lock back ----

    /// # Safety
    /// The lock is held.
    #[inline]
    unsafe fn unlock_and_pay(&self, owed: Owed) {
        // SAFETY: the caller's promise.
        unsafe { self.lock.unlock() };
        owed.pay();
    }

    /// Gives the lock back after the last value of a block was popped.
    ///
    /// # Safety
    /// The lock is held, and `Ring::pop` has just said so.
    #[cold]
    unsafe fn unlock_leaving_block(&self) {
        // SAFETY: the lock is held.
        let block = unsafe { (*self.guarded.get()).ring.next_block() };
        // SAFETY: the caller's promise.
        unsafe { self.lock.unlock() };
        drop(block);
    }

    /// Gives the lock back, gets a block for the ring, and takes the lock again.
    ///
    /// # Safety
    /// The lock is held.
    #[cold]
    unsafe fn relock_with_block(&self) {
        // SAFETY: the caller's promise.
        unsafe { self.lock.unlock() };
        let block = Spare::new();
        self.lock.lock();
        // SAFETY: the lock is held.
        let excess = unsafe { (*self.guarded.get()).ring.give_block(block) };
        if excess.is_some() {
            // SAFETY: taken above. Somebody else was faster; the block goes without the lock.
            unsafe { self.lock.unlock() };
            drop(excess);
            self.lock.lock();
        }
    }
}

impl<T> Drop for Chan<T> {
    fn drop(&mut self) {
        self.discard();
    }
}

/// The queues of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Of receivers. A node's slot is where the value goes.
    Recv,
    /// Of senders. A node's slot is where the value is, or null for a select.
    Send,
    /// Of those who want to hear of any change.
    Observe,
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

/// Whether one must not wait for this deadline.
fn has_passed(deadline: Moment) -> bool {
    deadline == AT_ONCE || deadline != Moment::NEVER && deadline <= Moment::now()
}
