//! A UDP socket.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use rustix::net::{self, RecvFlags, SocketType};

use super::fd::NetFd;
use super::traits::{close_method, descriptor_traits, shared_methods, time_limits};
use super::{calls, error, resolve};

/// A UDP socket: std's `UdpSocket`, and Go's `UDPConn`. Waiting parks the goroutine.
///
/// Any number of goroutines may send and receive at the same time; each datagram goes to one of them.
///
/// # Examples
/// ```
/// use gort::net::UdpSocket;
///
/// #[gort::main(unsafe(migrate))]
/// fn main() -> std::io::Result<()> {
///     let server = UdpSocket::bind("127.0.0.1:0")?;
///     let addr = server.local_addr()?;
///     gort::go(move || -> std::io::Result<()> {
///         let mut buf = [0; 1500];
///         let (size, from) = server.recv_from(&mut buf)?;
///         server.send_to(&buf[..size], from)?;
///         Ok(())
///     });
///
///     let client = UdpSocket::bind("127.0.0.1:0")?;
///     client.connect(addr)?;
///     client.send(b"echo")?;
///     let mut buf = [0; 1500];
///     assert_eq!(client.recv(&mut buf)?, 4);
///     Ok(())
/// }
/// ```
pub struct UdpSocket(Arc<NetFd>);

impl UdpSocket {
    /// A socket at the first of the addresses that can be had. Port 0 lets the kernel choose.
    ///
    /// # Errors
    /// The kernel's, of the last address; [`InvalidInput`](io::ErrorKind::InvalidInput) if there is none.
    pub fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<UdpSocket> {
        let addrs = resolve::all(&addr)?;
        error::first_good(&addrs.list, |addr| {
            let fd = calls::socket_for(addr, SocketType::DGRAM)?;
            net::bind(&fd, addr)?;
            NetFd::new(fd).map(UdpSocket)
        })
    }

    /// Decides for the other side: `send` sends there, and only datagrams from there are received. Takes the first of the
    /// addresses that is possible.
    ///
    /// # Errors
    /// The kernel's, of the last address; [`InvalidInput`](io::ErrorKind::InvalidInput) if there is none.
    pub fn connect<A: ToSocketAddrs>(&self, addr: A) -> io::Result<()> {
        let addrs = resolve::all(&addr)?;
        error::first_good(&addrs.list, |addr| calls::connect_at_once(&*self.0, addr))
    }

    /// Waits for a datagram. What is longer than `buf` is cut off.
    ///
    /// # Errors
    /// The kernel's.
    pub fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let (size, from) = calls::receive_from(&self.0, buf, RecvFlags::empty())?;
        Ok((size, calls::inet(from)?))
    }

    /// As `recv_from`, and leaves the datagram there.
    ///
    /// # Errors
    /// The kernel's.
    pub fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let (size, from) = calls::receive_from(&self.0, buf, RecvFlags::PEEK)?;
        Ok((size, calls::inet(from)?))
    }

    /// Sends a datagram to the first address of `addr`. Waits while the socket's buffer is full.
    ///
    /// # Errors
    /// The kernel's; [`InvalidInput`](io::ErrorKind::InvalidInput) if there is no address.
    pub fn send_to<A: ToSocketAddrs>(&self, buf: &[u8], addr: A) -> io::Result<usize> {
        calls::send_to(&self.0, buf, &resolve::first(&addr)?)
    }

    /// Waits for a datagram from the side it is connected to. What is longer than `buf` is cut off.
    ///
    /// # Errors
    /// The kernel's; among them, that an earlier datagram could not be delivered
    /// ([`ConnectionRefused`](io::ErrorKind::ConnectionRefused)).
    pub fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        calls::receive(&self.0, buf, RecvFlags::empty())
    }

    /// As `recv`, and leaves the datagram there.
    ///
    /// # Errors
    /// As `recv`.
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        calls::receive(&self.0, buf, RecvFlags::PEEK)
    }

    /// Sends a datagram to the side it is connected to. Waits while the socket's buffer is full.
    ///
    /// # Errors
    /// The kernel's, if it is not connected for instance.
    pub fn send(&self, buf: &[u8]) -> io::Result<usize> {
        calls::send(&self.0, buf)
    }

    /// The address of the side it is connected to.
    ///
    /// # Errors
    /// If it is not connected.
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
}

/// Passes options on to std's type.
macro_rules! options {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $type:ty),*) -> $result:ty;)*) => {
        /// Options, as in std.
        impl UdpSocket {$(
            $(#[$doc])*
            ///
            /// # Errors
            /// The kernel's.
            pub fn $name(&self $(, $arg: $type)*) -> io::Result<$result> {
                self.as_std().$name($($arg),*)
            }
        )*}
    };
}

options! {
    /// Whether datagrams may be sent to everybody on a network.
    set_broadcast(broadcast: bool) -> ();
    /// What `set_broadcast` has set.
    broadcast() -> bool;
    /// How many routers a datagram may pass.
    set_ttl(ttl: u32) -> ();
    /// What `set_ttl` has set.
    ttl() -> u32;
    /// Whether multicasts over IPv4 are received by this machine too.
    set_multicast_loop_v4(multicast_loop_v4: bool) -> ();
    /// What `set_multicast_loop_v4` has set.
    multicast_loop_v4() -> bool;
    /// How many routers a multicast over IPv4 may pass.
    set_multicast_ttl_v4(multicast_ttl_v4: u32) -> ();
    /// What `set_multicast_ttl_v4` has set.
    multicast_ttl_v4() -> u32;
    /// Whether multicasts over IPv6 are received by this machine too.
    set_multicast_loop_v6(multicast_loop_v6: bool) -> ();
    /// What `set_multicast_loop_v6` has set.
    multicast_loop_v6() -> bool;
    /// Joins a group, on the interface with that address; `0.0.0.0` lets the kernel choose one.
    join_multicast_v4(multiaddr: &Ipv4Addr, interface: &Ipv4Addr) -> ();
    /// Joins a group, on the interface with that number; 0 lets the kernel choose one.
    join_multicast_v6(multiaddr: &Ipv6Addr, interface: u32) -> ();
    /// Leaves a group.
    leave_multicast_v4(multiaddr: &Ipv4Addr, interface: &Ipv4Addr) -> ();
    /// Leaves a group.
    leave_multicast_v6(multiaddr: &Ipv6Addr, interface: u32) -> ();
}

shared_methods!(UdpSocket, std::net::UdpSocket);
time_limits!(UdpSocket);
close_method!(UdpSocket);
descriptor_traits!(UdpSocket, std::net::UdpSocket);
