//! Preemption: a goroutine that computes for long gives its processor to others, at any instruction.
//!
//! It is the processor that moves, and not the goroutine. A goroutine in the middle of its code can not change threads: it
//! may hold a reference to a thread-local, malloc's lock, errno, half of a println. So its *thread* is stopped where it is,
//! inside a signal handler, and another thread goes on with the processor; later somebody brings the stopped thread a
//! processor, the handler returns, and the goroutine never knows. (The idea: Shiina and others, PPoPP 2021.)
//!
//! ```text
//!    monitor                  machine A, in a goroutine's code           machine B, idle
//!    asks A:  SIGURG ───────► handler: is A outside the runtime?
//!                             gives its processor away  ───────────────► wakes, runs what waits
//!                             stands in line, sleeps                     ..
//!                             wakes with a processor    ◄─────────────── A's turn: brings it its own
//!                             handler returns                            sleeps
//!                             .. computes on
//! ```
//! - [`ask`]: the monitor's side: sending the signal, only to a thread that was just seen to compute.
//! - [`answer`]: the handler's side.
//! - [`resume`]: a system call that the signal may have interrupted is started again.
//! - [`fork`]: the signal waits while the process is forked.
//!
//! Rules:
//! 1. The handler does nothing if the thread is inside the runtime ([`door`](crate::sys::door)), holding its locks or using
//!    its processor; the monitor asks again soon.
//! 2. The handler neither allocates, nor takes a lock that the program can hold, nor touches errno. The locks of the
//!    scheduler it may take: nobody who holds one is ever frozen.
//! 3. A frozen machine is woken by exactly one of: who takes it out of the line to bring it a processor, and the monitor,
//!    which may let it go on without one.
//! 4. The thread that the signal is for is not one that sleeps in the kernel, whose call would be interrupted.

pub(crate) mod answer;
pub(crate) mod ask;
mod fork;
mod resume;

use std::sync::atomic::{AtomicBool, Ordering};

static OFF: AtomicBool = AtomicBool::new(false);

/// Whether goroutines are preempted by signals: not if `GORT_DEBUG` says `asyncpreemptoff=1`, or if the handler could not
/// be installed.
pub(crate) fn enabled() -> bool {
    !OFF.load(Ordering::Relaxed)
}

/// Reads the setting and installs the handler; once, when the runtime is built.
pub(crate) fn init() {
    let off = crate::env::debug_setting("asyncpreemptoff").is_some_and(|value| value == "1");
    OFF.store(off || answer::install().is_err(), Ordering::Relaxed);
    if enabled() {
        fork::protect();
    }
}
