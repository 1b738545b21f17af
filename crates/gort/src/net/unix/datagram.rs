//! A Unix socket for datagrams.

use std::io;
use std::net::Shutdown;
use std::os::unix::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rustix::net::{self, RecvFlags, SocketAddrUnix, SocketType};

use super::addr;
use crate::net::calls;
use crate::net::fd::NetFd;
use crate::net::traits::{close_method, descriptor_traits, shared_methods, time_limits};

/// A Unix socket for datagrams: std's `UnixDatagram`, and Go's `UnixConn` with `unixgram`. Waiting parks the goroutine.
///
/// Nothing is lost and nothing overtakes: a sender waits while the receiver's queue is full.
///
/// # Examples
/// ```
/// use gort::net::UnixDatagram;
///
/// #[gort::main(unsafe(migrate))]
/// fn main() -> std::io::Result<()> {
///     let (here, there) = UnixDatagram::pair()?;
///     gort::go(move || there.send(b"hello"));
///     let mut buf = [0; 100];
///     assert_eq!(here.recv(&mut buf)?, 5);
///     Ok(())
/// }
/// ```
pub struct UnixDatagram(Arc<NetFd>);

impl UnixDatagram {
    /// A socket at `path`, which must not exist yet, and stays when the socket is dropped.
    ///
    /// # Errors
    /// The kernel's; [`InvalidInput`](io::ErrorKind::InvalidInput) for a path that cannot be an address.
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<UnixDatagram> {
        bind(&addr::of_path(path.as_ref())?)
    }

    /// A socket at `addr`: a path or an abstract name.
    ///
    /// # Errors
    /// The kernel's.
    pub fn bind_addr(addr: &SocketAddr) -> io::Result<UnixDatagram> {
        bind(&addr::to_kernel(addr)?)
    }

    /// A socket without an address: it can send.
    ///
    /// # Errors
    /// The kernel's.
    pub fn unbound() -> io::Result<UnixDatagram> {
        NetFd::new(calls::unix_socket(SocketType::DGRAM)?).map(UnixDatagram)
    }

    /// Two sockets that are connected to each other.
    ///
    /// # Errors
    /// The kernel's.
    pub fn pair() -> io::Result<(UnixDatagram, UnixDatagram)> {
        let (a, b) = calls::unix_pair(SocketType::DGRAM)?;
        Ok((UnixDatagram(NetFd::new(a)?), UnixDatagram(NetFd::new(b)?)))
    }

    /// Decides for the other side: `send` sends there, and only datagrams from there are received.
    ///
    /// # Errors
    /// The kernel's; [`InvalidInput`](io::ErrorKind::InvalidInput) for a path that cannot be an address.
    pub fn connect<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        calls::connect_at_once(&*self.0, &addr::of_path(path.as_ref())?)
    }

    /// As `connect`, to a path or an abstract name.
    ///
    /// # Errors
    /// The kernel's.
    pub fn connect_addr(&self, addr: &SocketAddr) -> io::Result<()> {
        calls::connect_at_once(&*self.0, &addr::to_kernel(addr)?)
    }

    /// Waits for a datagram. What is longer than `buf` is cut off. Once reading is [shut down](UnixDatagram::shutdown) and nothing
    /// is left: no bytes, from nobody.
    ///
    /// # Errors
    /// The kernel's.
    pub fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let (size, from) = calls::receive_from_unix(&self.0, buf, RecvFlags::empty())?;
        Ok((size, addr::from_kernel(from)?))
    }

    /// Waits for a datagram, as with [`recv_from`](UnixDatagram::recv_from).
    ///
    /// # Errors
    /// The kernel's.
    pub fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        calls::receive_unix(&self.0, buf, RecvFlags::empty())
    }

    /// Sends a datagram to the socket at `path`. While that one's queue is full the goroutine looks again after 1 ms, and
    /// then after twice as long each time, up to 16 ms: the kernel has no event for it. A connected socket is told.
    ///
    /// # Errors
    /// The kernel's; [`InvalidInput`](io::ErrorKind::InvalidInput) for a path that cannot be an address.
    pub fn send_to<P: AsRef<Path>>(&self, buf: &[u8], path: P) -> io::Result<usize> {
        calls::send_to_unix(&self.0, buf, &addr::of_path(path.as_ref())?)
    }

    /// As `send_to`, to a path or an abstract name.
    ///
    /// # Errors
    /// The kernel's.
    pub fn send_to_addr(&self, buf: &[u8], addr: &SocketAddr) -> io::Result<usize> {
        calls::send_to_unix(&self.0, buf, &addr::to_kernel(addr)?)
    }

    /// Sends a datagram to the side it is connected to. Waits while that one's queue is full.
    ///
    /// # Errors
    /// The kernel's, if it is not connected for instance.
    pub fn send(&self, buf: &[u8]) -> io::Result<usize> {
        calls::send(&self.0, buf)
    }

    /// The address of this side.
    ///
    /// # Errors
    /// The kernel's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.as_std().local_addr()
    }

    /// The address of the side it is connected to.
    ///
    /// # Errors
    /// If it is not connected.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.as_std().peer_addr()
    }

    /// Ends one direction, or both.
    ///
    /// # Errors
    /// The kernel's.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        calls::shutdown(&*self.0, how)
    }
}

fn bind(addr: &SocketAddrUnix) -> io::Result<UnixDatagram> {
    let fd = calls::unix_socket(SocketType::DGRAM)?;
    net::bind(&fd, addr)?;
    NetFd::new(fd).map(UnixDatagram)
}

shared_methods!(UnixDatagram, std::os::unix::net::UnixDatagram);
time_limits!(UnixDatagram);
close_method!(UnixDatagram);
descriptor_traits!(UnixDatagram, std::os::unix::net::UnixDatagram);
