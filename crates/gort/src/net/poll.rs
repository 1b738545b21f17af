//! Waiting for any descriptor, and nothing else: pipes, terminals, eventfds, sockets of other libraries.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gort_core::env::Moment;
use gort_core::pollfd::Direction;
use rustix::event::{PollFd as Kernel, PollFlags, Timespec, poll};
use rustix::io::{Errno, fcntl_dupfd_cloexec};

use super::fd::{NetFd, READ, WRITE};
use super::traits::close_method;

/// Waits until a descriptor can be read or written, and leaves it to others to do that. Waiting parks the goroutine.
///
/// It holds a duplicate of the descriptor, and so may live longer than the original. (A pipe or a connection does not come
/// to its end for the other side before this is dropped too.) It does not make the descriptor non-blocking: that would show
/// in every process that has it open. If somebody else takes what one has been told of, a blocking read blocks the thread.
///
/// Ready also means: at its end, or in error; the call that follows says so. Any number of goroutines may wait.
///
/// # Examples
/// ```
/// use std::io::{Read, Write};
/// use gort::net::Poll;
///
/// #[gort::main(unsafe(migrate))]
/// fn main() -> std::io::Result<()> {
///     let (mut reader, mut writer) = std::io::pipe()?;
///     let poll = Poll::new(&reader)?;
///     gort::go(move || writer.write_all(b"x"));
///     poll.readable()?;
///     let mut buf = [0; 10];
///     assert_eq!(reader.read(&mut buf)?, 1);
///     Ok(())
/// }
/// ```
pub struct Poll(Arc<NetFd>);

impl Poll {
    /// Watches `fd`.
    ///
    /// # Errors
    /// `not pollable` ([`Unsupported`](io::ErrorKind::Unsupported)) for a regular file or a directory; the kernel's, if
    /// there is no descriptor left.
    pub fn new(fd: impl AsFd) -> io::Result<Poll> {
        NetFd::new(fcntl_dupfd_cloexec(fd, 0)?).map(Poll)
    }

    /// Waits until a read would not block.
    ///
    /// # Errors
    /// [`TimedOut`](io::ErrorKind::TimedOut) at the deadline; [`NotConnected`](io::ErrorKind::NotConnected) after `close`.
    pub fn readable(&self) -> io::Result<()> {
        self.ready(READ, Moment::NEVER)
    }

    /// Waits until a write would not block.
    ///
    /// # Errors
    /// As `readable`.
    pub fn writable(&self) -> io::Result<()> {
        self.ready(WRITE, Moment::NEVER)
    }

    /// As `readable`, for `timeout` at most.
    ///
    /// # Errors
    /// As `readable`.
    pub fn readable_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.ready(READ, Moment::after(timeout))
    }

    /// As `writable`, for `timeout` at most.
    ///
    /// # Errors
    /// As `readable`.
    pub fn writable_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.ready(WRITE, Moment::after(timeout))
    }

    /// As `readable`, until `deadline` at most.
    ///
    /// # Errors
    /// As `readable`.
    pub fn readable_deadline(&self, deadline: Instant) -> io::Result<()> {
        self.ready(READ, deadline.into())
    }

    /// As `writable`, until `deadline` at most.
    ///
    /// # Errors
    /// As `readable`.
    pub fn writable_deadline(&self, deadline: Instant) -> io::Result<()> {
        self.ready(WRITE, deadline.into())
    }

    /// The moment from which on all waits fail, those under way included. `None` takes it away. Go's `SetDeadline`.
    ///
    /// # Errors
    /// After `close`.
    pub fn set_deadline(&self, deadline: impl Into<Option<Instant>>) -> io::Result<()> {
        let deadline = deadline.into();
        self.0.set_deadline(READ, deadline)?;
        self.0.set_deadline(WRITE, deadline)
    }

    fn ready(&self, dir: Direction, deadline: Moment) -> io::Result<()> {
        self.0.call_until(dir, deadline, |fd| is_ready(fd, dir))
    }
}

close_method!(Poll);

impl AsFd for Poll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl fmt::Debug for Poll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poll").field("fd", &self.as_fd()).finish_non_exhaustive()
    }
}

/// Asks the kernel, without waiting.
fn is_ready(fd: BorrowedFd<'_>, dir: Direction) -> Result<(), Errno> {
    let events = match dir {
        Direction::Read => PollFlags::IN,
        Direction::Write => PollFlags::OUT,
    };
    match poll(&mut [Kernel::from_borrowed_fd(fd, events)], Some(&Timespec::default()))? {
        0 => Err(Errno::AGAIN),
        _ => Ok(()),
    }
}
