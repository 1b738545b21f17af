//! Asking a machine to give its processor to others.

use std::sync::atomic::Ordering;

use super::answer;
use crate::m::M;
use crate::sys::thread_clock;

/// Asks `m` to stop, if its thread computes at this moment. True if it was asked; it answers soon, or is inside the runtime
/// just then and does not.
///
/// The monitor's only. A thread that is not on a CPU is left alone, for it may sleep in a call that the signal would
/// interrupt; it is asked when it is seen to run.
pub(crate) fn ask(m: &'static M) -> bool {
    let tid = m.tid.load(Ordering::Relaxed);
    if tid == 0 || !m.door.is_outside() || !thread_clock::is_running(tid) {
        return false;
    }
    answer::ensure_installed();
    // Relaxed: the signal orders it. A machine that was asked and did not hear it is asked again.
    m.asked.store(true, Ordering::Relaxed);
    // SAFETY: sends a signal for which a handler is installed; to a thread that has ended or is not ours it goes to nobody.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), tid, libc::SIGURG) == 0 }
}
