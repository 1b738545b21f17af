//! The sending end.

use std::fmt;
use std::mem;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};

use gort_core::env::Moment;
use gort_core::ids::WaitReason;
use gort_core::park;

use super::chan::{CLOSED, Outcome};
use super::ends::SendEnd;
use super::owed::Owed;
use super::{Begun, SendError, SendTimeoutError, TrySendError, wait_until};
use crate::waitq::Node;

/// The sending end of a channel. Clones are further senders of the same channel.
///
/// When the last one is dropped the channel ends, as if it had been [closed](Sender::close): receivers get what is
/// buffered, then [`RecvError`](super::RecvError).
///
/// ```
/// let (tx, rx) = gort::chan(1);
/// tx.send("hello").unwrap();
/// drop(tx);
/// assert_eq!(rx.recv(), Ok("hello"));
/// assert!(rx.recv().is_err());
/// ```
pub struct Sender<T> {
    flavor: Flavor<T>,
}

/// What is behind a sender.
pub(super) enum Flavor<T> {
    Chan(SendEnd<T>),
    Nil,
}

// SAFETY: a sender lets values be moved to other threads, and nothing else; the channel is `Sync` for `T: Send`.
unsafe impl<T: Send> Send for Sender<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Sender<T> {}
impl<T> UnwindSafe for Sender<T> {}
impl<T> RefUnwindSafe for Sender<T> {}

impl<T> Sender<T> {
    pub(super) fn of_chan(end: SendEnd<T>) -> Sender<T> {
        Sender { flavor: Flavor::Chan(end) }
    }

    #[inline]
    pub(super) fn flavor(&self) -> &Flavor<T> {
        &self.flavor
    }

    /// A sender of no channel: Go's nil channel. A send on it blocks for ever, a select never chooses it.
    ///
    /// It is how a case of a select is switched off.
    ///
    /// ```
    /// use gort::channel::{Sender, TrySendError};
    /// let tx = Sender::nil();
    /// assert_eq!(tx.try_send(1), Err(TrySendError::Full(1)));
    /// ```
    pub const fn nil() -> Sender<T> {
        Sender { flavor: Flavor::Nil }
    }

    /// Sends a value: Go's `ch <- v`.
    ///
    /// Parks while the buffer is full, or, if the channel has none, until a receiver takes the value. Waiting senders
    /// are served first come, first served.
    ///
    /// # Errors
    /// Gives the value back if the channel is closed or nobody can receive from it any more, also if that happens while
    /// this send waits. (In Go a send on a closed channel panics.)
    ///
    /// ```
    /// let (tx, rx) = gort::chan(1);
    /// assert_eq!(tx.send(7), Ok(()));
    /// drop(rx);
    /// assert_eq!(tx.send(8).unwrap_err().into_inner(), 8);
    /// ```
    #[inline]
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        // SAFETY: the value is there, and forgotten if it has been moved out.
        match unsafe { self.send_until(&raw const value, Moment::NEVER) } {
            Outcome::Done => gone(value),
            _ => Err(SendError(value)),
        }
    }

    /// Sends a value if that is possible without waiting: a `select` with this case and a default.
    ///
    /// # Errors
    /// Gives the value back if there is no room and no receiver waits, or if no send can succeed any more.
    ///
    /// ```
    /// use gort::channel::TrySendError;
    /// let (tx, _rx) = gort::chan(1);
    /// assert_eq!(tx.try_send(1), Ok(()));
    /// assert_eq!(tx.try_send(2), Err(TrySendError::Full(2)));
    /// ```
    #[inline]
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        park::checkpoint();
        let Flavor::Chan(chan) = &self.flavor else { return Err(TrySendError::Full(value)) };
        // SAFETY: the value is there, and forgotten if it has been moved out.
        match unsafe { chan.try_send(&raw const value) } {
            Outcome::Done => gone(value),
            Outcome::Ended => Err(TrySendError::Disconnected(value)),
            Outcome::TimedOut => Err(TrySendError::Full(value)),
        }
    }

    /// Sends a value, waiting for `timeout` at the longest.
    ///
    /// # Errors
    /// As for [`send`](Sender::send), and if the time is up.
    ///
    /// ```
    /// use std::time::Duration;
    /// use gort::channel::SendTimeoutError;
    /// let (tx, _rx) = gort::chan(0);
    /// assert_eq!(tx.send_timeout(1, Duration::from_millis(5)), Err(SendTimeoutError::Timeout(1)));
    /// ```
    pub fn send_timeout(&self, value: T, timeout: Duration) -> Result<(), SendTimeoutError<T>> {
        self.send_by(value, Moment::after(timeout))
    }

    /// Sends a value, waiting until `deadline` at the longest.
    ///
    /// # Errors
    /// As for [`send`](Sender::send), and if the time is up.
    pub fn send_deadline(&self, value: T, deadline: Instant) -> Result<(), SendTimeoutError<T>> {
        self.send_by(value, Moment::from(deadline))
    }

    fn send_by(&self, value: T, deadline: Moment) -> Result<(), SendTimeoutError<T>> {
        // SAFETY: the value is there, and forgotten if it has been moved out.
        match unsafe { self.send_until(&raw const value, deadline) } {
            Outcome::Done => gone(value),
            Outcome::Ended => Err(SendTimeoutError::Disconnected(value)),
            Outcome::TimedOut => Err(SendTimeoutError::Timeout(value)),
        }
    }

    /// # Safety
    /// As for [`Chan::send`](super::chan::Chan::send).
    #[inline]
    unsafe fn send_until(&self, value: *const T, deadline: Moment) -> Outcome {
        park::checkpoint();
        match &self.flavor {
            // SAFETY: the caller's promise.
            Flavor::Chan(chan) => unsafe { chan.send(value, deadline) },
            Flavor::Nil => wait_until(WaitReason::ChanSendNil, deadline),
        }
    }

    /// [`send`](Sender::send) on an unbounded channel, where it never waits, without a checkpoint: it does not yield either.
    pub(super) fn send_from_poll(&self, value: T) -> Result<(), SendError<T>> {
        debug_assert!(self.capacity().is_none());
        let Flavor::Chan(chan) = &self.flavor else { return Err(SendError(value)) };
        // SAFETY: the value is there, and forgotten if it has been moved out.
        match unsafe { chan.send(&raw const value, Moment::NEVER) } {
            Outcome::Done => gone(value),
            Outcome::Ended | Outcome::TimedOut => Err(SendError(value)),
        }
    }

    /// [`try_send`](Sender::try_send) without a checkpoint, for one that holds a lock: whoever is to be woken is added to
    /// what is owed. True if the value was taken.
    pub(crate) fn try_send_owing(&self, value: T, owed: &mut Owed) -> bool
    where
        T: Copy,
    {
        match &self.flavor {
            Flavor::Chan(chan) => chan.try_send_owing(value, owed),
            Flavor::Nil => false,
        }
    }

    /// Completes a send that a select has begun on this channel.
    ///
    /// # Safety
    /// `begun` came from a sender of this channel and was neither completed nor undone.
    pub(crate) unsafe fn complete(&self, begun: Begun, value: T) -> Result<(), SendError<T>> {
        let sent = match (&self.flavor, begun) {
            // SAFETY: the caller owns the reservation; the value is gone if the answer is true.
            (Flavor::Chan(chan), Begun::Reserved) => unsafe { chan.send_reserved(&raw const value) },
            (Flavor::Chan(_), Begun::Receiver(node)) => {
                // SAFETY: popped and not yet woken; its slot is for a value of this channel.
                unsafe {
                    node.as_ref().slot.get().cast::<T>().copy_from_nonoverlapping(&raw const value, 1);
                    node.as_ref().ok.set(true);
                    Node::wake(node);
                }
                true
            }
            _ => false,
        };
        if sent { gone(value) } else { Err(SendError(value)) }
    }

    /// Closes the channel: Go's `close`. Nothing can be sent any more; receivers get what is buffered, then
    /// [`RecvError`](super::RecvError). Whoever waits to send gets [`SendError`] with the value.
    ///
    /// Senders need not be closed: the last one that is dropped ends the channel as well.
    ///
    /// # Panics
    /// `close of closed channel` the second time, `close of nil channel` for [`Sender::nil`].
    ///
    /// ```
    /// let (tx, rx) = gort::chan(2);
    /// tx.send(1).unwrap();
    /// tx.close();
    /// assert!(tx.send(2).is_err());
    /// assert_eq!(rx.iter().collect::<Vec<_>>(), [1]);
    /// ```
    #[track_caller]
    pub fn close(&self) {
        match &self.flavor {
            Flavor::Chan(chan) => assert!(chan.end(CLOSED), "close of closed channel"),
            Flavor::Nil => panic!("close of nil channel"),
        }
    }

    /// Whether no send can succeed any more: the channel was [closed](Sender::close), or all receivers are gone.
    pub fn is_closed(&self) -> bool {
        match &self.flavor {
            Flavor::Chan(chan) => chan.has_ended(),
            Flavor::Nil => false,
        }
    }

    /// Whether no value is buffered. Always true for a channel without a buffer.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the buffer is full. Always true for a channel without a buffer.
    pub fn is_full(&self) -> bool {
        match &self.flavor {
            Flavor::Chan(chan) => chan.is_full(),
            Flavor::Nil => true,
        }
    }

    /// The number of buffered values: Go's `len`.
    pub fn len(&self) -> usize {
        match &self.flavor {
            Flavor::Chan(chan) => chan.len(),
            Flavor::Nil => 0,
        }
    }

    /// The size of the buffer, Go's `cap`; `None` if it has no bound.
    pub fn capacity(&self) -> Option<usize> {
        match &self.flavor {
            Flavor::Chan(chan) => chan.capacity(),
            Flavor::Nil => Some(0),
        }
    }

    /// Whether both are senders of one channel.
    pub fn same_channel(&self, other: &Sender<T>) -> bool {
        self.id() == other.id()
    }

    /// The channel's identity; null for nil.
    pub(crate) fn id(&self) -> *const () {
        match &self.flavor {
            Flavor::Chan(chan) => chan.id(),
            Flavor::Nil => std::ptr::null(),
        }
    }
}

/// The value has been moved out through a pointer: what is left here is not dropped. Between the two nothing unwinds: a
/// channel runs no code of others but wakers of futures, whose panics end where they are called.
///
/// Arguments are pointed to where they are and forgotten where they are: a large value that is put into another place first,
/// be it a `ManuallyDrop`, is copied once more.
#[inline]
fn gone<T, E>(value: T) -> Result<(), E> {
    mem::forget(value);
    Ok(())
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        match &self.flavor {
            Flavor::Chan(chan) => Sender::of_chan(chan.clone()),
            Flavor::Nil => Sender::nil(),
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Sender { .. }")
    }
}
