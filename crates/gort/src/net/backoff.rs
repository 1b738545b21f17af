//! Accepting while there is nothing left to accept with: the pauses of `incoming`.
//!
//! A connection that could not be accepted, for want of descriptors or memory, stays in the listener's queue, and the next
//! try fails at once. A server that just tries again spins, and holds up the very goroutines that would free a descriptor.

use std::io;
use std::time::Duration;

use gort_core::env::Moment;
use rustix::io::Errno;

use super::fd::{NetFd, WRITE};

/// The first pause, and the longest: those of Go's `net/http`.
const FIRST: Duration = Duration::from_millis(5);
const LONGEST: Duration = Duration::from_secs(1);

/// How long the next pause would be; zero before the first.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    pause: Duration,
}

impl Backoff {
    /// What `accept` gives, once it is not for want of something; `None` when the listener is closed.
    pub(super) fn until_it_works<T>(
        &mut self,
        listener: &NetFd,
        accept: impl Fn() -> io::Result<T>,
    ) -> Option<io::Result<T>> {
        loop {
            match accept() {
                Err(_) if listener.is_closed() => return None,
                // What could not be registered, for want of something, never will be: that is to be told.
                Err(error) if is_want(&error) && listener.is_registered() => self.pause(listener),
                result => {
                    self.pause = Duration::ZERO;
                    return Some(result);
                }
            }
        }
    }

    /// A listener is never writable, so waiting for that is a sleep from which `close` wakes.
    fn pause(&mut self, listener: &NetFd) {
        self.pause = (2 * self.pause).clamp(FIRST, LONGEST);
        let until = Moment::after(self.pause);
        while Moment::now() < until && !listener.is_closed() {
            // It ends by time or by close, and the loop looks at both.
            let _ = listener.wait(WRITE, until);
        }
    }
}

fn is_want(error: &io::Error) -> bool {
    let Some(raw) = error.raw_os_error() else { return false };
    [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM].iter().any(|want| want.raw_os_error() == raw)
}
