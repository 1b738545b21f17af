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
//! A sender whose slot is null is a select that was chosen before its value was known: see `grant`.
//!
//! **The state word** sums up the channel for those who look without the lock, and tells the fast paths with one test
//! that nothing special is going on: the number of buffered values above eight bits. It is one word so that one look is
//! one instant: a non-blocking operation that fails has seen a moment at which it had to fail.
//!
//! Rooms: `pass` is sending and receiving, `grant` what a select gets that is chosen to send, `returned` are the values
//! that come back, `end` is the end. This room has the data, the looks without the lock, and the steps under it.
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

mod end;
mod grant;
mod pass;
mod returned;

use std::cell::UnsafeCell;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};

use gort_core::lock::RawSpin;

use super::owed::Owed;
use super::ring::{OutOfRange, Ring, Spare};
use crate::waitq::{Node, WaitQueue};

pub(super) use grant::Grant;
pub(crate) use grant::meet;
pub(super) use pass::{Offered, Outcome, Take};

use pass::Offer;
use returned::Returned;

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

// SAFETY: values move from thread to thread, so `T: Send`; all else is guarded by the lock (invariant 1).
unsafe impl<T: Send> Send for Chan<T> {}
// SAFETY: as above; no `&T` is ever given out.
unsafe impl<T: Send> Sync for Chan<T> {}

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

    // ---- The queues ----

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

    // ---- Steps, under the lock ----

    #[inline]
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

    /// Pops the first waiter whose claim can be won, and keeps the queue's bit true.
    #[inline]
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
    #[inline]
    unsafe fn enqueue(&self, queue: *mut WaitQueue, bit: u64, node: &Node) {
        // SAFETY: the lock is held; the caller keeps the node as `push` demands.
        unsafe { (*queue).push(node) };
        self.set(bit, true);
        if bit != OBSERVED && self.state.load(Ordering::Relaxed) & OBSERVED != 0 {
            self.tell_observers_now();
        }
    }

    #[cold]
    fn tell_observers_now(&self) {
        let mut owed = Owed::new();
        // SAFETY: the caller holds the lock.
        self.tell_observers(unsafe { &mut *self.guarded.get() }, &mut owed);
        owed.pay();
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
