//! A TCP connection.

use std::io;
use std::net::{Shutdown, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use gort_core::env::Moment;
use rustix::net::sockopt;

use crate::net::fd::NetFd;
use crate::net::traits::{descriptor_traits, shared_methods, stream_traits, time_limits};
use crate::net::{calls, connect, error, resolve};

/// A TCP connection: std's `TcpStream`, and Go's `TCPConn`. Waiting parks the goroutine.
///
/// Any number of goroutines may read and write at the same time through `&stream` or clones. A call of `read` or `write`
/// does one system call, after it has waited if it has to; `write` may so write less than all, and `write_all` writes all.
///
/// Unlike Go's, and like std's, a connection has Nagle's algorithm on: see [`set_nodelay`](TcpStream::set_nodelay).
///
/// # Examples
/// ```
/// use std::io::{Read, Write};
/// use gort::net::{TcpListener, TcpStream};
///
/// #[gort::main(unsafe(migrate))]
/// fn main() -> std::io::Result<()> {
///     let listener = TcpListener::bind("127.0.0.1:0")?;
///     let addr = listener.local_addr()?;
///     gort::go(move || listener.accept()?.0.write_all(b"hello"));
///
///     let mut text = String::new();
///     TcpStream::connect(addr)?.read_to_string(&mut text)?;
///     assert_eq!(text, "hello");
///     Ok(())
/// }
/// ```
pub struct TcpStream(pub(super) Arc<NetFd>);

impl TcpStream {
    /// Connects. Of several addresses the first that answers is taken: each gets a head start of 250 ms before the next
    /// is tried as well (RFC 8305); those that a name stands for take turns by family, IPv6 first.
    ///
    /// A name is looked up without holding up other goroutines. Go's `Dial`.
    ///
    /// # Errors
    /// The kernel's, of the last address that has failed; [`InvalidInput`](io::ErrorKind::InvalidInput) if there is none.
    pub fn connect<A: ToSocketAddrs>(addr: A) -> io::Result<TcpStream> {
        connect::to_any(resolve::all(&addr)?).map(TcpStream)
    }

    /// Connects to one address, within `timeout`. Go's `DialTimeout`.
    ///
    /// # Errors
    /// The kernel's; [`TimedOut`](io::ErrorKind::TimedOut); [`InvalidInput`](io::ErrorKind::InvalidInput) for a duration
    /// of zero.
    pub fn connect_timeout(addr: &SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
        if timeout.is_zero() {
            return Err(error::no_duration());
        }
        connect::to_one(addr, Moment::after(timeout)).map(TcpStream)
    }

    /// The address of the other side.
    ///
    /// # Errors
    /// If the other side has gone before it was asked for.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.as_std().peer_addr()
    }

    /// The address of this side.
    ///
    /// # Errors
    /// The kernel's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.as_std().local_addr()
    }

    /// Ends one direction of the connection, or both. `Shutdown::Write` is Go's `CloseWrite`: the other side reads to the
    /// end, and can still send.
    ///
    /// # Errors
    /// The kernel's, for instance if it is not connected any more.
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

    /// Reads and leaves the bytes there. Waits like a read.
    ///
    /// # Errors
    /// As a read.
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        calls::peek(&self.0, buf)
    }

    /// With `true`, what is written is sent at once, and not collected until what was sent before is acknowledged. Go
    /// sets this on every connection; std and gort do not.
    ///
    /// # Errors
    /// The kernel's.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.as_std().set_nodelay(nodelay)
    }

    /// What `set_nodelay` has set.
    ///
    /// # Errors
    /// The kernel's.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.as_std().nodelay()
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

    /// What becomes of bytes that are not sent yet when the descriptor is freed. `None`, as at first: the kernel goes on to
    /// send them. `Some(0)`: they are dropped, and the other side gets a reset. `Some(d)`: freeing blocks the thread for
    /// up to `d`, in whole seconds. Go's `SetLinger`; std's is not stable.
    ///
    /// # Errors
    /// The kernel's.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        Ok(sockopt::set_socket_linger(&self.0, linger)?)
    }

    /// What `set_linger` has set.
    ///
    /// # Errors
    /// The kernel's.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        Ok(sockopt::socket_linger(&self.0)?)
    }
}

shared_methods!(TcpStream, std::net::TcpStream);
time_limits!(TcpStream);
stream_traits!(TcpStream, Emptied);
descriptor_traits!(TcpStream, std::net::TcpStream);
