//! A connection between Unix sockets.

use std::io;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use gort_core::blocking::blocking;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::net::{self, SocketAddrUnix, SocketType};

use super::addr;
use crate::net::calls;
use crate::net::fd::{NetFd, uninterrupted};
use crate::net::traits::{descriptor_traits, shared_methods, stream_traits, time_limits};

/// A connection between Unix sockets: std's `UnixStream`, and Go's `UnixConn`. Waiting parks the goroutine.
///
/// Any number of goroutines may read and write at the same time through `&stream` or clones.
///
/// # Examples
/// ```
/// use std::io::{Read, Write};
/// use gort::net::UnixStream;
///
/// #[gort::main(unsafe(migrate))]
/// fn main() -> std::io::Result<()> {
///     let (mut here, mut there) = UnixStream::pair()?;
///     gort::go(move || there.write_all(b"hello"));
///     let mut text = String::new();
///     here.read_to_string(&mut text)?;
///     assert_eq!(text, "hello");
///     Ok(())
/// }
/// ```
pub struct UnixStream(pub(super) Arc<NetFd>);

impl UnixStream {
    /// Connects to the listener at `path`. Waits while the listener's queue is full, which blocks a thread, though not the
    /// processor.
    ///
    /// # Errors
    /// The kernel's; [`InvalidInput`](io::ErrorKind::InvalidInput) for a path that cannot be an address.
    pub fn connect<P: AsRef<Path>>(path: P) -> io::Result<UnixStream> {
        connect(&addr::of_path(path.as_ref())?)
    }

    /// Connects to the listener at `addr`: a path or an abstract name. As `connect`.
    ///
    /// # Errors
    /// The kernel's.
    pub fn connect_addr(addr: &SocketAddr) -> io::Result<UnixStream> {
        connect(&addr::to_kernel(addr)?)
    }

    /// Two streams that are connected to each other.
    ///
    /// # Errors
    /// The kernel's.
    pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
        let (a, b) = calls::unix_pair(SocketType::STREAM)?;
        Ok((UnixStream(NetFd::new(a)?), UnixStream(NetFd::new(b)?)))
    }

    /// The address of this side.
    ///
    /// # Errors
    /// The kernel's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.as_std().local_addr()
    }

    /// The address of the other side.
    ///
    /// # Errors
    /// The kernel's.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.as_std().peer_addr()
    }

    /// Ends one direction of the connection, or both. `Shutdown::Write` is Go's `CloseWrite`.
    ///
    /// # Errors
    /// The kernel's.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        calls::shutdown(&*self.0, how)
    }

    /// Closes the connection in both directions, wakes everybody who waits for it, on any clone, and fails all later
    /// calls, with [`NotConnected`](io::ErrorKind::NotConnected) and the text `use of closed network connection`. Go's
    /// `Close`.
    ///
    /// The descriptor is freed with the last handle. Closing twice does nothing.
    pub fn close(&self) {
        calls::close_stream(&self.0);
    }
}

fn connect(addr: &SocketAddrUnix) -> io::Result<UnixStream> {
    let fd = calls::unix_socket(SocketType::STREAM)?;
    match uninterrupted(|| net::connect(&fd, addr)) {
        Ok(()) => {}
        // The listener's queue is full, and no event tells when it is not.
        Err(Errno::AGAIN) => connect_blocking(&fd, addr)?,
        Err(errno) => return Err(errno.into()),
    }
    NetFd::new(fd).map(UnixStream)
}

#[cold]
fn connect_blocking(fd: &OwnedFd, addr: &SocketAddrUnix) -> io::Result<()> {
    let flags = fcntl_getfl(fd)?;
    fcntl_setfl(fd, flags - OFlags::NONBLOCK)?;
    blocking(|| uninterrupted(|| net::connect(fd, addr)))?;
    Ok(fcntl_setfl(fd, flags)?)
}

shared_methods!(UnixStream, std::os::unix::net::UnixStream);
time_limits!(UnixStream);
stream_traits!(UnixStream, Perhaps);
descriptor_traits!(UnixStream, std::os::unix::net::UnixStream);
