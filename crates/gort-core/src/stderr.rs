//! Straight to descriptor 2. What is said here is said when nobody can be waited for, and std's stderr has a lock, which
//! somebody may hold who sleeps for good.

use rustix::fd::BorrowedFd;
use rustix::io::Errno;

/// Writes `text` to stderr, with no lock taken and nothing allocated; as far as it goes.
pub fn write(mut text: &[u8]) {
    // SAFETY: descriptor 2 is stderr by convention; a write to whatever it is can at worst fail.
    let stderr = unsafe { BorrowedFd::borrow_raw(2) };
    while !text.is_empty() {
        match rustix::io::write(stderr, text) {
            Ok(written) if written != 0 => text = &text[written..],
            Err(Errno::INTR) => {}
            _ => return,
        }
    }
}
