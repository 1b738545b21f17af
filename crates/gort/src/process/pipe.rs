//! Our ends of a child's pipes.
//!
//! Owns: reading and writing them.

use std::io::{self, IoSlice, IoSliceMut, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::process::Stdio;

use gort_core::blocking::blocking;

/// Writes to the standard input of a child. Closed when dropped: the child finds the end there.
///
/// [`Write`] works on `&ChildStdin` too. A write parks while the pipe is full.
#[derive(Debug)]
pub struct ChildStdin(PipeWriter);

/// Reads the standard output of a child.
///
/// [`Read`] works on `&ChildStdout` too. A read parks until there is something, or the end.
#[derive(Debug)]
pub struct ChildStdout(PipeReader);

/// Reads the standard error of a child.
///
/// [`Read`] works on `&ChildStderr` too. A read parks until there is something, or the end.
#[derive(Debug)]
pub struct ChildStderr(PipeReader);

macro_rules! write {
    ($($handle:ty),*) => {$(
        impl Write for $handle {
            fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
                blocking(|| (&self.0).write(buf))
            }

            fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
                blocking(|| (&self.0).write_vectored(bufs))
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
                blocking(|| (&self.0).read(buf))
            }

            fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                blocking(|| (&self.0).read_vectored(bufs))
            }
        }
    )*};
}

macro_rules! descriptor {
    ($($end:ident)*) => {$(
        impl From<std::process::$end> for $end {
            fn from(end: std::process::$end) -> $end {
                $end(OwnedFd::from(end).into())
            }
        }

        impl From<$end> for std::process::$end {
            fn from(end: $end) -> std::process::$end {
                OwnedFd::from(end.0).into()
            }
        }

        impl From<$end> for Stdio {
            fn from(end: $end) -> Stdio {
                end.0.into()
            }
        }

        impl From<$end> for OwnedFd {
            fn from(end: $end) -> OwnedFd {
                end.0.into()
            }
        }

        impl AsFd for $end {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.0.as_fd()
            }
        }

        impl AsRawFd for $end {
            fn as_raw_fd(&self) -> RawFd {
                self.0.as_raw_fd()
            }
        }

        impl IntoRawFd for $end {
            fn into_raw_fd(self) -> RawFd {
                self.0.into_raw_fd()
            }
        }
    )*};
}

write!(ChildStdin, &ChildStdin);
read!(ChildStdout, &ChildStdout, ChildStderr, &ChildStderr);
descriptor!(ChildStdin ChildStdout ChildStderr);
