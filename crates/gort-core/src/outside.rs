//! What lies outside of the scheduler and still counts: threads that rooms above run for themselves, and things in the
//! world that may wake somebody, such as a signal that is listened for.
//!
//! The deadlock detector reads both. A thread started here is nobody's hope by itself: it only carries wake-ups whose
//! cause is a [`Hope`].

use std::ffi::CStr;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::sched::runtime;
use crate::sys;

static THREADS: AtomicUsize = AtomicUsize::new(0);
static HOPES: AtomicUsize = AtomicUsize::new(0);

/// Starts a thread for a service of a room above: detached, and never to end. It is the runtime's own: it inherits no
/// capture of output, and a deadlock is reported in spite of it. May be called before there is a runtime.
///
/// `body` must not unwind (the process ends then).
///
/// # Errors
/// The system gives no thread.
pub fn spawn_service(name: &'static CStr, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    const STACK: usize = 512 * 1024;
    sys::thread::spawn(name, STACK, body)?;
    THREADS.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

/// Threads that [`spawn_service`] has started.
pub(crate) fn threads() -> usize {
    THREADS.load(Ordering::Relaxed)
}

/// As long as one exists something outside of the program may wake a goroutine: there is no deadlock.
#[derive(Debug)]
#[must_use = "dropping it takes the hope away"]
pub struct Hope(());

impl Hope {
    /// From now on.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Hope {
        // Relaxed: counted by somebody who is awake, and whoever waits for what is hoped for goes to sleep later, which
        // the detector sees by stronger means.
        HOPES.fetch_add(1, Ordering::Relaxed);
        Hope(())
    }
}

impl Drop for Hope {
    fn drop(&mut self) {
        // Release: pairs with the Acquire in `is_left`: what the last hope has woken is seen to be awake.
        if HOPES.fetch_sub(1, Ordering::Release) == 1
            && let Some(rt) = runtime()
        {
            // It may sleep until something happens, and this was what it counted on.
            rt.rouse_monitor();
        }
    }
}

/// Whether any hope is left.
pub(crate) fn is_left() -> bool {
    // Acquire: pairs with the Release in `drop`.
    HOPES.load(Ordering::Acquire) != 0
}
