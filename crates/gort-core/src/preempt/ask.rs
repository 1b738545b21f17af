//! Asking a machine to give its processor to others.

use std::sync::atomic::Ordering;

use super::answer;
use crate::m::M;

/// Asks `m` to stop. It answers soon; or it is inside the runtime just then, and does not. False: it can not be asked.
///
/// The monitor's only, who has just seen the thread compute: one that sleeps in the kernel is left alone, for the signal
/// would interrupt its call.
pub(crate) fn ask(m: &'static M) -> bool {
    let tid = m.tid.load(Ordering::Relaxed);
    if tid == 0 || !m.door.is_outside() {
        return false;
    }
    answer::ensure_installed();
    // Relaxed: the signal orders it. A machine that was asked and did not hear it is asked again.
    m.asked.store(true, Ordering::Relaxed);
    // SAFETY: sends a signal for which a handler is installed; to a thread that has ended or is not ours it goes to nobody.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), tid, libc::SIGURG) == 0 }
}
