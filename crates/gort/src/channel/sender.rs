//! The sending end.

use std::fmt;
use std::mem::ManuallyDrop;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};

use gort_core::env::Moment;
use gort_core::ids::WaitReason;

use super::chan::{CLOSED, Outcome};
use super::ends::SendEnd;
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
        let mut value = ManuallyDrop::new(value);
        match self.send_until(&mut value, Moment::NEVER) {
            Outcome::Done => Ok(()),
            // SAFETY: only `Done` means that the value has been moved out.
            _ => Err(SendError(unsafe { ManuallyDrop::take(&mut value) })),
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
        let Flavor::Chan(chan) = &self.flavor else { return Err(TrySendError::Full(value)) };
        let mut value = ManuallyDrop::new(value);
        // SAFETY: the pointer is to a value, which counts as moved out from `Done` on.
        let outcome = unsafe { chan.try_send(&mut *value) };
        if outcome == Outcome::Done {
            return Ok(());
        }
        // SAFETY: only `Done` means that the value has been moved out.
        let value = unsafe { ManuallyDrop::take(&mut value) };
        Err(match outcome {
            Outcome::Ended => TrySendError::Disconnected(value),
            _ => TrySendError::Full(value),
        })
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
        let mut value = ManuallyDrop::new(value);
        let outcome = self.send_until(&mut value, deadline);
        if outcome == Outcome::Done {
            return Ok(());
        }
        // SAFETY: only `Done` means that the value has been moved out.
        let value = unsafe { ManuallyDrop::take(&mut value) };
        Err(match outcome {
            Outcome::Ended => SendTimeoutError::Disconnected(value),
            _ => SendTimeoutError::Timeout(value),
        })
    }

    #[inline]
    fn send_until(&self, value: &mut ManuallyDrop<T>, deadline: Moment) -> Outcome {
        match &self.flavor {
            // SAFETY: the pointer is to a value; the callers know that it is gone after `Done`.
            Flavor::Chan(chan) => unsafe { chan.send(&mut **value, deadline) },
            Flavor::Nil => wait_until(WaitReason::ChanSendNil, deadline),
        }
    }

    /// Completes a send that a select has begun on this channel.
    ///
    /// # Safety
    /// `begun` came from a sender of this channel and was neither completed nor undone.
    pub(crate) unsafe fn complete(&self, begun: Begun, value: T) -> Result<(), SendError<T>> {
        let mut value = ManuallyDrop::new(value);
        let sent = match (&self.flavor, begun) {
            // SAFETY: the caller owns the reservation; the value is gone if the answer is true.
            (Flavor::Chan(chan), Begun::Reserved) => unsafe { chan.send_reserved(&*value) },
            (Flavor::Chan(_), Begun::Receiver(node)) => {
                // SAFETY: popped and not yet woken; its slot is for a value of this channel.
                unsafe {
                    node.as_ref().slot.get().cast::<T>().copy_from_nonoverlapping(&*value, 1);
                    node.as_ref().ok.set(true);
                    Node::wake(node);
                }
                true
            }
            _ => false,
        };
        // SAFETY: it was not moved out.
        if sent { Ok(()) } else { Err(SendError(unsafe { ManuallyDrop::take(&mut value) })) }
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
