//! Calls that block the OS thread, as a C library would make them.

use std::time::Duration;

/// Tasks that make such calls at a time.
pub const BLOCKERS: u64 = 64;
/// How long one call takes.
pub const CALL: Duration = Duration::from_millis(2);

/// Sleeps in the kernel for [`CALL`]; no runtime is told.
///
/// The call is the C library's, so that no runtime can have put anything of its
/// own in its place; a signal makes it go on with what is left.
#[inline(never)]
pub fn call() {
    let mut left = libc::timespec { tv_sec: 0, tv_nsec: CALL.as_nanos() as libc::c_long };
    let clock = libc::CLOCK_MONOTONIC;
    // SAFETY: both pointers are to a timespec of our own; the kernel reads one
    // before it writes the other.
    let sleep = |left: &mut libc::timespec| unsafe { libc::clock_nanosleep(clock, 0, left, left) };
    loop {
        match sleep(&mut left) {
            0 => return,
            libc::EINTR => continue,
            code => panic!("clock_nanosleep: error {code}"),
        }
    }
}
