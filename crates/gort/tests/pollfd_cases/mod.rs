//! A registered end of a socket pair, for the tests of the network poller.

#![allow(dead_code, unreachable_pub, reason = "each test program uses some of it")]

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use gort_core::pollfd::{Direction, PollFd};

/// One end. The registration goes before the descriptor.
pub struct End {
    pub fd: PollFd,
    pub stream: UnixStream,
}

impl End {
    pub fn pair() -> (End, End) {
        let (one, other) = UnixStream::pair().expect("the system gives a socket pair");
        (End::new(one), End::new(other))
    }

    pub fn new(stream: UnixStream) -> End {
        stream.set_nonblocking(true).expect("a socket can be non-blocking");
        End { fd: PollFd::new(stream.as_fd()).expect("a socket can be polled"), stream }
    }

    pub fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            self.fd.check(Direction::Read)?;
            match try_read(&self.stream, buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.fd.wait(Direction::Read)?,
                done => return done,
            }
        }
    }

    pub fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            self.fd.check(Direction::Write)?;
            match try_write(&self.stream, bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.fd.wait(Direction::Write)?,
                done => bytes = &bytes[done?..],
            }
        }
        Ok(())
    }
}

/// The call and its errno, on one thread: not inlined into what spans a wait.
#[inline(never)]
pub fn try_read(mut stream: &UnixStream, buf: &mut [u8]) -> io::Result<usize> {
    stream.read(buf)
}

/// As [`try_read`].
#[inline(never)]
pub fn try_write(mut stream: &UnixStream, bytes: &[u8]) -> io::Result<usize> {
    stream.write(bytes)
}
