//! The system calls, as the sockets need them: never blocking, never raising SIGPIPE, with std's addresses.
//!
//! All sending and receiving says `MSG_DONTWAIT`: whether the descriptor blocks is a matter of the open file, which a
//! duplicate in the hands of others may have changed. A goroutine parks then all the same.
//!
//! A stream that is closed is shut down too, so a call that is under way finds the end of the stream, or a broken pipe.
//! `close` marks the descriptor before it shuts the stream down, so looking again afterwards tells the two ends apart.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use gort_core::pollfd::Direction::{Read, Write};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    self, AddressFamily, RecvAncillaryBuffer, RecvFlags, SendAncillaryBuffer, SendFlags, SocketAddrAny,
    SocketFlags, SocketType, addr::SocketAddrArg,
};

use super::error;
use super::fd::{NetFd, uninterrupted};

/// How many connections may wait to be accepted: more than the kernel allows by default, and it takes the smaller.
const BACKLOG: i32 = 4096;

/// How many slices one call may have: Linux's limit.
const SLICES_MAX: usize = 1024;

const FLAGS: SocketFlags = SocketFlags::CLOEXEC.union(SocketFlags::NONBLOCK);
const SEND: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);

/// A new socket, non-blocking, of the address family that `addr` belongs to.
pub(super) fn socket_for(addr: &SocketAddr, kind: SocketType) -> io::Result<OwnedFd> {
    let family = if addr.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    Ok(net::socket_with(family, kind, FLAGS, None)?)
}

/// A new Unix socket, non-blocking.
pub(super) fn unix_socket(kind: SocketType) -> io::Result<OwnedFd> {
    Ok(net::socket_with(AddressFamily::UNIX, kind, FLAGS, None)?)
}

/// Two Unix sockets that are connected to each other, non-blocking.
pub(super) fn unix_pair(kind: SocketType) -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(net::socketpair(AddressFamily::UNIX, kind, FLAGS, None)?)
}

/// Binds and listens.
pub(super) fn bind_and_listen(fd: OwnedFd, addr: &impl SocketAddrArg) -> io::Result<OwnedFd> {
    net::bind(&fd, addr)?;
    net::listen(&fd, BACKLOG)?;
    Ok(fd)
}

/// Waits for a connection. Those that are gone before they could be accepted are passed over.
pub(super) fn accept(listener: &NetFd) -> io::Result<(OwnedFd, Option<SocketAddrAny>)> {
    listener.call(Read, |fd| {
        loop {
            match net::acceptfrom_with(fd, FLAGS) {
                Err(Errno::CONNABORTED) => {}
                result => return result,
            }
        }
    })
}

/// What it says of a stream if a read has not filled its buffer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Short {
    /// Nothing was left. (Or urgent data is next. Of that the poller hears: then a read is tried all the same.)
    Emptied,
    /// Nothing: a read also ends before data with which descriptors came.
    Perhaps,
}

impl Short {
    /// Whether the stream was emptied by a read of so many bytes for which there was room.
    fn emptied(self, read: usize, room: usize) -> bool {
        self == Short::Emptied && 0 < read && read < room
    }
}

/// Receives from a stream; 0 at its end, or if there is no room in `buf`: the kernel would wait for data even so.
#[inline]
pub(super) fn read(stream: &NetFd, buf: &mut [u8], short: Short) -> io::Result<usize> {
    if buf.is_empty() {
        return Ok(0);
    }
    let room = buf.len();
    let read = stream.call_emptying(
        Read,
        |&read| short.emptied(read, room),
        |fd| recv(fd, buf, RecvFlags::DONTWAIT),
    )?;
    unless_closed(stream, read)
}

/// Receives from a stream, and leaves the bytes there.
pub(super) fn peek(stream: &NetFd, buf: &mut [u8]) -> io::Result<usize> {
    if buf.is_empty() {
        return Ok(0);
    }
    let read = stream.call(Read, |fd| recv(fd, buf, RecvFlags::DONTWAIT | RecvFlags::PEEK))?;
    unless_closed(stream, read)
}

/// Receives from a stream into several buffers.
pub(super) fn read_vectored(stream: &NetFd, bufs: &mut [IoSliceMut<'_>], short: Short) -> io::Result<usize> {
    // Empty ones in front must not fill the call, and leave no room for others.
    let Some(start) = bufs.iter().position(|buf| !buf.is_empty()) else { return Ok(0) };
    let end = bufs.len().min(start + SLICES_MAX);
    let bufs = &mut bufs[start..end];
    let room = bufs.iter().fold(0, |room: usize, buf| room.saturating_add(buf.len()));
    let read = stream.call_emptying(
        Read,
        |&read| short.emptied(read, room),
        |fd| {
            net::recvmsg(fd, bufs, &mut RecvAncillaryBuffer::default(), RecvFlags::DONTWAIT)
                .map(|got| got.bytes)
        },
    )?;
    unless_closed(stream, read)
}

/// Sends into a stream, as much as there is room for.
#[inline]
pub(super) fn write(stream: &NetFd, buf: &[u8]) -> io::Result<usize> {
    stream.call(Write, |fd| net::send(fd, buf, SEND)).map_err(|error| closed_rather(stream, error))
}

/// Sends several buffers into a stream.
pub(super) fn write_vectored(stream: &NetFd, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
    let start = bufs.iter().position(|buf| !buf.is_empty()).unwrap_or(0);
    let bufs = &bufs[start..bufs.len().min(start + SLICES_MAX)];
    stream
        .call(Write, |fd| net::sendmsg(fd, bufs, &mut SendAncillaryBuffer::default(), SEND))
        .map_err(|error| closed_rather(stream, error))
}

/// Receives a datagram, or its beginning.
pub(super) fn receive(socket: &NetFd, buf: &mut [u8], flags: RecvFlags) -> io::Result<usize> {
    socket.call(Read, |fd| recv(fd, buf, flags | RecvFlags::DONTWAIT))
}

/// As [`receive`], from a Unix socket: nothing if that is shut down.
pub(super) fn receive_unix(socket: &NetFd, buf: &mut [u8], flags: RecvFlags) -> io::Result<usize> {
    socket.call(Read, |fd| {
        let received = unless_shut_down(fd, || recv(fd, buf, flags | RecvFlags::DONTWAIT));
        received.map(Option::unwrap_or_default)
    })
}

/// As [`receive_from`], from a Unix socket: nothing, from nobody, if that is shut down.
pub(super) fn receive_from_unix(
    socket: &NetFd,
    buf: &mut [u8],
    flags: RecvFlags,
) -> io::Result<(usize, Option<SocketAddrAny>)> {
    socket.call(Read, |fd| {
        let received = unless_shut_down(fd, || net::recvfrom(fd, &mut *buf, flags | RecvFlags::DONTWAIT))?;
        Ok(received.map_or((0, None), |(_, read, from)| (read.min(buf.len()), from)))
    })
}

/// Receives a datagram, or its beginning, and whom it is from.
pub(super) fn receive_from(
    socket: &NetFd,
    buf: &mut [u8],
    flags: RecvFlags,
) -> io::Result<(usize, Option<SocketAddrAny>)> {
    socket.call(Read, |fd| {
        let (_, read, from) = net::recvfrom(fd, &mut *buf, flags | RecvFlags::DONTWAIT)?;
        Ok((read.min(buf.len()), from))
    })
}

/// Sends a datagram to whom the socket is connected to.
pub(super) fn send(socket: &NetFd, buf: &[u8]) -> io::Result<usize> {
    socket.call(Write, |fd| net::send(fd, buf, SEND))
}

/// Sends a datagram.
pub(super) fn send_to(socket: &NetFd, buf: &[u8], to: &impl SocketAddrArg) -> io::Result<usize> {
    socket.call(Write, |fd| net::sendto(fd, buf, SEND, to))
}

/// Sends a datagram to a Unix socket. If that one's queue is full there is no event when it has room again: to the kernel
/// the sending socket is writable all the time.
pub(super) fn send_to_unix(socket: &NetFd, buf: &[u8], to: &impl SocketAddrArg) -> io::Result<usize> {
    socket.call_without_events(Write, |fd| net::sendto(fd, buf, SEND, to))
}

/// Connects a socket for which that takes no time.
pub(super) fn connect_at_once(fd: &impl AsFd, addr: &impl SocketAddrArg) -> io::Result<()> {
    Ok(uninterrupted(|| net::connect(fd, addr))?)
}

/// As std's `shutdown` of a stream.
pub(super) fn shutdown(socket: &impl AsFd, how: Shutdown) -> io::Result<()> {
    let how = match how {
        Shutdown::Read => net::Shutdown::Read,
        Shutdown::Write => net::Shutdown::Write,
        Shutdown::Both => net::Shutdown::Both,
    };
    Ok(net::shutdown(socket, how)?)
}

/// Closes a stream: wakes all who wait, and ends it in both directions.
pub(super) fn close_stream(stream: &NetFd) {
    stream.close();
    // The other side may have ended it already.
    let _ = net::shutdown(stream, net::Shutdown::Both);
}

/// The address, of a socket that has an internet address.
pub(super) fn inet(addr: Option<SocketAddrAny>) -> io::Result<SocketAddr> {
    let addr = addr.ok_or(Errno::INVAL)?;
    Ok(SocketAddr::try_from(addr)?)
}

/// What `op` receives; `None` if there is nothing, and never will be. To a call that does not wait the kernel says only the
/// former of a Unix socket for datagrams, and would say so for ever.
fn unless_shut_down<T>(
    fd: BorrowedFd<'_>,
    mut op: impl FnMut() -> Result<T, Errno>,
) -> Result<Option<T>, Errno> {
    match op() {
        // What came before the end, but after this try, comes first.
        Err(Errno::AGAIN) if is_shut_down(fd) => match op() {
            Err(Errno::AGAIN) => Ok(None),
            result => result.map(Some),
        },
        result => result.map(Some),
    }
}

fn is_shut_down(fd: BorrowedFd<'_>) -> bool {
    let mut asked = [PollFd::from_borrowed_fd(fd, PollFlags::RDHUP)];
    let answers = poll(&mut asked, Some(&Timespec::default()));
    answers.is_ok() && asked[0].revents().contains(PollFlags::RDHUP)
}

fn recv(fd: BorrowedFd<'_>, buf: &mut [u8], flags: RecvFlags) -> Result<usize, Errno> {
    net::recv(fd, buf, flags).map(|(read, _)| read)
}

/// The end of a stream that has been closed here is an error.
#[inline]
fn unless_closed(stream: &NetFd, read: usize) -> io::Result<usize> {
    if read == 0 && stream.is_closed() { Err(error::closed()) } else { Ok(read) }
}

#[cold]
fn closed_rather(stream: &NetFd, error: io::Error) -> io::Error {
    if stream.is_closed() { error::closed() } else { error }
}
