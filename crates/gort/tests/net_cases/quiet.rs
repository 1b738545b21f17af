//! Addresses where a connection is refused, or gets no answer.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType};

/// An address where nobody listens, and nobody else can while this is held.
pub(crate) struct Nobody {
    pub(crate) addr: SocketAddr,
    _socket: OwnedFd,
}

impl Nobody {
    pub(crate) fn new() -> Nobody {
        let socket = socket(AddressFamily::INET);
        let addr = bind(&socket, Ipv4Addr::LOCALHOST.into());
        Nobody { addr, _socket: socket }
    }

    /// The same over IPv6; over IPv4 if there is no IPv6.
    pub(crate) fn v6() -> Nobody {
        let v6 = || {
            let socket = try_socket(AddressFamily::INET6).ok()?;
            rustix::net::bind(&socket, &SocketAddr::from((Ipv6Addr::LOCALHOST, 0))).ok()?;
            Some(Nobody { addr: name(&socket), _socket: socket })
        };
        v6().unwrap_or_else(Nobody::new)
    }
}

/// An address that does not answer: a listener that accepts nobody, with its queue full.
pub(crate) struct Silence {
    pub(crate) addr: SocketAddr,
    sockets: Vec<OwnedFd>,
}

impl Silence {
    pub(crate) fn new() -> Silence {
        let listener = socket(AddressFamily::INET);
        let addr = bind(&listener, Ipv4Addr::LOCALHOST.into());
        rustix::net::listen(&listener, 0).unwrap();
        let mut sockets = vec![listener];
        for _ in 0..4 {
            let client = socket(AddressFamily::INET);
            let _ = rustix::net::connect(&client, &addr); // it is under way, or will never be
            sockets.push(client);
        }
        Silence { addr, sockets }
    }

    /// The socket that listens, to accept with after all.
    pub(crate) fn listener(&self) -> OwnedFd {
        self.sockets[0].try_clone().unwrap()
    }
}

fn socket(family: AddressFamily) -> OwnedFd {
    try_socket(family).unwrap()
}

fn try_socket(family: AddressFamily) -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    rustix::net::socket_with(family, SocketType::STREAM, flags, None)
}

fn bind(socket: &OwnedFd, ip: IpAddr) -> SocketAddr {
    rustix::net::bind(socket, &SocketAddr::from((ip, 0))).unwrap();
    name(socket)
}

fn name(socket: &OwnedFd) -> SocketAddr {
    rustix::net::getsockname(socket).unwrap().try_into().unwrap()
}
