//! Channels for async code: the same operations as futures, under any executor.
//!
//! A future waits in the same queues as goroutines and threads, in the same order. Its wait node belongs to a foreign
//! sleeper, whose wake-up is a call; that call wakes the task.
//!
//! ```text
//!   Idle ──poll: nothing now──► Queued ──popped and woken──► Woken ──poll──► done, or Idle again (look again)
//!                                 └──dropped: taken back       └──dropped: a value received goes back into the channel
//! ```
//! So a future that is dropped before it is ready has done nothing: a value is neither lost nor sent behind its back.
//! (A send whose value was taken in the very moment before the drop has been sent, of course.)
//!
//! A clock (`after`, `tick`, a timer) wakes nobody by itself, it is waited for. For futures a thread waits: see `calls`.
//!
//! Invariants:
//! 1. `node` and `slot` stay where they are from `Queued` on: the future is pinned, and its drop waits for whoever has
//!    popped the node.
//! 2. While `Queued`, `slot` belongs to whoever holds the channel's lock or has popped the node; else to the future.
//! 3. `woken` is written under `signal`'s lock, and that is the last thing a waker does with the future's memory.

use std::fmt;
use std::future::Future;
use std::marker::PhantomPinned;
use std::mem::{self, MaybeUninit};
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Instant;

use futures_core::stream::{FusedStream, Stream};
use gort_core::env::Moment;
use gort_core::lock::{RawSpin, Spin};
use gort_core::park::{self, External, Sleeper};

use super::calls::Call;
use super::chan::{Chan, Offered, Side, Take};
use super::clock::Clock;
use super::owed::Owed;
use super::{Receiver, RecvError, SendError, Sender, receiver, sender};
use crate::waitq::Node;

/// How a future waits in a channel.
#[repr(C)]
struct Wait<T> {
    /// First, so that its address is that of the whole.
    external: External,
    signal: Spin<Signal>,
    node: MaybeUninit<Node>,
    slot: MaybeUninit<T>,
    queued: bool,
    _pinned: PhantomPinned,
}

struct Signal {
    woken: bool,
    waker: Option<Waker>,
}

/// The part of [`Wait`] that does not depend on the type of the values.
#[repr(C)]
struct WaitHead {
    external: External,
    signal: Spin<Signal>,
}

/// Called by whoever has popped the node of a future.
///
/// # Safety
/// `external` is the head of a `Wait` that is queued, and this is the one wake-up that it gets.
unsafe fn wake(external: *const External) -> Option<Waker> {
    // SAFETY: the future stays until it has seen `woken`, under this lock (invariants 1 and 3).
    let mut signal = unsafe { &(*external.cast::<WaitHead>()).signal }.lock();
    signal.woken = true;
    signal.waker.take()
}

impl<T> Wait<T> {
    const fn new() -> Wait<T> {
        Wait {
            external: External { wake },
            signal: Spin::in_constant(Signal { woken: false, waker: None }),
            node: MaybeUninit::uninit(),
            slot: MaybeUninit::uninit(),
            queued: false,
            _pinned: PhantomPinned,
        }
    }

    /// Makes a node for one stay in a queue.
    ///
    /// # Safety
    /// The future is pinned, and not queued.
    unsafe fn prepare(this: *mut Wait<T>, waker: &Waker) -> *mut Node {
        // SAFETY: not queued: all of it is the future's own. Pinned: the addresses stay (invariant 1).
        unsafe {
            let fresh = Signal { woken: false, waker: Some(waker.clone()) };
            let old = mem::replace(&mut *(*this).signal.lock(), fresh);
            // Dropping a waker is foreign code: outside the lock.
            drop(old);
            let sleeper: Sleeper = Sleeper::external(this.cast());
            let slot = (&raw mut (*this).slot).cast();
            (*this).queued = true;
            (*this).node.write(Node::new(sleeper, slot))
        }
    }

    /// Whether the wait is over, with the waker's verdict; else it remembers whom to wake.
    ///
    /// # Safety
    /// Queued.
    unsafe fn poll(this: *mut Wait<T>, waker: &Waker) -> Poll<bool> {
        // SAFETY: through shared references only, while others may have the node.
        unsafe {
            let mut signal = (*this).signal.lock();
            if !signal.woken {
                let old = match &signal.waker {
                    Some(known) if known.will_wake(waker) => None,
                    _ => {
                        // Cloning and dropping wakers is foreign code: outside the lock.
                        drop(signal);
                        let new = waker.clone();
                        signal = (*this).signal.lock();
                        if signal.woken { Some(new) } else { signal.waker.replace(new) }
                    }
                };
                let woken = signal.woken;
                drop(signal);
                drop(old);
                if !woken {
                    return Poll::Pending;
                }
            }
            (*this).queued = false;
            Poll::Ready((*this).node.assume_init_ref().ok.get())
        }
    }

    /// Ends the stay in the queue from the future's side. True: it had been served.
    ///
    /// # Safety
    /// Queued, in the queue that `lock` guards and from which `take_back` removes a node, if it is still there.
    unsafe fn cancel(
        this: *mut Wait<T>,
        lock: &RawSpin,
        take_back: impl FnOnce(&Node) -> bool,
        wait: fn(),
    ) -> bool {
        lock.lock();
        // SAFETY: the lock is held; the node is in this queue or in none.
        let taken_back = unsafe {
            let taken_back = take_back((*this).node.assume_init_ref());
            lock.unlock();
            taken_back
        };
        // SAFETY: if it was not in the queue somebody has popped it, and will wake it soon: nothing is between but a few
        // instructions (foreign wakers come later), or, for a select that was chosen to send, the computation of the value.
        unsafe {
            while !taken_back && !(*this).signal.lock().woken {
                wait();
            }
            (*this).queued = false;
            !taken_back && (*this).node.assume_init_ref().ok.get()
        }
    }
}

/// The future of [`Receiver::recv_async`].
#[must_use = "futures do nothing unless polled"]
pub struct RecvFuture<'a, T> {
    rx: &'a Receiver<T>,
    wait: Wait<T>,
    /// Of a clock: the call that the task will get.
    call: Option<Call>,
}

/// The future of [`Sender::send_async`].
#[must_use = "futures do nothing unless polled"]
pub struct SendFuture<'a, T> {
    tx: &'a Sender<T>,
    /// The value to send lies in its slot.
    wait: Wait<T>,
    holds_value: bool,
}

/// The stream of [`Receiver::stream`].
#[must_use = "streams do nothing unless polled"]
pub struct RecvStream<'a, T> {
    next: Pin<Box<RecvFuture<'a, T>>>,
    ended: bool,
}

// SAFETY: what is in a future is a borrowed end (Sync for `T: Send`), perhaps a value, and a node that is guarded by the
// channel's lock and the signal's.
unsafe impl<T: Send> Send for RecvFuture<'_, T> {}
// SAFETY: nothing can be done through a shared reference.
unsafe impl<T: Send> Sync for RecvFuture<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for SendFuture<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for SendFuture<'_, T> {}

impl<T> Receiver<T> {
    /// Receives a value, as a future: [`recv`](Receiver::recv) for async code.
    ///
    /// It can be dropped at any time without losing a value.
    ///
    /// ```
    /// let (tx, rx) = gort::chan(0);
    /// std::thread::spawn(move || tx.send(7));
    /// assert_eq!(gort::block_on(rx.recv_async()), Ok(7));
    /// assert!(gort::block_on(rx.recv_async()).is_err());
    /// ```
    pub fn recv_async(&self) -> RecvFuture<'_, T> {
        RecvFuture { rx: self, wait: Wait::new(), call: None }
    }

    /// The values of the channel until its end, as a stream: [`iter`](Receiver::iter) for async code.
    pub fn stream(&self) -> RecvStream<'_, T> {
        RecvStream { next: Box::pin(self.recv_async()), ended: false }
    }
}

impl<T> Sender<T> {
    /// Sends a value, as a future: [`send`](Sender::send) for async code.
    ///
    /// Dropped before it is ready it drops the value, unsent.
    ///
    /// ```
    /// let (tx, rx) = gort::chan(1);
    /// gort::block_on(tx.send_async(7)).unwrap();
    /// assert_eq!(rx.recv(), Ok(7));
    /// ```
    pub fn send_async(&self, value: T) -> SendFuture<'_, T> {
        let mut wait = Wait::new();
        wait.slot = MaybeUninit::new(value);
        SendFuture { tx: self, wait, holds_value: true }
    }
}

impl<T> Future for RecvFuture<'_, T> {
    type Output = Result<T, RecvError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: nothing is moved out of the pinned future.
        let this = unsafe { self.get_unchecked_mut() };
        match this.rx.flavor() {
            // SAFETY: the future is pinned.
            receiver::Flavor::Chan(chan) => unsafe { poll_recv(chan, &raw mut this.wait, cx.waker()) },
            receiver::Flavor::Clock(clock) => {
                // SAFETY: the future is pinned.
                let tick = unsafe { poll_tick(clock, &raw mut this.wait, &mut this.call, cx.waker()) };
                // SAFETY: a clock is found in a `Receiver<Instant>` only (Flavor's invariant): `T` is `Instant`.
                tick.map(|tick| Ok(unsafe { mem::transmute_copy::<Instant, T>(&tick) }))
            }
            receiver::Flavor::Nil => Poll::Pending,
        }
    }
}

/// # Safety
/// `wait` is pinned, and it is the wait of a future that receives from `chan`.
unsafe fn poll_recv<T>(chan: &Chan<T>, wait: *mut Wait<T>, waker: &Waker) -> Poll<Result<T, RecvError>> {
    // SAFETY: queued or not as the branches say; a waker that says `ok` has written the slot, and so has `take` if it
    // answers `Got`.
    unsafe {
        if (*wait).queued {
            match Wait::poll(wait, waker) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(true) => return Poll::Ready(Ok((*wait).slot.assume_init_read())),
                Poll::Ready(false) => {}
            }
        }
        let node = Wait::prepare(wait, waker);
        let mut owed = Owed::new();
        let lock = chan.lock_word();
        lock.lock();
        let took = chan.take((*wait).slot.as_mut_ptr(), &mut owed);
        if matches!(took, Take::Empty) {
            chan.enqueue_in(Side::Recv, &*node);
        }
        lock.unlock();
        owed.pay();
        match took {
            Take::Empty => return Poll::Pending,
            Take::Promised(sender) => {
                // As in `meet`, but nobody parks: the select finds our node, which is in no queue.
                give_record(sender, node);
                return Poll::Pending;
            }
            Take::Got | Take::Ended => {}
        }
        (*wait).queued = false;
        let value = matches!(took, Take::Got).then(|| (*wait).slot.assume_init_read());
        Poll::Ready(value.ok_or(RecvError))
    }
}

/// # Safety
/// `wait` is pinned, and it is the wait of a future that receives from `clock`.
unsafe fn poll_tick<T>(
    clock: &Clock,
    wait: *mut Wait<T>,
    call: &mut Option<Call>,
    waker: &Waker,
) -> Poll<Instant> {
    let lock = clock.lock_word();
    // SAFETY: queued with the clock's waiters or not, as the branches say; the lock is held where it must be.
    let due = unsafe {
        if (*wait).queued {
            // In a poll a goroutine must not yield; who wakes a clock's waiters has nothing else to do in between.
            Wait::cancel(wait, lock, |node| clock.dequeue(node), thread::yield_now);
        }
        let node = Wait::prepare(wait, waker);
        lock.lock();
        if let Some(tick) = clock.take() {
            lock.unlock();
            (*wait).queued = false;
            return Poll::Ready(tick.to_instant());
        }
        clock.enqueue(&*node);
        let due = clock.when();
        lock.unlock();
        due
    };
    if !call.as_ref().is_some_and(|call| call.at() == due && call.will_wake(waker)) {
        *call = (due != Moment::NEVER).then(|| Call::at_moment(due, waker.clone()));
    }
    Poll::Pending
}

/// Tells a select that was chosen to send who waits for its value.
///
/// # Safety
/// The caller has popped `sender`; `record` stays until it is woken.
unsafe fn give_record(sender: NonNull<Node>, record: *mut Node) {
    // SAFETY: popped and not yet woken.
    unsafe {
        sender.as_ref().slot.set(record.cast());
        sender.as_ref().ok.set(true);
        Node::wake(sender);
    }
}

impl<T> Drop for RecvFuture<'_, T> {
    fn drop(&mut self) {
        if !self.wait.queued {
            return;
        }
        let wait = &raw mut self.wait;
        match self.rx.flavor() {
            // SAFETY: queued with the receivers of this channel. If it was served there is a value in the slot.
            receiver::Flavor::Chan(chan) => unsafe {
                let take_back = |node: &Node| chan.dequeue_from(Side::Recv, node);
                if Wait::cancel(wait, chan.lock_word(), take_back, park::yield_now) {
                    chan.give_back(self.wait.slot.assume_init_read());
                }
            },
            // SAFETY: queued with the waiters of this clock.
            receiver::Flavor::Clock(clock) => unsafe {
                Wait::cancel(wait, clock.lock_word(), |node| clock.dequeue(node), thread::yield_now);
            },
            receiver::Flavor::Nil => {}
        }
    }
}

impl<T> Future for SendFuture<'_, T> {
    type Output = Result<(), SendError<T>>;

    /// # Panics
    /// If it is polled again after it was ready.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: nothing is moved out of the pinned future but the value, which is not pinned.
        let this = unsafe { self.get_unchecked_mut() };
        assert!(this.holds_value, "a send future was polled after it was ready");
        let sender::Flavor::Chan(chan) = this.tx.flavor() else { return Poll::Pending };
        // SAFETY: the future is pinned, and holds its value.
        match unsafe { poll_send(chan, &raw mut this.wait, cx.waker()) } {
            Poll::Pending => Poll::Pending,
            Poll::Ready(sent) => {
                this.holds_value = false;
                // SAFETY: unsent, the value is still there.
                let unsent = (!sent).then(|| unsafe { this.wait.slot.assume_init_read() });
                Poll::Ready(unsent.map_or(Ok(()), |value| Err(SendError(value))))
            }
        }
    }
}

/// # Safety
/// `wait` is pinned, it is the wait of a future that sends on `chan`, and its slot holds the value.
unsafe fn poll_send<T>(chan: &Chan<T>, wait: *mut Wait<T>, waker: &Waker) -> Poll<bool> {
    // SAFETY: queued or not as the branches say; the value is in the slot until it was sent.
    unsafe {
        if (*wait).queued {
            match Wait::poll(wait, waker) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(true) => return Poll::Ready(true),
                Poll::Ready(false) => {}
            }
        }
        let node = Wait::prepare(wait, waker);
        let offered = chan.offer_or_enqueue((*wait).slot.as_ptr(), &*node);
        if offered == Offered::Queued {
            return Poll::Pending;
        }
        (*wait).queued = false;
        Poll::Ready(offered == Offered::Taken)
    }
}

impl<T> Drop for SendFuture<'_, T> {
    fn drop(&mut self) {
        if let sender::Flavor::Chan(chan) = self.tx.flavor()
            && self.wait.queued
        {
            let take_back = |node: &Node| {
                // SAFETY: called under the lock; the node was queued there.
                unsafe { chan.dequeue_from(Side::Send, node) }
            };
            let wait = &raw mut self.wait;
            // SAFETY: queued with the senders of this channel.
            let sent = unsafe { Wait::cancel(wait, chan.lock_word(), take_back, park::yield_now) };
            self.holds_value = !sent;
        }
        if self.holds_value {
            // SAFETY: it was not sent.
            unsafe { self.wait.slot.assume_init_drop() };
        }
    }
}

impl<T> Stream for RecvStream<'_, T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let item = self.next.as_mut().poll(cx).map(Result::ok);
        self.ended = matches!(item, Poll::Ready(None));
        item
    }
}

impl<T> FusedStream for RecvStream<'_, T> {
    fn is_terminated(&self) -> bool {
        self.ended
    }
}

impl<T> fmt::Debug for RecvFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("RecvFuture { .. }")
    }
}

impl<T> fmt::Debug for SendFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("SendFuture { .. }")
    }
}

impl<T> fmt::Debug for RecvStream<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("RecvStream { .. }")
    }
}
