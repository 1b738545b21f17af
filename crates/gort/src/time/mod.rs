//! Time: sleeping, timers, tickers. Go's `time`, as far as it waits.
//!
//! There are two kinds of timers, and neither costs anything while it is not waited for:
//!
//! ```text
//!   Timer::new, after, Ticker, tick      a clock behind a channel: it knows when its next tick is due, and whoever
//!                                        receives looks (or waits) for that; nobody sends
//!   after_func                           an alarm: at the deadline it runs a function in a goroutine of its own
//! ```
//!
//! This room is the face of both. The clock belongs to `channel`, as it is a way to receive; the alarm (`alarm`) stands
//! on the runtime's clock. Neither calendar nor formatting lives here: moments are std's [`Instant`], on the monotonic
//! clock.
//!
//! Durations that are too long to be counted end at `LATEST`: such a timer is set, and does not come.

pub(crate) mod alarm;
pub(crate) mod detach;
mod ticker;
mod timer;

use gort_core::env::Moment;
use gort_core::park;

pub use std::time::{Duration, Instant};

pub use self::ticker::{Ticker, tick};
pub use self::timer::{Timer, after, after_func};

/// The last moment a timer can be set to: centuries away, and still a moment (`Moment::NEVER` would mean "not set").
const LATEST: Moment = Moment::from_nanos(u64::MAX - 1);

/// The moment `d` from now, at the latest [`LATEST`].
fn due_in(d: Duration) -> Moment {
    Moment::after(d).min(LATEST)
}

/// Parks the caller for at least `d`; not at all if `d` is zero. Go's `time.Sleep`. On a plain OS thread it blocks the
/// thread.
///
/// ```
/// use gort::time::{self, Duration, Instant};
///
/// let start = Instant::now();
/// time::sleep(Duration::from_millis(2));
/// assert!(start.elapsed() >= Duration::from_millis(2));
/// ```
pub fn sleep(d: Duration) {
    if !d.is_zero() {
        park::sleep_until(due_in(d));
    }
}
