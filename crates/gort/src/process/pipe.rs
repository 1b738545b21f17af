//! Our ends of a child's pipes.
//!
//! Each is made non-blocking and registered with the network poller, so a wait parks the goroutine and costs no thread. That
//! concerns our end alone: the child's end is another open file. Where it can not be had calls are announced instead. An end
//! that is given away (to another child, to std) is taken out of the poller and made blocking again.
//!
//! Owns: reading and writing the pipes.

use std::fs::File;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::process::Stdio;

use gort_core::blocking::blocking;
use gort_core::pollfd::{Direction, PollFd};

/// Writes to the standard input of a child. Closed when dropped: the child finds the end there.
///
/// [`Write`] works on `&ChildStdin` too. A write parks while the pipe is full.
#[derive(Debug)]
pub struct ChildStdin(Pipe);

/// Reads the standard output of a child.
///
/// [`Read`] works on `&ChildStdout` too. A read parks until there is something, or the end.
#[derive(Debug)]
pub struct ChildStdout(Pipe);

/// Reads the standard error of a child.
///
/// [`Read`] works on `&ChildStderr` too. A read parks until there is something, or the end.
#[derive(Debug)]
pub struct ChildStderr(Pipe);

/// One end.
#[derive(Debug)]
struct Pipe {
    /// Goes before the descriptor does. None: calls block the thread.
    poll: Option<PollFd>,
    file: File,
}

impl Pipe {
    fn new(end: OwnedFd) -> Pipe {
        let file = File::from(end);
        let poll = set_blocking(&file, false).and_then(|()| PollFd::new(file.as_fd()));
        if poll.is_err() {
            // The end works all the same, each call on a thread of its own.
            let _ = set_blocking(&file, true);
        }
        Pipe { poll: poll.ok(), file }
    }

    /// Calls until it need not wait any more.
    fn call(
        &self,
        direction: Direction,
        mut call: impl FnMut(&File) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let Some(poll) = &self.poll else { return blocking(|| call(&self.file)) };
        loop {
            match once(&mut call, &self.file) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => poll.wait(direction)?,
                result => return result,
            }
        }
    }

    fn give_away(self) -> OwnedFd {
        if self.poll.is_some() {
            drop(self.poll);
            // It fails for no descriptor that could be made non-blocking.
            let _ = set_blocking(&self.file, true);
        }
        self.file.into()
    }
}

/// One try. Not inlined: it looks at errno, which is another one after a wait.
#[inline(never)]
fn once(call: &mut impl FnMut(&File) -> io::Result<usize>, file: &File) -> io::Result<usize> {
    call(file)
}

#[inline(never)]
fn set_blocking(file: &File, blocking: bool) -> io::Result<()> {
    // SAFETY: reads and sets the flags of an open descriptor.
    let failed = unsafe {
        let flags = libc::fcntl(file.as_raw_fd(), libc::F_GETFL);
        let wanted = if blocking { flags & !libc::O_NONBLOCK } else { flags | libc::O_NONBLOCK };
        flags == -1 || libc::fcntl(file.as_raw_fd(), libc::F_SETFL, wanted) == -1
    };
    if failed { Err(io::Error::last_os_error()) } else { Ok(()) }
}

macro_rules! write {
    ($($handle:ty),*) => {$(
        impl Write for $handle {
            fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
                self.0.call(Direction::Write, |mut file| file.write(buf))
            }

            fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
                self.0.call(Direction::Write, |mut file| file.write_vectored(bufs))
            }

            /// Does nothing: there is no buffer.
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
    )*};
}

macro_rules! read {
    ($($handle:ty),*) => {$(
        impl Read for $handle {
            fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                self.0.call(Direction::Read, |mut file| file.read(buf))
            }

            fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                self.0.call(Direction::Read, |mut file| file.read_vectored(bufs))
            }
        }
    )*};
}

macro_rules! descriptor {
    ($($end:ident)*) => {$(
        impl From<std::process::$end> for $end {
            fn from(end: std::process::$end) -> $end {
                $end(Pipe::new(end.into()))
            }
        }

        impl From<$end> for std::process::$end {
            fn from(end: $end) -> std::process::$end {
                end.0.give_away().into()
            }
        }

        impl From<$end> for Stdio {
            fn from(end: $end) -> Stdio {
                end.0.give_away().into()
            }
        }

        impl From<$end> for OwnedFd {
            fn from(end: $end) -> OwnedFd {
                end.0.give_away()
            }
        }

        /// The descriptor as it is: non-blocking, mostly.
        impl AsFd for $end {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.0.file.as_fd()
            }
        }

        /// The descriptor as it is: non-blocking, mostly.
        impl AsRawFd for $end {
            fn as_raw_fd(&self) -> RawFd {
                self.0.file.as_raw_fd()
            }
        }

        impl IntoRawFd for $end {
            fn into_raw_fd(self) -> RawFd {
                self.0.give_away().into_raw_fd()
            }
        }
    )*};
}

write!(ChildStdin, &ChildStdin);
read!(ChildStdout, &ChildStdout, ChildStderr, &ChildStderr);
descriptor!(ChildStdin ChildStdout ChildStderr);
