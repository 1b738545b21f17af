//! A TCP socket that takes connections.

use std::io;
use std::iter::FusedIterator;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use rustix::net::{SocketType, sockopt};

use super::TcpStream;
use crate::net::backoff::Backoff;
use crate::net::fd::NetFd;
use crate::net::traits::{descriptor_traits, listener_methods, shared_methods};
use crate::net::{calls, error, resolve};

/// A TCP socket that takes connections: std's `TcpListener`, and Go's. Waiting parks the goroutine.
///
/// Any number of goroutines may accept at the same time. The module has [a server](crate::net#a-server).
pub struct TcpListener(Arc<NetFd>);

impl TcpListener {
    /// Listens at the first of the addresses that can be had. Port 0 lets the kernel choose.
    ///
    /// As in std, the address may be one that a connection of an earlier process has not quite left (`SO_REUSEADDR`), and
    /// `[::]` takes IPv4 too, if the system's defaults are such.
    ///
    /// # Errors
    /// The kernel's, of the last address; [`InvalidInput`](io::ErrorKind::InvalidInput) if there is none.
    pub fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<TcpListener> {
        let addrs = resolve::all(&addr)?;
        error::first_good(&addrs.list, |addr| {
            let fd = calls::socket_for(addr, SocketType::STREAM)?;
            sockopt::set_socket_reuseaddr(&fd, true)?;
            NetFd::new(calls::bind_and_listen(fd, addr)?).map(TcpListener)
        })
    }

    /// Waits for a connection.
    ///
    /// # Errors
    /// The kernel's, above all that there is no descriptor left (EMFILE): the connection stays where it is then, and the
    /// next call will find it. A server should pause before that, as [`incoming`](TcpListener::incoming) does.
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (fd, from) = calls::accept(&self.0)?;
        Ok((TcpStream(NetFd::new(fd)?), calls::inet(from)?))
    }

    /// The connections, one after the other, until the listener is closed.
    ///
    /// If the process or the system is out of descriptors or memory, the iterator pauses and tries again: after 5 ms, and
    /// twice as long each time it still fails, up to a second, as Go's HTTP server does. Other errors are given out. (std's
    /// iterator gives all errors out, and never ends.)
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { listener: self, backoff: Backoff::default() }
    }

    /// The address it listens at.
    ///
    /// # Errors
    /// The kernel's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.as_std().local_addr()
    }

    /// How many routers a packet may pass.
    ///
    /// # Errors
    /// The kernel's.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.as_std().set_ttl(ttl)
    }

    /// What `set_ttl` has set.
    ///
    /// # Errors
    /// The kernel's.
    pub fn ttl(&self) -> io::Result<u32> {
        self.as_std().ttl()
    }
}

shared_methods!(TcpListener, std::net::TcpListener);
listener_methods!(TcpListener);
descriptor_traits!(TcpListener, std::net::TcpListener);

/// The connections of a [`TcpListener`]: see [`incoming`](TcpListener::incoming).
#[derive(Debug)]
pub struct Incoming<'a> {
    listener: &'a TcpListener,
    backoff: Backoff,
}

impl Iterator for Incoming<'_> {
    type Item = io::Result<TcpStream>;

    fn next(&mut self) -> Option<io::Result<TcpStream>> {
        self.backoff.until_it_works(&self.listener.0, || self.listener.accept().map(|(stream, _)| stream))
    }
}

impl FusedIterator for Incoming<'_> {}

impl<'a> IntoIterator for &'a TcpListener {
    type Item = io::Result<TcpStream>;
    type IntoIter = Incoming<'a>;

    fn into_iter(self) -> Incoming<'a> {
        self.incoming()
    }
}
