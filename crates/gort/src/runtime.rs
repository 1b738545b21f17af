//! Looking at the runtime and setting its limits: Go's `runtime` and `runtime/debug`.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

pub use gort_core::ids::GoroutineId;
use gort_core::snapshot;
pub use gort_core::{num_cpu, rt::num_goroutine};

pub use crate::panic_policy::PanicPolicy;

/// Sets how many OS threads may run goroutines at the same time, and returns what it was; 0 only asks.
///
/// The default is the environment variable `GOMAXPROCS` if it is a positive number, else the number of CPUs this process
/// may use, or at least 2 and no more than its cgroup's CPU quota; then it follows changes of these. More than 1024 is
/// taken as 1024. Setting it yields. Go's `runtime.GOMAXPROCS`.
///
/// # Panics
/// Outside the runtime.
///
/// # Examples
/// ```
/// #[gort::main(unsafe(migrate), maxprocs = 3)]
/// fn main() {
///     assert_eq!(gort::runtime::gomaxprocs(2), 3);
///     assert_eq!(gort::runtime::gomaxprocs(0), 2);
/// }
/// ```
#[track_caller]
pub fn gomaxprocs(n: usize) -> usize {
    gort_core::rt::gomaxprocs(n)
}

/// The id of the calling goroutine; None on a plain OS thread.
///
/// # Examples
/// ```
/// assert_eq!(gort::runtime::goroutine_id(), None);
/// ```
pub fn goroutine_id() -> Option<GoroutineId> {
    gort_core::park::goroutine_id()
}

/// Sets the most threads that the runtime may have, and returns the old limit (10,000 at first). A program that needs
/// more, for calls that block, ends with Go's `fatal error: thread exhaustion`; goroutines that were stopped while they
/// computed keep their threads, and at the limit take turns, before others begin. Go's `debug.SetMaxThreads`.
///
/// # Panics
/// Outside the runtime.
#[track_caller]
pub fn set_max_threads(n: usize) -> usize {
    gort_core::rt::set_max_threads(n)
}

static MAX_STACK: AtomicUsize = AtomicUsize::new(usize::MAX);

/// Sets the largest stack, in bytes, that a [`Builder`](crate::Builder) may ask for, and returns the old limit (none at
/// first but the 1 GiB of the largest stack there is). Goroutines that run already keep theirs. Go's `debug.SetMaxStack`.
pub fn set_max_stack(bytes: usize) -> usize {
    MAX_STACK.swap(bytes, Ordering::Relaxed)
}

pub(crate) fn check_stack_size(bytes: usize) -> io::Result<()> {
    let max = MAX_STACK.load(Ordering::Relaxed);
    if bytes <= max {
        return Ok(());
    }
    let text = format!("gort: stack size out of range: {bytes} bytes asked for, set_max_stack allows {max}");
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
}

/// Chooses what a panic does that nobody joins.
pub fn set_panic_policy(policy: PanicPolicy) {
    crate::panic_policy::set(policy);
}

/// The state of every goroutine, as text in Go's layout: id, name, what it waits for and for how long, where it stands
/// and who started it. More than a hundred are grouped by equal stacks.
///
/// Stops nothing: a goroutine that runs on another thread while this looks is described without its stack.
///
/// # Examples
/// ```
/// #[gort::main(unsafe(migrate))]
/// fn main() {
///     let (_tx, rx) = gort::chan::<()>(0);
///     gort::go(move || rx.recv());
///     gort::sleep(std::time::Duration::from_millis(10));
///     assert!(gort::runtime::dump().contains("[chan receive]:"));
/// }
/// ```
#[inline(never)]
pub fn dump() -> String {
    crate::dump::all()
}

/// Counts of everything in the runtime.
pub type Stats = snapshot::Counts;

/// Counts everything, at about one moment. Looks at every goroutine: some nanoseconds for each.
///
/// # Examples
/// ```
/// #[gort::main(unsafe(migrate), maxprocs = 2)]
/// fn main() {
///     let stats = gort::runtime::stats();
///     assert_eq!((stats.goroutines, stats.running, stats.processors), (1, 1, 2));
/// }
/// ```
pub fn stats() -> Stats {
    snapshot::counts()
}
