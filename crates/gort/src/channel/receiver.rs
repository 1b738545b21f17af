//! The receiving end.

use std::fmt;
use std::mem;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};

use gort_core::env::Moment;
use gort_core::ids::WaitReason;
use gort_core::park;

use super::chan::Outcome;
use super::clock::{AT_ONCE, Clock};
use super::ends::RecvEnd;
use super::{RecvError, RecvTimeoutError, TryRecvError, wait_until};

/// The receiving end of a channel. Clones are further receivers of the same channel; each value goes to one of them.
///
/// When the last one is dropped the buffered values are dropped, and sends fail from then on.
///
/// ```
/// let (tx, rx) = gort::chan(2);
/// tx.send(1).unwrap();
/// tx.send(2).unwrap();
/// tx.close();
/// // Go's `for v := range ch`:
/// let mut sum = 0;
/// for v in &rx {
///     sum += v;
/// }
/// assert_eq!(sum, 3);
/// ```
pub struct Receiver<T> {
    flavor: Flavor<T>,
}

/// What is behind a receiver. Invariant: `Clock` is found in a `Receiver<Instant>` only.
pub(super) enum Flavor<T> {
    Chan(RecvEnd<T>),
    Clock(Clock),
    Nil,
}

// SAFETY: a receiver lets values be moved here from other threads, and nothing else; the channel is `Sync` for
// `T: Send`.
unsafe impl<T: Send> Send for Receiver<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Receiver<T> {}
impl<T> UnwindSafe for Receiver<T> {}
impl<T> RefUnwindSafe for Receiver<T> {}

impl Receiver<Instant> {
    pub(super) fn of_clock(clock: Clock) -> Receiver<Instant> {
        Receiver { flavor: Flavor::Clock(clock) }
    }
}

impl<T> Receiver<T> {
    pub(super) fn of_chan(end: RecvEnd<T>) -> Receiver<T> {
        Receiver { flavor: Flavor::Chan(end) }
    }

    #[inline]
    pub(super) fn flavor(&self) -> &Flavor<T> {
        &self.flavor
    }

    /// A receiver of no channel: Go's nil channel. A receive on it blocks for ever, a select never chooses it.
    ///
    /// It is how a case of a select is switched off.
    ///
    /// ```
    /// use gort::channel::{Receiver, TryRecvError};
    /// let mut rx = Receiver::<u8>::nil();
    /// assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    /// # let _ = &mut rx;
    /// ```
    pub const fn nil() -> Receiver<T> {
        Receiver { flavor: Flavor::Nil }
    }

    /// Receives a value: Go's `v, ok := <-ch`, where `Err` stands for `!ok`.
    ///
    /// Parks while there is none. Waiting receivers are served first come, first served.
    ///
    /// # Errors
    /// If the channel is empty, and closed or without senders.
    ///
    /// ```
    /// let (tx, rx) = gort::chan(0);
    /// std::thread::spawn(move || tx.send(7));
    /// assert_eq!(rx.recv(), Ok(7));
    /// assert!(rx.recv().is_err(), "the sender is gone");
    /// ```
    #[inline]
    pub fn recv(&self) -> Result<T, RecvError> {
        self.recv_as(Moment::NEVER, Ok, |_| Err(RecvError))
    }

    /// The same without a reason: what loops over a channel want.
    #[inline]
    pub(super) fn next_value(&self) -> Option<T> {
        self.recv_as(Moment::NEVER, Some, |_| None)
    }

    /// Receives a value if there is one: a `select` with this case and a default.
    ///
    /// If the one value that there is comes from a `select!` elsewhere which has just been chosen to send, this waits
    /// until that value has been computed.
    ///
    /// # Errors
    /// If there is none right now, or none will come any more.
    ///
    /// ```
    /// use gort::channel::TryRecvError;
    /// let (tx, rx) = gort::chan(1);
    /// assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    /// tx.send(7).unwrap();
    /// assert_eq!(rx.try_recv(), Ok(7));
    /// tx.close();
    /// assert_eq!(rx.try_recv(), Err(TryRecvError::Disconnected));
    /// ```
    #[inline]
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        let not = |outcome| match outcome {
            Outcome::Ended => Err(TryRecvError::Disconnected),
            _ => Err(TryRecvError::Empty),
        };
        match &self.flavor {
            Flavor::Chan(chan) => {
                park::checkpoint();
                chan.try_recv(Ok, not)
            }
            _ => self.recv_as(AT_ONCE, Ok, not),
        }
    }

    /// Receives a value, waiting for `timeout` at the longest. (One that a `select!` has chosen to send here is waited for until
    /// it has been computed.)
    ///
    /// # Errors
    /// As for [`recv`](Receiver::recv), and if the time is up.
    ///
    /// ```
    /// use std::time::Duration;
    /// use gort::channel::RecvTimeoutError;
    /// let (_tx, rx) = gort::chan::<u8>(0);
    /// assert_eq!(rx.recv_timeout(Duration::from_millis(5)), Err(RecvTimeoutError::Timeout));
    /// ```
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.recv_by(Moment::after(timeout))
    }

    /// Receives a value, waiting until `deadline` at the longest, as with [`recv_timeout`](Receiver::recv_timeout).
    ///
    /// # Errors
    /// As for [`recv`](Receiver::recv), and if the time is up.
    pub fn recv_deadline(&self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        self.recv_by(Moment::from(deadline))
    }

    pub(super) fn recv_by(&self, deadline: Moment) -> Result<T, RecvTimeoutError> {
        self.recv_as(deadline, Ok, |outcome| match outcome {
            Outcome::Ended => Err(RecvTimeoutError::Disconnected),
            _ => Err(RecvTimeoutError::Timeout),
        })
    }

    #[inline]
    fn recv_as<R>(&self, deadline: Moment, got: impl Fn(T) -> R, not: impl FnOnce(Outcome) -> R) -> R {
        park::checkpoint();
        match &self.flavor {
            Flavor::Chan(chan) => chan.recv(deadline, got, not),
            Flavor::Clock(clock) => match recv_tick(clock, deadline) {
                Some(tick) => got(tick),
                None => not(Outcome::TimedOut),
            },
            Flavor::Nil => not(wait_until(WaitReason::ChanReceiveNil, deadline)),
        }
    }

    /// Whether the channel was [closed](super::Sender::close), or all senders are gone. There may still be buffered
    /// values.
    pub fn is_closed(&self) -> bool {
        match &self.flavor {
            Flavor::Chan(chan) => chan.has_ended(),
            Flavor::Clock(_) | Flavor::Nil => false,
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
            Flavor::Clock(clock) => clock.len() == clock.capacity(),
            Flavor::Nil => true,
        }
    }

    /// The number of buffered values: Go's `len`.
    pub fn len(&self) -> usize {
        match &self.flavor {
            Flavor::Chan(chan) => chan.len(),
            Flavor::Clock(clock) => clock.len(),
            Flavor::Nil => 0,
        }
    }

    /// The size of the buffer, Go's `cap`; `None` if it has no bound.
    pub fn capacity(&self) -> Option<usize> {
        match &self.flavor {
            Flavor::Chan(chan) => chan.capacity(),
            Flavor::Clock(clock) => Some(clock.capacity()),
            Flavor::Nil => Some(0),
        }
    }

    /// Whether both are receivers of one channel.
    pub fn same_channel(&self, other: &Receiver<T>) -> bool {
        self.id() == other.id()
    }

    /// Whether there is a clock behind it.
    #[inline]
    pub(crate) fn ticks(&self) -> bool {
        matches!(self.flavor, Flavor::Clock(_))
    }

    /// The channel's identity; null for nil.
    pub(crate) fn id(&self) -> *const () {
        match &self.flavor {
            Flavor::Chan(chan) => chan.id(),
            Flavor::Clock(clock) => clock.id(),
            Flavor::Nil => std::ptr::null(),
        }
    }
}

/// `T` is `Instant`.
#[inline(never)]
fn recv_tick<T>(clock: &Clock, deadline: Moment) -> Option<T> {
    let tick = clock.recv(deadline)?;
    debug_assert_eq!(mem::size_of::<T>(), mem::size_of::<Instant>());
    // SAFETY: a clock is found in a `Receiver<Instant>` only (Flavor's invariant), so `T` is `Instant`.
    Some(unsafe { mem::transmute_copy::<Instant, T>(&tick) })
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Receiver<T> {
        let flavor = match &self.flavor {
            Flavor::Chan(chan) => Flavor::Chan(chan.clone()),
            Flavor::Clock(clock) => Flavor::Clock(clock.clone()),
            Flavor::Nil => Flavor::Nil,
        };
        Receiver { flavor }
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Receiver { .. }")
    }
}
