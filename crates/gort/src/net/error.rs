//! The errors of this room that are not the kernel's: a deadline that has passed, a socket that is closed, a descriptor
//! that cannot be waited for. The texts are Go's.

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use gort_core::pollfd::PollError;
use rustix::io::Errno;

/// What is inside an `io::Error` that did not come from the kernel. It has no size, but std boxes it with its kind.
#[derive(Debug)]
enum Cause {
    Timeout,
    Closed,
    NotPollable,
    NoAddress,
    NothingToSendTo,
    NoDuration,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cause::Timeout => "i/o timeout",
            Cause::Closed => "use of closed network connection",
            Cause::NotPollable => "not pollable",
            Cause::NoAddress => "could not resolve to any addresses",
            Cause::NothingToSendTo => "no addresses to send data to",
            Cause::NoDuration => "cannot set a 0 duration timeout",
        })
    }
}

impl Error for Cause {}

/// Why a wait ended without the descriptor being ready.
#[cold]
pub(super) fn of_wait(error: PollError) -> io::Error {
    match error {
        PollError::TimedOut => timed_out(),
        PollError::Closed => closed(),
    }
}

/// A deadline, or a call's own time, has passed.
pub(super) fn timed_out() -> io::Error {
    io::Error::new(ErrorKind::TimedOut, Cause::Timeout)
}

/// Somebody has called `close`.
pub(super) fn closed() -> io::Error {
    io::Error::new(ErrorKind::NotConnected, Cause::Closed)
}

/// Why a descriptor could not be registered, from the kernel's number.
pub(super) fn of_registration(raw: i32) -> io::Error {
    match raw {
        raw if raw == Errno::PERM.raw_os_error() => {
            io::Error::new(ErrorKind::Unsupported, Cause::NotPollable)
        }
        raw => io::Error::from_raw_os_error(raw),
    }
}

/// A name, or a list, that stands for no address.
pub(super) fn no_address() -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, Cause::NoAddress)
}

/// The same, said by `send_to`.
pub(super) fn nothing_to_send_to() -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, Cause::NothingToSendTo)
}

/// A timeout of zero: std refuses it, since to the kernel zero means none.
pub(super) fn no_duration() -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, Cause::NoDuration)
}

/// Calls `f` with each address until one is good; the last error if none is.
pub(super) fn first_good<T>(
    addrs: &[SocketAddr],
    mut f: impl FnMut(&SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    let mut last = no_address();
    for addr in addrs {
        match f(addr) {
            Ok(good) => return Ok(good),
            Err(error) => last = error,
        }
    }
    Err(last)
}
