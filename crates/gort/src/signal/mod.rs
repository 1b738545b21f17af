//! Signals of the operating system, as values in channels: Go's `os/signal`.
//!
//! By default a signal does what it does in any program: SIGINT, SIGTERM and SIGHUP end the process. SIGQUIT (Ctrl-\ on
//! a terminal) is the exception: once the runtime has started it prints the stacks of all goroutines to stderr, as much
//! as `GORT_TRACEBACK` allows, and ends the process with status 2, unless the program has given it another meaning. If
//! the dump does not come about a second SIGQUIT ends the process in any case.
//!
//! [`notify`] asks for signals, [`notify_context`] turns the first one into a cancellation. Several may listen to the same
//! signal; each gets it. When the last listener has gone the signal does again what it did before. A signal that is
//! already on its way then is not lost: it is delivered, or does what it does by default.
//!
//! The signals that the kernel does not let anybody have (SIGKILL, SIGSTOP), those that are faults of the code itself
//! (SIGSEGV, SIGBUS, SIGFPE, SIGILL), and those that the C library keeps to itself can not be named here: a panic says so.
//! An empty list means all others, except SIGURG.
//!
//! The runtime sends itself SIGURG in order to interrupt goroutines that compute for long. Who listens to SIGURG gets
//! these as well, as in Go, and has to look whether there really is something to do.
//!
//! A handler that was installed before this module's is still called. One that is installed over it, with `sigaction`
//! called by hand, has to call the one that was there before, and stays when the listener goes.
//!
//! A listener can wake somebody, so no deadlock is reported while there is one.
//!
//! # Graceful shutdown
//!
//! The first signal stops the work, a second one ends the process at once, and so does a deadline.
//!
//! ```
//! use std::time::Duration;
//!
//! use gort::context::Context;
//! use gort::signal::{self, SIGINT, SIGTERM};
//! use gort::sync::WaitGroup;
//!
//! fn worker(ctx: &Context) {
//!     let ticks = gort::channel::tick(Duration::from_millis(1));
//!     loop {
//!         gort::select! {
//!             recv(ctx.done()) -> _ => return, // finish what was begun, accept nothing new
//!             recv(ticks) -> _ => {}           // a piece of work
//!         }
//!     }
//! }
//!
//! #[gort::main(unsafe(migrate))]
//! fn main() {
//!     let background = gort::context::background();
//!     let (ctx, stop) = signal::notify_context(&background, &[SIGINT, SIGTERM]);
//!     let workers = WaitGroup::new();
//!     for _ in 0..3 {
//!         let ctx = ctx.clone();
//!         workers.go(move || worker(&ctx));
//!     }
//!
//!     # // SAFETY: sends a signal to this process.
//!     # unsafe { libc::kill(std::process::id() as i32, SIGTERM) };
//!     ctx.done().recv().unwrap_err(); // parked until somebody wants us to end
//!     eprintln!("shutting down: {}", ctx.cause().unwrap());
//!     # assert_eq!(ctx.cause().unwrap().to_string(), "terminated signal received");
//!     stop.cancel(); // from now on a signal ends the process as ever
//!
//!     let (over_tx, over) = gort::chan::<()>(0);
//!     gort::go(move || {
//!         workers.wait();
//!         drop(over_tx);
//!     });
//!     gort::select! {
//!         recv(over) -> _ => eprintln!("all is done"),
//!         default(Duration::from_secs(10)) => std::process::exit(1),
//!     }
//! }
//! ```
//!
//! Owns: what is public, and its words. The handler is in `handler`, listeners and the relay thread in `registry`, the
//! dump in `quit`.

mod handler;
mod quit;
mod registry;

use std::borrow::Borrow;
use std::error::Error;
use std::fmt;

pub use libc::{
    SIGABRT, SIGALRM, SIGBUS, SIGCHLD, SIGCONT, SIGFPE, SIGHUP, SIGILL, SIGINT, SIGIO, SIGKILL, SIGPIPE,
    SIGPROF, SIGPWR, SIGQUIT, SIGSEGV, SIGSTOP, SIGSYS, SIGTERM, SIGTRAP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG,
    SIGUSR1, SIGUSR2, SIGVTALRM, SIGWINCH, SIGXCPU, SIGXFSZ,
};

use crate::channel::{self, Receiver};
use crate::context::{CancelFn, Context};
use crate::signame::{Name, Set};
use registry::Tell;

/// How many signals wait for a listener that is busy. What comes while the buffer is full is dropped.
const BUFFER: usize = 64;

/// Asks for `signals`: each that comes is sent, as its number, to the channel that is returned. Go's `signal.Notify`.
///
/// The signals do nothing else any more, also those that were ignored, until all listeners have gone. Dropping the receiver
/// (the last one, if it was cloned) ends the asking. Delivery never waits: the channel holds 64 signals, and what
/// comes while it is full is dropped; equal signals that come in quick succession may count as one.
///
/// The channel is closed when [`stop`], [`ignore`] or [`reset`] leave nothing to listen to. Works on plain OS threads,
/// and before the runtime has started.
///
/// # Panics
/// If one of `signals` does not exist or can not be had (see the [module](self)); if the system gives no thread for the
/// relay.
///
/// ```
/// use gort::signal::{SIGUSR1, notify};
///
/// let signals = notify(&[SIGUSR1]);
/// # // SAFETY: sends a signal to this process.
/// # unsafe { libc::raise(SIGUSR1) };
/// assert_eq!(signals.recv(), Ok(SIGUSR1));
/// ```
#[track_caller]
pub fn notify(signals: &[i32]) -> Receiver<i32> {
    let signals = set_of(signals);
    let (tx, rx) = channel::heeded(BUFFER, registry::sweep);
    registry::listen(registry::new_id(), signals, Tell::Channel(tx));
    rx
}

/// Ends what [`notify`] has begun: when this returns nothing more arrives in the channel of `receiver`, and the channel is
/// closed. What is in its buffer can still be received. Go's `signal.Stop`. Dropping the receiver does the same.
///
/// ```
/// use gort::signal::{SIGUSR2, notify, stop};
///
/// let signals = notify(&[SIGUSR2]);
/// stop(&signals);
/// assert!(signals.recv().is_err());
/// ```
pub fn stop(receiver: &Receiver<i32>) {
    registry::stop(|_, tell| matches!(tell, Tell::Channel(sender) if sender.id() == receiver.id()));
}

/// A child of `ctx` that is cancelled when one of `signals` comes. Go's `signal.NotifyContext`.
///
/// [`Context::cause`] is then a [`SignalError`]: `interrupt signal received`. Further signals are taken and dropped,
/// until the [`CancelFn`] is called or dropped: that cancels the context if nothing has, and from then on the signals do
/// again what they did before.
///
/// # Panics
/// As [`notify`].
///
/// ```
/// use gort::signal::{SIGHUP, SIGINT, notify_context};
///
/// let (ctx, stop) = notify_context(gort::context::background(), &[SIGINT, SIGHUP]);
/// assert_eq!(ctx.to_string(), "signal.NotifyContext(context.Background, [hangup interrupt])");
/// stop.cancel();
/// assert_eq!(ctx.cause().unwrap().to_string(), "context canceled");
/// ```
#[track_caller]
pub fn notify_context(ctx: impl Borrow<Context>, signals: &[i32]) -> (Context, CancelFn) {
    let signals = set_of(signals);
    let id = registry::new_id();
    let (child, cancel) = ctx.borrow().with_signals(signals, move || registry::stop(|other, _| other == id));
    registry::listen(id, signals, Tell::Context(cancel.canceller()));
    (child, cancel)
}

/// Has the system drop `signals`, and takes them from whoever listens. Go's `signal.Ignore`.
///
/// Processes that are started later inherit that.
///
/// # Panics
/// If one of `signals` does not exist or can not be had (see the [module](self)).
#[track_caller]
pub fn ignore(signals: &[i32]) {
    registry::silence(set_of(signals), true);
}

/// Whether `signal` is ignored: by [`ignore`], or since the process was started, as SIGHUP is under `nohup`. Go's
/// `signal.Ignored`.
///
/// ```
/// use gort::signal::{SIGWINCH, ignore, ignored, reset};
///
/// ignore(&[SIGWINCH]);
/// assert!(ignored(SIGWINCH));
/// reset(&[SIGWINCH]);
/// assert!(!ignored(SIGWINCH));
/// ```
pub fn ignored(signal: i32) -> bool {
    check(signal).is_ok() && handler::is_ignored(signal)
}

/// Undoes [`notify`], [`notify_context`] and [`ignore`], whoever called them: `signals` do again what they did when the
/// program started. Go's `signal.Reset`.
///
/// # Panics
/// If one of `signals` does not exist or can not be had (see the [module](self)).
#[track_caller]
pub fn reset(signals: &[i32]) {
    registry::silence(set_of(signals), false);
}

/// The cause of a context that a signal has cancelled: `interrupt signal received`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignalError {
    signal: i32,
}

impl SignalError {
    pub(crate) fn new(signal: i32) -> SignalError {
        SignalError { signal }
    }

    /// The signal's number.
    pub fn signal(&self) -> i32 {
        self.signal
    }
}

impl fmt::Display for SignalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} signal received", Name(self.signal))
    }
}

impl Error for SignalError {}

/// The runtime has started: SIGQUIT is to write `dump`.
pub(crate) fn start(dump: quit::Dump) {
    quit::set_dump(dump);
    registry::make_quit_dump();
}

/// The list as a set.
#[track_caller]
fn set_of(signals: &[i32]) -> Set {
    if signals.is_empty() {
        let all = (1..=64).filter(|&signal| signal != SIGURG && check(signal).is_ok());
        return all.fold(Set(0), |set, signal| set.with(Set::one(signal)));
    }
    signals.iter().fold(Set(0), |set, &signal| match check(signal) {
        Ok(()) => set.with(Set::one(signal)),
        Err(why) => panic!("gort: signal {signal} ({}) {why}", Name(signal)),
    })
}

/// Whether the signal is one that a program may have.
fn check(signal: i32) -> Result<(), &'static str> {
    match signal {
        SIGKILL | SIGSTOP => Err("can be neither caught nor ignored"),
        SIGSEGV | SIGBUS | SIGFPE | SIGILL => Err("is a fault of the code that runs, not news from outside"),
        // Between the classic signals and the real-time ones that are left over.
        32.. if signal < libc::SIGRTMIN() => Err("belongs to the C library"),
        1..=64 => Ok(()),
        _ => Err("does not exist"),
    }
}
