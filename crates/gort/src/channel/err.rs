//! The errors of channels and selects: outcomes that a program expects, as values.
//!
//! Names, variants and traits are crossbeam-channel's; the texts are its too, except that a send which can never
//! succeed speaks with Go's words, `send on closed channel`. An error that gives a value back never prints it, so
//! that no bound on `T` is needed.

use std::error::Error;
use std::fmt;

const SEND_ENDED: &str = "send on closed channel";
const RECV_ENDED: &str = "receiving on an empty and disconnected channel";

/// A [`send`](super::Sender::send) failed because the channel is closed, or because nobody can receive from it any
/// more. Gives the value back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SendError<T>(pub T);

/// A [`try_send`](super::Sender::try_send) failed. Gives the value back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TrySendError<T> {
    /// The buffer is full, or, on a channel without a buffer, nobody is receiving right now.
    Full(T),
    /// The channel is closed, or nobody can receive from it any more.
    Disconnected(T),
}

/// A [`send_timeout`](super::Sender::send_timeout) or [`send_deadline`](super::Sender::send_deadline) failed. Gives the
/// value back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SendTimeoutError<T> {
    /// Nobody took the value in time.
    Timeout(T),
    /// The channel is closed, or nobody can receive from it any more.
    Disconnected(T),
}

/// A [`recv`](super::Receiver::recv) failed: the channel is empty, and closed or without senders. Go's comma-ok is
/// false.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecvError;

/// A [`try_recv`](super::Receiver::try_recv) failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryRecvError {
    /// There is nothing to receive right now.
    Empty,
    /// The channel is empty, and closed or without senders.
    Disconnected,
}

/// A [`recv_timeout`](super::Receiver::recv_timeout) or [`recv_deadline`](super::Receiver::recv_deadline) failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecvTimeoutError {
    /// Nothing came in time.
    Timeout,
    /// The channel is empty, and closed or without senders.
    Disconnected,
}

/// A [`try_select`](super::Select::try_select) found no operation that could proceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrySelectError;

/// A [`select_timeout`](super::Select::select_timeout) or [`select_deadline`](super::Select::select_deadline) ran out
/// of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SelectTimeoutError;

/// A [`try_ready`](super::Select::try_ready) found no operation that could proceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TryReadyError;

/// A [`ready_timeout`](super::Select::ready_timeout) or [`ready_deadline`](super::Select::ready_deadline) ran out of
/// time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadyTimeoutError;

impl<T> SendError<T> {
    /// The value that was not sent.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("SendError(..)")
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(SEND_ENDED)
    }
}

impl<T: Send> Error for SendError<T> {}

impl<T> TrySendError<T> {
    /// The value that was not sent.
    pub fn into_inner(self) -> T {
        match self {
            TrySendError::Full(value) | TrySendError::Disconnected(value) => value,
        }
    }

    /// Whether the send failed because there was no room right now.
    pub fn is_full(&self) -> bool {
        matches!(self, TrySendError::Full(_))
    }

    /// Whether the send failed because no send on this channel can succeed any more.
    pub fn is_disconnected(&self) -> bool {
        matches!(self, TrySendError::Disconnected(_))
    }
}

impl<T> fmt::Debug for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(if self.is_full() { "Full(..)" } else { "Disconnected(..)" })
    }
}

impl<T> fmt::Display for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(if self.is_full() { "sending on a full channel" } else { SEND_ENDED })
    }
}

impl<T: Send> Error for TrySendError<T> {}

impl<T> From<SendError<T>> for TrySendError<T> {
    fn from(err: SendError<T>) -> TrySendError<T> {
        TrySendError::Disconnected(err.0)
    }
}

impl<T> SendTimeoutError<T> {
    /// The value that was not sent.
    pub fn into_inner(self) -> T {
        match self {
            SendTimeoutError::Timeout(value) | SendTimeoutError::Disconnected(value) => value,
        }
    }

    /// Whether the send failed because its time was up.
    pub fn is_timeout(&self) -> bool {
        matches!(self, SendTimeoutError::Timeout(_))
    }

    /// Whether the send failed because no send on this channel can succeed any more.
    pub fn is_disconnected(&self) -> bool {
        matches!(self, SendTimeoutError::Disconnected(_))
    }
}

impl<T> fmt::Debug for SendTimeoutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("SendTimeoutError(..)")
    }
}

impl<T> fmt::Display for SendTimeoutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(if self.is_timeout() { "timed out waiting on send operation" } else { SEND_ENDED })
    }
}

impl<T: Send> Error for SendTimeoutError<T> {}

impl<T> From<SendError<T>> for SendTimeoutError<T> {
    fn from(err: SendError<T>) -> SendTimeoutError<T> {
        SendTimeoutError::Disconnected(err.0)
    }
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(RECV_ENDED)
    }
}

impl Error for RecvError {}

impl TryRecvError {
    /// Whether there was nothing to receive right now.
    pub fn is_empty(&self) -> bool {
        *self == TryRecvError::Empty
    }

    /// Whether nothing will ever be received from this channel again.
    pub fn is_disconnected(&self) -> bool {
        *self == TryRecvError::Disconnected
    }
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(if self.is_empty() { "receiving on an empty channel" } else { RECV_ENDED })
    }
}

impl Error for TryRecvError {}

impl From<RecvError> for TryRecvError {
    fn from(RecvError: RecvError) -> TryRecvError {
        TryRecvError::Disconnected
    }
}

impl RecvTimeoutError {
    /// Whether the receive failed because its time was up.
    pub fn is_timeout(&self) -> bool {
        *self == RecvTimeoutError::Timeout
    }

    /// Whether nothing will ever be received from this channel again.
    pub fn is_disconnected(&self) -> bool {
        *self == RecvTimeoutError::Disconnected
    }
}

impl fmt::Display for RecvTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(if self.is_timeout() {
            "timed out waiting on receive operation"
        } else {
            "channel is empty and disconnected"
        })
    }
}

impl Error for RecvTimeoutError {}

impl From<RecvError> for RecvTimeoutError {
    fn from(RecvError: RecvError) -> RecvTimeoutError {
        RecvTimeoutError::Disconnected
    }
}

impl fmt::Display for TrySelectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("all operations in select would block")
    }
}

impl Error for TrySelectError {}

impl fmt::Display for SelectTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("timed out waiting on select")
    }
}

impl Error for SelectTimeoutError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_name_the_cause_and_hide_the_value() {
        struct Opaque;
        assert_eq!(SendError(Opaque).to_string(), "send on closed channel");
        assert_eq!(TrySendError::Disconnected(Opaque).to_string(), "send on closed channel");
        assert_eq!(TrySendError::Full(Opaque).to_string(), "sending on a full channel");
        assert_eq!(SendTimeoutError::Disconnected(Opaque).to_string(), "send on closed channel");
        assert_eq!(format!("{:?}", SendError(Opaque)), "SendError(..)");
        assert_eq!(format!("{:?}", TrySendError::Full(Opaque)), "Full(..)");
        assert_eq!(format!("{:?}", SendTimeoutError::Timeout(Opaque)), "SendTimeoutError(..)");
        assert_eq!(RecvTimeoutError::Disconnected.to_string(), "channel is empty and disconnected");
        assert_eq!(TryRecvError::from(RecvError), TryRecvError::Disconnected);
    }
}
