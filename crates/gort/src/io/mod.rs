//! Standard input without blocking other goroutines.
//!
//! A wait for input may last for ever, and descriptor 0 is shared with other programs, so it must not be made
//! non-blocking: each read is [announced](crate::blocking) instead, and costs a thread while it lasts.
//!
//! Owns: [`Stdin`] and its buffer, which is not std's. Use one of the two in a program: what one has read ahead the other
//! does not see.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, RawFd};

use gort_core::blocking::blocking;

use crate::sync::{LazyLock, Mutex, MutexGuard};

/// The process's standard input: `std::io::stdin` for goroutines. Handles are cheap, and share one buffer.
///
/// ```no_run
/// #[gort::main(unsafe(migrate))]
/// fn main() -> std::io::Result<()> {
///     for line in gort::io::stdin().lines() {
///         println!("{}", line?.to_uppercase());
///     }
///     Ok(())
/// }
/// ```
pub fn stdin() -> Stdin {
    Stdin { buffer: &BUFFER }
}

/// A handle to the standard input: `std::io::Stdin` for goroutines.
///
/// Goroutines that read at the same time take turns, line by line ([`read_line`](Stdin::read_line)) or read by read; they
/// park while another one waits for input.
pub struct Stdin {
    buffer: &'static Buffer,
}

/// The standard input, for as long as nobody else is to read from it. See [`Stdin::lock`].
pub struct StdinLock {
    buffer: MutexGuard<'static, BufReader<Descriptor>>,
}

type Buffer = LazyLock<Mutex<BufReader<Descriptor>>>;

static BUFFER: Buffer = LazyLock::new(|| Mutex::new(BufReader::new(Descriptor)));

impl Stdin {
    /// Keeps others from reading until the lock is dropped. Parks while somebody else has it.
    ///
    /// Unlike std's the lock may be held by a goroutine that goes on on another thread, and be sent to another goroutine.
    pub fn lock(&self) -> StdinLock {
        StdinLock { buffer: self.buffer.lock() }
    }

    /// Adds one line to `line`, with its end; returns its length in bytes, 0 at the end of input. Parks until there is one.
    ///
    /// # Errors
    /// The input is not UTF-8, or can not be read.
    pub fn read_line(&self, line: &mut String) -> io::Result<usize> {
        self.lock().read_line(line)
    }

    /// The lines, without their ends. Others that read meanwhile get the lines in between.
    pub fn lines(self) -> Lines {
        Lines { stdin: self }
    }
}

/// The lines of the standard input: see [`Stdin::lines`].
#[derive(Debug)]
pub struct Lines {
    stdin: Stdin,
}

impl Iterator for Lines {
    type Item = io::Result<String>;

    fn next(&mut self) -> Option<io::Result<String>> {
        // Taken anew for each line, so that others get theirs.
        self.stdin.lock().lines().next()
    }
}

macro_rules! read {
    ($($handle:ty)*) => {$(
        impl Read for $handle {
            fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                self.lock().read(buf)
            }

            fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
                self.lock().read_to_end(buf)
            }

            fn read_to_string(&mut self, buf: &mut String) -> io::Result<usize> {
                self.lock().read_to_string(buf)
            }

            fn read_exact(&mut self, buf: &mut [u8]) -> io::Result<()> {
                self.lock().read_exact(buf)
            }
        }
    )*};
}

read!(Stdin & Stdin);

impl Read for StdinLock {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.buffer.read(buf)
    }

    fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        self.buffer.read_to_end(buf)
    }
}

impl BufRead for StdinLock {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.buffer.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.buffer.consume(amount);
    }
}

impl AsFd for Stdin {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: descriptor 0 is the standard input by convention, and stays open.
        unsafe { BorrowedFd::borrow_raw(0) }
    }
}

impl AsRawFd for Stdin {
    fn as_raw_fd(&self) -> RawFd {
        0
    }
}

impl fmt::Debug for Stdin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stdin").finish_non_exhaustive()
    }
}

impl fmt::Debug for StdinLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StdinLock").finish_non_exhaustive()
    }
}

/// Descriptor 0.
struct Descriptor;

impl Read for Descriptor {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        // SAFETY: descriptor 0 is the standard input by convention; it is not closed here, and a read of whatever it is can
        // at worst fail.
        let file = ManuallyDrop::new(unsafe { std::fs::File::from_raw_fd(0) });
        match blocking(|| (&*file).read(buf)) {
            // A program that was started without a standard input finds an empty one, as with std.
            Err(error) if error.raw_os_error() == Some(libc::EBADF) => Ok(0),
            result => result,
        }
    }
}
