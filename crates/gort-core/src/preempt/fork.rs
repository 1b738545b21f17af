//! While a goroutine forks the process it is not preempted.
//!
//! The C library takes all of malloc's locks for that time: frozen in the middle, it would keep everybody from allocating. And
//! when a signal comes the kernel gives up what it has copied, and begins again. So the signal waits until the fork is over; in
//! the child there is none.

use std::cell::Cell;
use std::mem::MaybeUninit;

use crate::m::M;

thread_local! {
    /// The signal is blocked for the fork that this thread makes.
    static BLOCKED: Cell<bool> = const { Cell::new(false) };
}

/// From now on, for all forks of the process by way of the C library. Without memory for it they are preempted like all else.
pub(super) fn protect() {
    // SAFETY: the functions do what is allowed around a fork.
    unsafe { libc::pthread_atfork(Some(before), Some(after), Some(after)) };
}

/// Handlers that were registered later have run, those registered earlier (an allocator's) have not; nothing is locked yet.
extern "C" fn before() {
    if M::current().is_some() {
        BLOCKED.set(change(libc::SIG_BLOCK));
    }
}

/// In the parent, and in the child, which is a copy of the thread.
extern "C" fn after() {
    if BLOCKED.replace(false) {
        change(libc::SIG_UNBLOCK);
    }
}

/// Blocks or unblocks SIGURG. True if it was not blocked before.
fn change(how: libc::c_int) -> bool {
    let (mut set, mut old) = (MaybeUninit::uninit(), MaybeUninit::uninit());
    // SAFETY: fills sets of signals and reads them; the last two only if all went well.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGURG);
        let changed = libc::pthread_sigmask(how, set.as_ptr(), old.as_mut_ptr()) == 0;
        changed && libc::sigismember(old.as_ptr(), libc::SIGURG) == 0
    }
}
