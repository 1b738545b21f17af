//! One event in the future: a tick on a channel ([`Timer::new`], [`after`]) or a call ([`after_func`]).
//!
//! A timer with a channel is a clock that ticks once. A timer with a function is an alarm and the function; the alarm
//! may fire again before a run of the function has ended (a reset can be short), while the function is an `FnMut`, so
//! [`Runs`] makes the runs follow each other.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use gort_core::lock::Spin;

use super::alarm::Alarm;
use super::detach::contain;
use super::{Duration, Instant, due_in};
use crate::channel::Receiver;
use crate::channel::clock::Clock;

/// A channel that gives one value once `d` has passed: the moment it was due. Go's `time.After`.
///
/// Nothing runs in the background, and a channel that is dropped unused costs nothing more.
///
/// ```
/// use gort::time::{self, Duration};
///
/// let timeout = time::after(Duration::from_millis(2));
/// assert!(timeout.recv().is_ok());
/// ```
pub fn after(d: Duration) -> Receiver<Instant> {
    Clock::new(Some(due_in(d)), None).receiver()
}

/// Runs `f` in a goroutine of its own once `d` has passed, unless the [`Timer`] is stopped before. Go's
/// `time.AfterFunc`.
///
/// Dropping the `Timer` does not stop it. [`Timer::reset`] makes `f` run again (or later); that is why `f` is an `FnMut`.
/// Runs never overlap: one that is due while another lasts follows it, in the same goroutine. Where there is no
/// runtime, `f` runs in a thread of its own. A panic of `f` is reported and ends that run only.
///
/// ```
/// use gort::time::{self, Duration};
///
/// let (tx, rx) = gort::chan(1);
/// time::after_func(Duration::from_millis(2), move || tx.send("now").unwrap());
/// assert_eq!(rx.recv(), Ok("now"));
/// ```
#[track_caller]
pub fn after_func<F>(d: Duration, f: F) -> Timer
where
    F: FnMut() + Send + 'static,
{
    let runs = Runs::new(Box::new(f));
    let alarm = Alarm::new(move || runs.one_more());
    alarm.start(due_in(d));
    Timer { what: What::Func(alarm), c: Receiver::nil() }
}

/// One event in the future: Go's `time.Timer`.
///
/// [`Timer::new`] makes one with a channel, [`after_func`] one that calls a function. Share it by reference or `Arc`; all
/// calls may be made from anywhere, at the same time. None of them parks.
///
/// ```
/// use gort::time::{Duration, Timer};
///
/// let timer = Timer::new(Duration::from_secs(3600));
/// assert!(timer.reset(Duration::from_millis(1))); // it was running
/// assert!(timer.c().recv().is_ok());
/// assert!(!timer.stop()); // it has fired, and the tick was received
/// ```
pub struct Timer {
    what: What,
    /// Nil if there is a function.
    c: Receiver<Instant>,
}

enum What {
    Tick(Clock),
    Func(Alarm),
}

impl Timer {
    /// A timer whose channel gives one value once `d` has passed. Go's `time.NewTimer`.
    pub fn new(d: Duration) -> Timer {
        let clock = Clock::new(Some(due_in(d)), None);
        let c = clock.receiver();
        Timer { what: What::Tick(clock), c }
    }

    /// The timer's channel: gives the moment at which the timer was due, once. Its `len` and `capacity` are 0 even
    /// while there is something to receive. A nil channel if the timer calls a function. Go's field `C`.
    ///
    /// A clone of the channel outlives the timer.
    pub fn c(&self) -> &Receiver<Instant> {
        &self.c
    }

    /// Unsets the timer. True if that took back an event: a tick that nobody had received, or a call that had not
    /// begun. Go's `Timer.Stop`.
    ///
    /// After the return nothing can be received, until a [`reset`](Timer::reset). The channel is not closed. A call that
    /// has begun is not waited for.
    pub fn stop(&self) -> bool {
        match &self.what {
            What::Tick(clock) => clock.stop(),
            What::Func(alarm) => alarm.stop(),
        }
    }

    /// Sets the timer anew, to `d` from now. True if that took back an event of the old setting, as with
    /// [`stop`](Timer::stop). Go's `Timer.Reset`.
    ///
    /// After the return no tick of the old setting can be received. Whoever waits on the channel already waits for
    /// the new one.
    pub fn reset(&self, d: Duration) -> bool {
        match &self.what {
            What::Tick(clock) => clock.reset(due_in(d), None),
            What::Func(alarm) => alarm.restart(due_in(d)),
        }
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer").finish_non_exhaustive()
    }
}

// A panic can not interrupt a change of a timer: no user code runs in one.
impl UnwindSafe for Timer {}
impl RefUnwindSafe for Timer {}

type Call = Box<dyn FnMut() + Send>;

/// A function that is run as often as its timer fires, one run after the other.
///
/// The call is taken out while it runs. Whoever comes meanwhile only counts its run; whoever has the call makes it.
struct Runs(Spin<Due>);

struct Due {
    call: Option<Call>,
    runs: usize,
}

impl Runs {
    fn new(call: Call) -> Runs {
        Runs(Spin::new(Due { call: Some(call), runs: 0 }))
    }

    /// Sees to it that the function runs once more, here or where it is running.
    fn one_more(&self) {
        let taken = {
            let mut due = self.0.lock();
            due.runs += 1;
            due.call.take()
        };
        if let Some(call) = taken {
            self.make_all(call);
        }
    }

    /// Makes all due runs, then puts the call back. Each ends like a goroutine that nobody joins, so a panic does not
    /// cost the others theirs.
    fn make_all(&self, mut call: Call) {
        loop {
            contain(&mut call);
            let mut due = self.0.lock();
            due.runs -= 1;
            if due.runs == 0 {
                due.call = Some(call);
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Barrier};

    use super::*;

    #[test]
    fn runs_are_all_made_and_never_overlap() {
        const THREADS: usize = 4;
        const EACH: usize = 5000;
        let (inside, made) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let runs = Runs::new(Box::new({
            let (inside, made) = (Arc::clone(&inside), Arc::clone(&made));
            move || {
                assert_eq!(inside.fetch_add(1, Ordering::Relaxed), 0);
                made.fetch_add(1, Ordering::Relaxed);
                assert_eq!(inside.fetch_sub(1, Ordering::Relaxed), 1);
            }
        }));
        let start = Barrier::new(THREADS);
        std::thread::scope(|s| {
            for _ in 0..THREADS {
                s.spawn(|| {
                    start.wait();
                    (0..EACH).for_each(|_| runs.one_more());
                });
            }
        });
        assert_eq!(made.load(Ordering::Relaxed), THREADS * EACH);
    }

    #[test]
    fn a_panicking_run_does_not_cost_the_next() {
        let made = Arc::new(AtomicUsize::new(0));
        let runs = Runs::new(Box::new({
            let made = Arc::clone(&made);
            move || {
                if made.fetch_add(1, Ordering::Relaxed) == 0 {
                    std::panic::resume_unwind(Box::new("the first"));
                }
            }
        }));
        runs.one_more();
        runs.one_more();
        assert_eq!(made.load(Ordering::Relaxed), 2);
    }
}
