//! What a select sees of an end of a channel: a [`Case`].
//!
//! A select locks all its channels, asks each case to [`begin`](Case::begin), and if none can, queues a wait node with
//! each. The room behind a case knows nothing of the select, and the select nothing of the channel's insides.

use std::ptr::NonNull;
use std::time::Instant;

use gort_core::env::Moment;
use gort_core::ids::WaitReason;
use gort_core::lock::RawSpin;

use super::chan::{Grant, Side, Take, meet};
use super::owed::Owed;
use super::{Receiver, Sender, receiver, sender};
use crate::waitq::Node;

/// One operation that a select may choose: a send or a receive on some end of a channel.
///
/// # Safety
/// A receiving case writes a value of its channel's type, its payload, if and only if it answers [`Begun::Received`], and
/// so does whoever wakes a node of it with `ok`. A sending case writes nothing.
pub(crate) unsafe trait Case {
    /// The channel's lock; none for a nil channel, which is never ready.
    fn lock_word(&self) -> Option<&RawSpin>;

    /// Whether the operation might not have to wait. False is certain, at the instant of the look.
    fn may_begin(&self) -> bool;

    /// Begins the operation if it does not have to wait. A value received goes to `out`.
    ///
    /// # Safety
    /// The channel's lock is held; `out` may be written with a payload.
    unsafe fn begin(&self, out: *mut (), owed: &mut Owed) -> Option<Begun>;

    /// Begins the operation under its own lock, which this takes and gives back, if it does not have to wait.
    ///
    /// # Safety
    /// `out` may be written with a payload.
    unsafe fn begin_alone(&self, out: *mut ()) -> Option<Begun>;

    /// Queues a waiter that shall be woken with the operation begun (`ok`), or to look again. The node of a receive has
    /// the place for the value in its slot, that of a send has null.
    ///
    /// # Safety
    /// The channel's lock is held; the node obeys [`WaitQueue::push`](crate::waitq::WaitQueue::push).
    unsafe fn enqueue(&self, node: &Node);

    /// Takes that waiter back.
    ///
    /// # Safety
    /// The channel's lock is held.
    unsafe fn dequeue(&self, node: &Node);

    /// Queues a waiter that shall be woken when something has changed.
    ///
    /// # Safety
    /// As for [`enqueue`](Case::enqueue); its slot is not used.
    unsafe fn observe(&self, node: &Node);

    /// Takes that waiter back.
    ///
    /// # Safety
    /// The channel's lock is held.
    unsafe fn unobserve(&self, node: &Node);

    /// The moment at which the operation can begin by itself, without anybody waking the waiter.
    fn due(&self) -> Moment;

    /// Makes an operation that was begun undone. A value that was received goes back, to be received before all others
    /// (a clock's tick is gone, like any tick that nobody has time for).
    ///
    /// # Safety
    /// `begun` came from this case and was not completed; `payload` is where a received value is.
    unsafe fn undo(&self, begun: Begun, payload: *mut ());
}

/// An operation that a select has chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begun {
    /// The value has been received.
    Received,
    /// The receive fails: the channel has ended.
    RecvEnded,
    /// The value is being computed by a select that was chosen to send: see [`meet`].
    Promised(NonNull<Node>),
    /// A slot of the buffer is kept for the value to send.
    Reserved,
    /// This receiver waits for the value to send.
    Receiver(NonNull<Node>),
    /// The send fails: the channel has ended.
    SendEnded,
}

/// Looks, locks, begins, unlocks: the same for all cases, compiled for each.
///
/// # Safety
/// `out` may be written with a payload of the case.
#[inline]
unsafe fn begin_alone<C: Case>(case: &C, out: *mut ()) -> Option<Begun> {
    if !case.may_begin() {
        return None;
    }
    let lock = case.lock_word()?;
    loop {
        let mut owed = Owed::new();
        lock.lock();
        // SAFETY: the lock is held; `out` as promised by the caller.
        let begun = unsafe { case.begin(out, &mut owed) };
        let Some(Begun::Promised(sender)) = begun else {
            // SAFETY: taken above.
            unsafe { lock.unlock() };
            owed.pay();
            return begun;
        };
        debug_assert!(owed.is_empty(), "a park's commit only unlocks");
        // SAFETY: the case has popped the sender for us; `out` takes its value; the lock was taken above.
        if unsafe { meet(sender, out, WaitReason::Select, || lock.unlock()) } {
            return Some(Begun::Received);
        }
    }
}

// SAFETY: `take` writes a `T` exactly if it answers `Got`; so do those who wake a receiver with `ok`. A clock's `T` is
// `Instant` (Receiver's invariant).
unsafe impl<T> Case for Receiver<T> {
    fn lock_word(&self) -> Option<&RawSpin> {
        match self.flavor() {
            receiver::Flavor::Chan(chan) => Some(chan.lock_word()),
            receiver::Flavor::Clock(clock) => Some(clock.lock_word()),
            receiver::Flavor::Nil => None,
        }
    }

    fn may_begin(&self) -> bool {
        match self.flavor() {
            receiver::Flavor::Chan(chan) => chan.may_recv(),
            receiver::Flavor::Clock(clock) => clock.is_due(),
            receiver::Flavor::Nil => false,
        }
    }

    unsafe fn begin(&self, out: *mut (), owed: &mut Owed) -> Option<Begun> {
        match self.flavor() {
            // SAFETY: the caller holds the lock, and `out` takes a `T`.
            receiver::Flavor::Chan(chan) => match unsafe { chan.take(out.cast(), owed) } {
                Take::Got => Some(Begun::Received),
                Take::Promised(sender) => Some(Begun::Promised(sender)),
                Take::Ended => Some(Begun::RecvEnded),
                Take::Empty => None,
            },
            receiver::Flavor::Clock(clock) => {
                // SAFETY: the caller holds the lock.
                let tick = unsafe { clock.take() }?;
                // SAFETY: `out` takes a `T`, and a clock's `T` is `Instant` (Receiver's invariant).
                unsafe { out.cast::<Instant>().write(tick.to_instant()) };
                Some(Begun::Received)
            }
            receiver::Flavor::Nil => None,
        }
    }

    unsafe fn begin_alone(&self, out: *mut ()) -> Option<Begun> {
        // SAFETY: the caller's promise.
        unsafe { begin_alone(self, out) }
    }

    unsafe fn enqueue(&self, node: &Node) {
        // SAFETY: the caller's promise is the callees'.
        unsafe {
            match self.flavor() {
                receiver::Flavor::Chan(chan) => chan.enqueue_in(Side::Recv, node),
                receiver::Flavor::Clock(clock) => clock.enqueue(node),
                receiver::Flavor::Nil => {}
            }
        }
    }

    unsafe fn dequeue(&self, node: &Node) {
        // SAFETY: the caller's promise is the callees'.
        unsafe {
            match self.flavor() {
                receiver::Flavor::Chan(chan) => chan.dequeue_from(Side::Recv, node),
                receiver::Flavor::Clock(clock) => clock.dequeue(node),
                receiver::Flavor::Nil => false,
            }
        };
    }

    unsafe fn observe(&self, node: &Node) {
        // SAFETY: the caller's promise is the callees'.
        unsafe {
            match self.flavor() {
                receiver::Flavor::Chan(chan) => chan.enqueue_in(Side::Observe, node),
                receiver::Flavor::Clock(clock) => clock.enqueue(node),
                receiver::Flavor::Nil => {}
            }
        }
    }

    unsafe fn unobserve(&self, node: &Node) {
        // SAFETY: the caller's promise is the callees'.
        unsafe {
            match self.flavor() {
                receiver::Flavor::Chan(chan) => chan.dequeue_from(Side::Observe, node),
                receiver::Flavor::Clock(clock) => clock.dequeue(node),
                receiver::Flavor::Nil => false,
            }
        };
    }

    fn due(&self) -> Moment {
        match self.flavor() {
            receiver::Flavor::Clock(clock) => clock.when(),
            _ => Moment::NEVER,
        }
    }

    unsafe fn undo(&self, begun: Begun, payload: *mut ()) {
        if let (receiver::Flavor::Chan(chan), Begun::Received) = (self.flavor(), begun) {
            // SAFETY: the caller says that there is a value, and gives it away.
            chan.give_back(unsafe { payload.cast::<T>().read() });
        }
    }
}

// SAFETY: a send never answers `Received` and writes nothing.
unsafe impl<T> Case for Sender<T> {
    fn lock_word(&self) -> Option<&RawSpin> {
        match self.flavor() {
            sender::Flavor::Chan(chan) => Some(chan.lock_word()),
            sender::Flavor::Nil => None,
        }
    }

    fn may_begin(&self) -> bool {
        match self.flavor() {
            sender::Flavor::Chan(chan) => chan.may_send(),
            sender::Flavor::Nil => false,
        }
    }

    unsafe fn begin(&self, _out: *mut (), _owed: &mut Owed) -> Option<Begun> {
        let sender::Flavor::Chan(chan) = self.flavor() else { return None };
        // SAFETY: the caller holds the lock.
        match unsafe { chan.grant() } {
            Grant::Reserved => Some(Begun::Reserved),
            Grant::Receiver(node) => Some(Begun::Receiver(node)),
            Grant::Ended => Some(Begun::SendEnded),
            Grant::Full => None,
        }
    }

    unsafe fn begin_alone(&self, out: *mut ()) -> Option<Begun> {
        // SAFETY: the caller's promise.
        unsafe { begin_alone(self, out) }
    }

    unsafe fn enqueue(&self, node: &Node) {
        if let sender::Flavor::Chan(chan) = self.flavor() {
            // SAFETY: the caller's promise is the callee's.
            unsafe { chan.enqueue_in(Side::Send, node) };
        }
    }

    unsafe fn dequeue(&self, node: &Node) {
        if let sender::Flavor::Chan(chan) = self.flavor() {
            // SAFETY: the caller's promise is the callee's.
            unsafe { chan.dequeue_from(Side::Send, node) };
        }
    }

    unsafe fn observe(&self, node: &Node) {
        if let sender::Flavor::Chan(chan) = self.flavor() {
            // SAFETY: the caller's promise is the callee's.
            unsafe { chan.enqueue_in(Side::Observe, node) };
        }
    }

    unsafe fn unobserve(&self, node: &Node) {
        if let sender::Flavor::Chan(chan) = self.flavor() {
            // SAFETY: the caller's promise is the callee's.
            unsafe { chan.dequeue_from(Side::Observe, node) };
        }
    }

    fn due(&self) -> Moment {
        Moment::NEVER
    }

    unsafe fn undo(&self, begun: Begun, _payload: *mut ()) {
        match (self.flavor(), begun) {
            // SAFETY: the caller owns the reservation.
            (sender::Flavor::Chan(chan), Begun::Reserved) => unsafe { chan.cancel_reserved() },
            (_, Begun::Receiver(node)) => {
                // SAFETY: popped and not yet woken. Without `ok` it looks again.
                unsafe {
                    node.as_ref().ok.set(false);
                    Node::wake(node);
                }
            }
            _ => {}
        }
    }
}
