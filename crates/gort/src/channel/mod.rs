//! Channels: crossbeam-channel's API with Go's semantics.
//!
//! ```
//! let (tx, rx) = gort::chan::<u32>(2);      // make(chan uint32, 2)
//! tx.send(1).unwrap();                      // ch <- 1
//! tx.close();                               // close(ch)
//! assert_eq!(rx.recv(), Ok(1));             // v, ok := <-ch
//! assert!(rx.recv().is_err());              // ok == false
//! ```
//!
//! A channel has a buffer of fixed size, perhaps zero, or an unbounded one. Both ends may be cloned and shared. Waiters
//! are served first come, first served; a value goes straight to a waiting receiver; a receiver that frees a slot moves
//! the first waiting sender's value into it. Everything works between goroutines, between OS threads, and between the
//! two: what would park a goroutine blocks a thread.
//!
//! | operation | nil channel        | closed channel                                        |
//! |-----------|--------------------|-------------------------------------------------------|
//! | send      | blocks for ever    | `Err`, with the value                                 |
//! | receive   | blocks for ever    | what is buffered, then `Err`                          |
//! | close     | panics             | panics (but an end by dropped senders may be followed by a close) |
//! | in select | never chosen       | ready                                                 |
//!
//! Rooms: `chan` is the channel, `ring` its buffer, `ends` counts who holds it, `clock` are the channels of timers, `case`
//! is what a select sees, `future` what async code sees. This room knows nothing of selects, sockets or the scheduler.

mod calls;
mod case;
mod chan;
pub(crate) mod clock;
mod ends;
mod err;
mod future;
mod iter;
mod owed;
mod receiver;
mod ring;
mod sender;

use std::time::{Duration, Instant};

use gort_core::claim::Claim;
use gort_core::env::Moment;
use gort_core::ids::WaitReason;
use gort_core::park;

pub use err::{
    ReadyTimeoutError, RecvError, RecvTimeoutError, SelectTimeoutError, SendError, SendTimeoutError,
    TryReadyError, TryRecvError, TrySelectError, TrySendError,
};
pub use future::{RecvFuture, RecvStream, SendFuture};
pub use iter::{IntoIter, Iter, TryIter};
pub use receiver::Receiver;
pub use sender::Sender;

pub use crate::select::{Select, SelectedOperation};
pub use crate::{select, select_biased};

pub(crate) use case::{Begun, Case};
pub(crate) use chan::meet;
pub(crate) use clock::AT_ONCE;
pub(crate) use owed::Owed;

use chan::{Chan, Outcome};
use clock::Clock;

/// A channel with a buffer of `cap` values: Go's `make(chan T, cap)`. Also known as [`gort::chan`](crate::chan).
///
/// With a `cap` of 0 each send waits for its receiver: the two meet.
///
/// # Panics
/// `makechan: size out of range` if there is no memory for such a buffer.
///
/// ```
/// let (tx, rx) = gort::channel::bounded(1);
/// tx.send("first").unwrap();
/// let sender = std::thread::spawn(move || tx.send("second")); // waits until there is room
/// assert_eq!(rx.iter().collect::<Vec<_>>(), ["first", "second"]);
/// # sender.join().unwrap().unwrap();
/// ```
#[track_caller]
pub fn bounded<T>(cap: usize) -> (Sender<T>, Receiver<T>) {
    match Chan::bounded(cap) {
        Ok(chan) => ends_of(chan),
        Err(ring::OutOfRange) => panic!("makechan: size out of range"),
    }
}

/// A channel whose buffer grows as needed: a send never waits.
///
/// ```
/// let (tx, rx) = gort::channel::unbounded();
/// for n in 0..1000 {
///     tx.send(n).unwrap();
/// }
/// assert_eq!(rx.len(), 1000);
/// assert_eq!(rx.capacity(), None);
/// ```
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    ends_of(Chan::unbounded())
}

/// A channel with a buffer of `cap` values that calls `unheard` when its last receiver has gone.
pub(crate) fn heeded<T>(cap: usize, unheard: fn()) -> (Sender<T>, Receiver<T>) {
    let chan = Chan::bounded(cap).unwrap_or_else(|ring::OutOfRange| panic!("makechan: size out of range"));
    let (send, recv) = ends::pair(chan, Some(unheard));
    (Sender::of_chan(send), Receiver::of_chan(recv))
}

fn ends_of<T>(chan: Chan<T>) -> (Sender<T>, Receiver<T>) {
    let (send, recv) = ends::pair(chan, None);
    (Sender::of_chan(send), Receiver::of_chan(recv))
}

/// A channel that delivers one value after `duration`: the moment at which it was due.
///
/// Nothing runs in the background: what is not received costs nothing.
///
/// ```
/// use std::time::{Duration, Instant};
/// let start = Instant::now();
/// let due = gort::channel::after(Duration::from_millis(10)).recv().unwrap();
/// assert!(due >= start + Duration::from_millis(10));
/// ```
pub fn after(duration: Duration) -> Receiver<Instant> {
    Clock::buffered(Moment::after(duration), None).receiver()
}

/// A channel that delivers one value, `when`, at that instant.
pub fn at(when: Instant) -> Receiver<Instant> {
    Clock::buffered(Moment::from(when), None).receiver()
}

/// A channel that delivers a value every `period`: the moment at which it was due. A receiver that comes late finds one
/// tick, not all that it has missed, and the ticks keep their phase. Of several receivers one gets it, whichever looks first:
/// that may be the same one each time.
///
/// ```
/// use std::time::{Duration, Instant};
/// let start = Instant::now();
/// let ticks = gort::channel::tick(Duration::from_millis(5));
/// ticks.recv().unwrap();
/// ticks.recv().unwrap();
/// assert!(start.elapsed() >= Duration::from_millis(10));
/// ```
pub fn tick(period: Duration) -> Receiver<Instant> {
    Clock::buffered(Moment::after(period), Some(period)).receiver()
}

/// A channel that never delivers anything: [`Receiver::nil`] under crossbeam-channel's name.
///
/// ```
/// use gort::channel::{after, never};
/// use std::time::Duration;
/// let limit = Some(Duration::from_millis(5));
/// let (_tx, rx) = gort::chan::<u8>(0);
/// gort::select! {
///     recv(rx) -> _ => unreachable!(),
///     recv(limit.map_or(never(), after)) -> _ => println!("timed out"),
/// }
/// ```
pub const fn never<T>() -> Receiver<T> {
    Receiver::nil()
}

/// Waits on a nil channel.
#[cold]
fn wait_until(reason: WaitReason, deadline: Moment) -> Outcome {
    if deadline != AT_ONCE {
        let claim = Claim::new();
        park::park_until(reason, deadline, &claim, || {});
    }
    Outcome::TimedOut
}
