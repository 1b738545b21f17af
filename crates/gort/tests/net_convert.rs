//! From and to std's types, descriptors and numbers.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::time::Duration;

use gort::net::{TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream};
use rustix::fs::{OFlags, fcntl_getfl};

mod net_cases;
use net_cases::{listener, pair};

fn is_nonblocking(fd: BorrowedFd<'_>) -> bool {
    fcntl_getfl(fd).unwrap().contains(OFlags::NONBLOCK)
}

#[gort::test(unsafe(migrate))]
fn streams_of_std() {
    let (here, mut there) = pair();
    let number = here.as_raw_fd();
    let limit = Duration::from_secs(20);
    here.set_read_timeout(Some(limit)).unwrap();
    let std = std::net::TcpStream::from(here);
    assert_eq!(std.as_raw_fd(), number, "the same descriptor");
    assert!(!is_nonblocking(std.as_fd()), "std's streams block");
    assert_eq!(std.read_timeout().unwrap(), Some(limit));
    std.set_write_timeout(Some(2 * limit)).unwrap();
    let mut here = TcpStream::from(std);
    assert!(is_nonblocking(here.as_fd()));
    assert_eq!((here.read_timeout().unwrap(), here.write_timeout().unwrap()), (Some(limit), Some(2 * limit)));
    there.write_all(b"x").unwrap();
    here.read_exact(&mut [0; 1]).unwrap();
    let waits = gort::go(move || here.read(&mut [0; 1]).unwrap());
    gort::sleep(Duration::from_millis(5));
    drop(there);
    assert_eq!(waits.join().unwrap(), 0);
}

#[gort::test(unsafe(migrate))]
fn with_clones_left_it_is_a_duplicate() {
    let (here, mut there) = pair();
    let mut clone = here.try_clone().unwrap();
    let mut std = std::net::TcpStream::from(here);
    assert_ne!(std.as_raw_fd(), clone.as_raw_fd());
    std.write_all(b"a").unwrap();
    clone.write_all(b"b").unwrap();
    there.read_exact(&mut [0; 2]).unwrap();
    // The open socket is the same, and blocks now; the clone's reader parks nevertheless, and can be woken.
    let other = clone.try_clone().unwrap();
    let waits = gort::go(move || clone.read(&mut [0; 1]));
    gort::sleep(Duration::from_millis(5));
    other.close();
    assert_eq!(waits.join().unwrap().unwrap_err().kind(), ErrorKind::NotConnected);
}

#[gort::test(unsafe(migrate))]
fn the_mode_that_was_asked_for_goes_along() {
    let (here, _there) = pair();
    here.set_nonblocking(true).unwrap();
    assert!(is_nonblocking(std::net::TcpStream::from(here).as_fd()));
}

#[gort::test(unsafe(migrate))]
fn all_kinds() {
    let (listening, addr) = listener();
    let listening = TcpListener::from(std::net::TcpListener::from(listening));
    let client = gort::go(move || TcpStream::connect(addr).unwrap());
    let (stream, _) = listening.accept().unwrap();
    drop((client.join().unwrap(), stream));

    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let udp = UdpSocket::from_std(udp).unwrap();
    udp.send_to(b"x", udp.local_addr().unwrap()).unwrap();
    assert_eq!(std::net::UdpSocket::from(udp).recv(&mut [0; 9]).unwrap(), 1);

    let (here, there) = std::os::unix::net::UnixStream::pair().unwrap();
    let (mut here, there) = (UnixStream::from(here), UnixStream::from_std(there).unwrap());
    here.write_all(b"x").unwrap();
    std::os::unix::net::UnixStream::from(there).read_exact(&mut [0; 1]).unwrap();

    let (here, there) = UnixDatagram::pair().unwrap();
    let here = UnixDatagram::from(std::os::unix::net::UnixDatagram::from(here));
    here.send(b"x").unwrap();
    assert_eq!(there.recv(&mut [0; 9]).unwrap(), 1);
}

#[gort::test(unsafe(migrate))]
fn descriptors_and_numbers() {
    let (here, mut there) = pair();
    let owned = OwnedFd::from(here);
    let raw = TcpStream::from(owned).into_raw_fd();
    // SAFETY: the line above has given the descriptor away.
    let mut here = unsafe { TcpStream::from_raw_fd(raw) };
    here.write_all(b"x").unwrap();
    there.read_exact(&mut [0; 1]).unwrap();
    assert_eq!(here.as_fd().as_raw_fd(), raw);
    assert!(UnixListener::from(OwnedFd::from(here)).as_raw_fd() == raw, "as in std, nobody checks the kind");
}

#[gort::test(unsafe(migrate))]
fn what_is_no_socket_fails_at_the_first_use() {
    let file = || OwnedFd::from(File::open("/proc/self/exe").unwrap());
    let mut stream = TcpStream::from(file());
    for error in [
        stream.read(&mut [0; 1]).unwrap_err(),
        stream.write(b"x").unwrap_err(),
        stream.set_deadline(None).unwrap_err(),
        UdpSocket::from(file()).recv(&mut [0; 1]).unwrap_err(),
        TcpListener::from(file()).accept().unwrap_err(),
        UnixStream::from_std(file().into()).unwrap_err(),
    ] {
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Unsupported, "not pollable"));
    }
    stream.close();
    drop(OwnedFd::from(stream));
}

/// A read of it ends at the end of a message, although there is more.
#[gort::test(unsafe(migrate))]
fn messages_that_pass_for_a_stream_are_all_read() {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    let (here, there) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    let (mut here, mut there) = (TcpStream::from(here), TcpStream::from(there));
    gort::scope(|s| {
        let reads = s.go(|| {
            let mut buf = [0; 9];
            (0..3).map(|_| here.read(&mut buf).unwrap()).collect::<Vec<_>>()
        });
        gort::sleep(Duration::from_millis(5));
        for message in [&b"one"[..], b"two", b"three"] {
            there.write_all(message).unwrap();
        }
        assert_eq!(reads.join().unwrap(), [3, 3, 5]);
    });
}
