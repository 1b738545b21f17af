//! A Unix socket that takes connections.

use std::io;
use std::iter::FusedIterator;
use std::os::unix::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rustix::net::{SocketAddrUnix, SocketType};

use super::{UnixStream, addr};
use crate::net::backoff::Backoff;
use crate::net::calls;
use crate::net::fd::NetFd;
use crate::net::traits::{descriptor_traits, listener_methods, shared_methods};

/// A Unix socket that takes connections: std's `UnixListener`, and Go's. Waiting parks the goroutine.
///
/// Any number of goroutines may accept at the same time. As in std, and unlike Go, the socket's file stays when the
/// listener is closed or dropped: removing it is the caller's business.
///
/// # Examples
/// ```
/// use std::io::{Read, Write};
/// use std::os::linux::net::SocketAddrExt;
/// use std::os::unix::net::SocketAddr;
/// use gort::net::{UnixListener, UnixStream};
///
/// #[gort::main(unsafe(migrate))]
/// fn main() -> std::io::Result<()> {
///     let addr = SocketAddr::from_abstract_name(format!("gort-example-{}", std::process::id()))?;
///     let listener = UnixListener::bind_addr(&addr)?;
///     gort::go(move || listener.accept()?.0.write_all(b"hello"));
///     let mut text = String::new();
///     UnixStream::connect_addr(&addr)?.read_to_string(&mut text)?;
///     assert_eq!(text, "hello");
///     Ok(())
/// }
/// ```
pub struct UnixListener(Arc<NetFd>);

impl UnixListener {
    /// Listens at `path`, which must not exist yet.
    ///
    /// # Errors
    /// The kernel's; [`InvalidInput`](io::ErrorKind::InvalidInput) for a path that cannot be an address.
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<UnixListener> {
        bind(&addr::of_path(path.as_ref())?)
    }

    /// Listens at `addr`: a path or an abstract name.
    ///
    /// # Errors
    /// The kernel's.
    pub fn bind_addr(addr: &SocketAddr) -> io::Result<UnixListener> {
        bind(&addr::to_kernel(addr)?)
    }

    /// Waits for a connection.
    ///
    /// # Errors
    /// The kernel's, above all that there is no descriptor left (EMFILE); see
    /// [`TcpListener::accept`](crate::net::TcpListener::accept).
    pub fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        let (fd, from) = calls::accept(&self.0)?;
        Ok((UnixStream(NetFd::new(fd)?), addr::from_kernel(from)?))
    }

    /// The connections, one after the other, until the listener is closed. Pauses when the process is out of descriptors,
    /// as [`TcpListener::incoming`](crate::net::TcpListener::incoming) does.
    pub fn incoming(&self) -> UnixIncoming<'_> {
        UnixIncoming { listener: self, backoff: Backoff::default() }
    }

    /// The address it listens at.
    ///
    /// # Errors
    /// The kernel's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.as_std().local_addr()
    }
}

fn bind(addr: &SocketAddrUnix) -> io::Result<UnixListener> {
    let fd = calls::bind_and_listen(calls::unix_socket(SocketType::STREAM)?, addr)?;
    NetFd::new(fd).map(UnixListener)
}

shared_methods!(UnixListener, std::os::unix::net::UnixListener);
listener_methods!(UnixListener);
descriptor_traits!(UnixListener, std::os::unix::net::UnixListener);

/// The connections of a [`UnixListener`]: see [`incoming`](UnixListener::incoming).
#[derive(Debug)]
pub struct UnixIncoming<'a> {
    listener: &'a UnixListener,
    backoff: Backoff,
}

impl Iterator for UnixIncoming<'_> {
    type Item = io::Result<UnixStream>;

    fn next(&mut self) -> Option<io::Result<UnixStream>> {
        self.backoff.until_it_works(&self.listener.0, || self.listener.accept().map(|(stream, _)| stream))
    }
}

impl FusedIterator for UnixIncoming<'_> {}

impl<'a> IntoIterator for &'a UnixListener {
    type Item = io::Result<UnixStream>;
    type IntoIter = UnixIncoming<'a>;

    fn into_iter(self) -> UnixIncoming<'a> {
        self.incoming()
    }
}
