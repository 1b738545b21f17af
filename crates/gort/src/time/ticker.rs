//! Events at regular intervals, on a channel: a clock with a period.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::{Duration, Instant, due_in};
use crate::channel::Receiver;
use crate::channel::clock::Clock;

/// A channel that ticks every `period`, for ever; a nil channel if `period` is zero. Go's `time.Tick`.
///
/// As with a [`Ticker`], slow receivers miss ticks, and a channel that nobody refers to any more costs nothing.
///
/// ```
/// use gort::time::{self, Duration};
///
/// let ticks: Vec<_> = time::tick(Duration::from_millis(1)).into_iter().take(3).collect();
/// assert!(ticks[2] - ticks[0] >= Duration::from_millis(2));
/// ```
pub fn tick(period: Duration) -> Receiver<Instant> {
    if period.is_zero() {
        return Receiver::nil();
    }
    Clock::new(Some(due_in(period)), Some(period)).receiver()
}

/// A channel that ticks at regular intervals: Go's `time.Ticker`.
///
/// A tick's value is the moment it was due. Ticks keep their phase however late they are received; there is at most one
/// to receive, so a receiver that is slow misses some. Of several receivers one gets a tick, whichever looks first: that may
/// be the same one each time. None of the calls parks.
///
/// ```
/// use gort::time::{Duration, Ticker};
///
/// let ticker = Ticker::new(Duration::from_millis(1));
/// let (first, second) = (ticker.c().recv().unwrap(), ticker.c().recv().unwrap());
/// assert_eq!((second - first).as_nanos() % 1_000_000, 0);
/// ticker.stop();
/// assert!(ticker.c().try_recv().is_err());
/// ```
pub struct Ticker {
    clock: Clock,
    c: Receiver<Instant>,
}

impl Ticker {
    /// A ticker whose first tick is due `period` from now. Go's `time.NewTicker`.
    ///
    /// # Panics
    /// If `period` is zero.
    #[track_caller]
    pub fn new(period: Duration) -> Ticker {
        assert!(!period.is_zero(), "non-positive interval for NewTicker");
        let clock = Clock::new(Some(due_in(period)), Some(period));
        let c = clock.receiver();
        Ticker { clock, c }
    }

    /// The ticker's channel. Its `len` and `capacity` are 0 even while there is a tick to receive. Go's field `C`.
    ///
    /// A clone of the channel goes on ticking when the ticker is dropped.
    pub fn c(&self) -> &Receiver<Instant> {
        &self.c
    }

    /// Ends the ticking: after the return nothing can be received, until a [`reset`](Ticker::reset). The channel is not
    /// closed. Go's `Ticker.Stop`.
    pub fn stop(&self) {
        self.clock.stop();
    }

    /// Starts anew with another `period`: the next tick is due `period` from now, and none of the old ticks can be
    /// received. Go's `Ticker.Reset`.
    ///
    /// # Panics
    /// If `period` is zero.
    #[track_caller]
    pub fn reset(&self, period: Duration) {
        assert!(!period.is_zero(), "non-positive interval for Ticker.Reset");
        self.clock.reset(due_in(period), Some(period));
    }
}

impl fmt::Debug for Ticker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticker").finish_non_exhaustive()
    }
}

// A panic can not interrupt a change of a ticker: no user code runs in one.
impl UnwindSafe for Ticker {}
impl RefUnwindSafe for Ticker {}
