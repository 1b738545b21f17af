//! Entering the runtime: `run`, and what the attributes expand to.

use std::io::Write;
use std::panic::{AssertUnwindSafe, Location, resume_unwind};
use std::process::{ExitCode, Termination};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use gort_core::ids::WaitReason;
use gort_core::park;
use gort_core::rt;
use gort_core::spawn::Origin;

use crate::dump;
use crate::go::{self, Belongs};
use crate::panic_policy::Goexit;
use crate::signal;

pub use crate::go::detached;

/// Runs `main` as a goroutine, on a runtime that is made on first use, and returns what it returns. The calling thread
/// blocks meanwhile. May be called from any thread, many times, by many threads at once; a goroutine that calls it parks.
///
/// This is what `#[gort::main(unsafe(migrate))]` expands to, less the end of the process: other goroutines go on.
///
/// # Safety
/// The caller makes the promise of the whole program: goroutines move between OS threads while they are parked, and no
/// code that runs on goroutines keeps a reference to a thread-local, a value bound to its thread, or an owner-checked
/// guard of std across a call that may park. `docs/SAFETY.md` says which calls may park and how to keep the promise.
///
/// # Panics
/// Passes on a panic of `main`. Panics if the runtime can not be started: no threads, no memory, a `GORT_STACK` that is
/// no size of a stack.
///
/// # Examples
/// ```
/// // SAFETY: nothing here keeps a thread-local across a call that parks.
/// let sum = unsafe {
///     gort::run(|| {
///         let (tx, rx) = gort::chan(4);
///         gort::go(move || (1..=3).for_each(|n| tx.send(n).unwrap()));
///         rx.iter().sum::<i32>()
///     })
/// };
/// assert_eq!(sum, 6);
/// ```
#[track_caller]
pub unsafe fn run<F, T>(main: F) -> T
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    enter(Options::new(), Location::caller(), main)
}

/// How long main's end waits for stdout's lock.
const STDOUT_PATIENCE: Duration = Duration::from_secs(1);

/// What the attributes were given.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    maxprocs: Option<usize>,
    main_stack: Option<usize>,
}

impl Options {
    /// Nothing was given.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Options {
        Options { maxprocs: None, main_stack: None }
    }

    /// `maxprocs = n`
    #[must_use]
    pub const fn maxprocs(mut self, n: usize) -> Options {
        assert!(n > 0, "gort: maxprocs = 0: at least one processor is needed");
        self.maxprocs = Some(n);
        self
    }

    /// `main_stack = bytes`
    #[must_use]
    pub const fn main_stack(mut self, bytes: usize) -> Options {
        self.main_stack = Some(bytes);
        self
    }
}

/// The body of a `#[gort::main(..)]`.
///
/// # Safety
/// As for [`run`].
#[track_caller]
pub unsafe fn enter_main<T: Termination + 'static>(
    options: Options,
    main: impl FnOnce() -> T + Send + 'static,
) -> ExitCode {
    let code = enter(options, Location::caller(), move || main().report());
    flush_stdout();
    code
}

/// What main printed is out before the process ends under the feet of whoever still prints. But somebody may hold stdout's
/// lock for good, and that must not keep the process alive: so it is a thread that waits for the lock.
fn flush_stdout() {
    let (has_lock, told) = mpsc::sync_channel(1);
    let flush = move || {
        let mut stdout = std::io::stdout().lock();
        let _ = has_lock.send(());
        let _ = stdout.flush();
        // In this order: std's own end of the process does not wait for the lock.
        drop(stdout);
        drop(has_lock);
    };
    let flushing = thread::Builder::new().name("gort-flush".into()).spawn(flush);
    if flushing.is_ok() && told.recv_timeout(STDOUT_PATIENCE).is_ok() {
        // However long that takes: whoever reads it may be slow.
        let _ = told.recv();
    }
}

/// The body of a `#[gort::test(..)]`.
///
/// # Safety
/// As for [`run`].
#[track_caller]
pub unsafe fn enter_test<T: Termination + 'static>(
    options: Options,
    test: impl FnOnce() -> T + Send + 'static,
) -> ExitCode {
    enter(options, Location::caller(), move || test().report())
}

fn enter<F, T>(options: Options, at: &'static Location<'static>, main: F) -> T
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    start(options);
    let belongs = Belongs::Name("main".into());
    let stack = Some(options.main_stack.unwrap_or(rt::MAIN_STACK));
    let origin = Origin { pc: 0, at };
    // SAFETY: nothing is borrowed.
    let started = unsafe { go::start(belongs, stack, origin, AssertUnwindSafe(main), || ()) };
    let (end, _id) =
        started.unwrap_or_else(|error| panic!("gort: the main goroutine can not be started: {error}"));
    match end.join() {
        Ok(value) => value,
        Err(payload) if payload.is::<Goexit>() => wait_for_the_others(),
        Err(payload) => resume_unwind(payload),
    }
}

#[track_caller]
fn start(options: Options) {
    if rt::is_started() {
        if let Some(n) = options.maxprocs {
            rt::gomaxprocs(n);
        }
        return;
    }
    dump::register();
    if let Err(error) = rt::start(rt::Options { procs: options.maxprocs }) {
        panic!("gort: the runtime can not be started: {error}");
    }
    signal::start(dump::at_the_end);
}

/// Main called `goexit`: the others go on, and when none is left that is a deadlock, which ends the process.
fn wait_for_the_others() -> ! {
    loop {
        park::park(WaitReason::Main, || ());
    }
}
