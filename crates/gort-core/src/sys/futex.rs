//! The futex: how a *thread* of the runtime sleeps. rustix returns errors in a register, so nothing here looks at
//! errno, which belongs to a thread that may have changed meanwhile.

use std::sync::atomic::AtomicU32;

use rustix::thread::futex::{self, Flags, Timespec};

use crate::env::Moment;

/// Sleeps while `*word == expected`, until woken or until `deadline` (absolute). Wakes spuriously; callers loop.
pub(crate) fn wait(word: &AtomicU32, expected: u32, deadline: Option<Moment>) {
    let until = deadline.map(|moment| {
        let ns = moment.as_nanos();
        Timespec { tv_sec: (ns / 1_000_000_000) as i64, tv_nsec: (ns % 1_000_000_000) as i64 }
    });
    // WAIT_BITSET takes an absolute CLOCK_MONOTONIC time, so that a late start of the call does not lengthen it.
    // EAGAIN, EINTR and ETIMEDOUT all mean the same to a caller that loops: look again.
    let _ = futex::wait_bitset(word, Flags::PRIVATE, expected, until.as_ref(), core::num::NonZeroU32::MAX);
}

/// Wakes at most `count` threads that sleep on `word`.
pub(crate) fn wake(word: *const AtomicU32, count: u32) {
    // SAFETY: the kernel only uses the address as a key. Callers pass words of type-stable memory (threads' parkers,
    // machines' notes), which is never unmapped; a stray wake is allowed by `wait`'s contract.
    let _ = futex::wake(unsafe { &*word }, Flags::PRIVATE, count);
}
