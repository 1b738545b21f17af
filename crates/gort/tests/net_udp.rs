//! Datagrams over UDP.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gort::net::UdpSocket;

mod net_cases;

fn socket() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = socket.local_addr().unwrap();
    (socket, addr)
}

#[gort::test(unsafe(migrate))]
fn there_and_back() {
    let (here, here_addr) = socket();
    let (there, there_addr) = socket();
    let echo = gort::go(move || {
        let mut buf = [0; 100];
        let (size, from) = there.recv_from(&mut buf).unwrap();
        assert_eq!(from, here_addr);
        there.send_to(&buf[..size], from).unwrap();
    });
    gort::sleep(Duration::from_millis(5));
    assert_eq!(here.send_to(b"ping", there_addr).unwrap(), 4);
    let mut buf = [0; 100];
    assert_eq!(here.peek_from(&mut buf).unwrap(), (4, there_addr));
    assert_eq!(here.recv_from(&mut buf[..2]).unwrap(), (2, there_addr), "the rest is cut off");
    assert_eq!(&buf[..2], b"pi");
    echo.join().unwrap();
    // All ways to say where.
    for _ in 0..2 {
        here.send_to(b"", here_addr).unwrap();
        here.send_to(b"", ("127.0.0.1", here_addr.port())).unwrap();
        here.send_to(b"", format!("127.0.0.1:{}", here_addr.port())).unwrap();
    }
    for _ in 0..6 {
        assert_eq!(here.recv_from(&mut buf).unwrap(), (0, here_addr), "an empty datagram is one");
    }
    let none: &[SocketAddr] = &[];
    assert_eq!(here.send_to(b"x", none).unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[gort::test(unsafe(migrate))]
fn connected() {
    let (here, here_addr) = socket();
    let (there, there_addr) = socket();
    let (stranger, _) = socket();
    here.connect(there_addr).unwrap();
    assert_eq!(here.peer_addr().unwrap(), there_addr);
    stranger.send_to(b"not from there", here_addr).unwrap();
    there.send_to(b"answer", here_addr).unwrap();
    let mut buf = [0; 100];
    assert_eq!(here.peek(&mut buf).unwrap(), 6);
    assert_eq!(here.recv(&mut buf).unwrap(), 6);
    assert_eq!(here.send(b"question").unwrap(), 8);
    assert_eq!(there.recv(&mut buf).unwrap(), 8);
    assert_eq!(there.send(b"whom to?").unwrap_err().raw_os_error(), Some(libc::EDESTADDRREQ));
    // Nobody there any more: the next call tells.
    drop(there);
    here.send(b"lost").unwrap();
    assert_eq!(here.recv(&mut buf).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[gort::test(unsafe(migrate), maxprocs = 4)]
fn each_datagram_goes_to_one() {
    let (receiver, addr) = socket();
    let (count, sum) = (AtomicUsize::new(0), AtomicUsize::new(0));
    gort::scope(|s| {
        let receivers: Vec<_> = (0..4)
            .map(|_| {
                s.go(|| {
                    let mut buf = [0; 8];
                    while let Ok(size) = receiver.recv(&mut buf) {
                        assert_eq!(size, 8);
                        count.fetch_add(1, Ordering::Relaxed);
                        sum.fetch_add(usize::from_le_bytes(buf), Ordering::Relaxed);
                    }
                })
            })
            .collect();
        let (sender, _) = socket();
        for number in 0..2000usize {
            sender.send_to(&number.to_le_bytes(), addr).unwrap();
            // Not more than the receiver's buffer holds: UDP drops the rest.
            while number >= count.load(Ordering::Relaxed) + 50 {
                gort::gosched();
            }
        }
        while count.load(Ordering::Relaxed) < 2000 {
            gort::gosched();
        }
        receiver.close();
        for receiver in receivers {
            receiver.join().unwrap();
        }
    });
    assert_eq!(sum.into_inner(), 2000 * 1999 / 2);
}

#[gort::test(unsafe(migrate))]
fn options_are_std_s() {
    let (socket, _) = socket();
    socket.set_broadcast(true).unwrap();
    assert!(socket.broadcast().unwrap());
    socket.set_ttl(9).unwrap();
    assert_eq!(socket.ttl().unwrap(), 9);
    socket.set_multicast_loop_v4(false).unwrap();
    assert!(!socket.multicast_loop_v4().unwrap());
    socket.set_multicast_ttl_v4(3).unwrap();
    assert_eq!(socket.multicast_ttl_v4().unwrap(), 3);
    assert!(socket.take_error().unwrap().is_none());
    assert!(format!("{socket:?}").starts_with("UdpSocket { addr: 127.0.0.1:"), "{socket:?}");
    socket.set_nonblocking(true).unwrap();
    assert_eq!(socket.recv(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
    if let Ok(socket) = UdpSocket::bind("[::1]:0") {
        socket.set_multicast_loop_v6(false).unwrap();
        assert!(!socket.multicast_loop_v6().unwrap());
        assert!(socket.leave_multicast_v6(&Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x99), 1).is_err());
    }
}

#[gort::test(unsafe(migrate))]
fn a_group_of_the_loopback_interface() {
    let group = Ipv4Addr::new(239, 255, 77, 7);
    let receiver = UdpSocket::bind("0.0.0.0:0").unwrap();
    if receiver.join_multicast_v4(&group, &Ipv4Addr::LOCALHOST).is_err() {
        return; // no multicast here
    }
    let (sender, _) = socket();
    let port = receiver.local_addr().unwrap().port();
    receiver.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    if sender.send_to(b"to all", (group, port)).is_ok() {
        let mut buf = [0; 10];
        match receiver.recv(&mut buf) {
            Ok(size) => assert_eq!(&buf[..size], b"to all"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::TimedOut, "no route for it"),
        }
    }
    receiver.leave_multicast_v4(&group, &Ipv4Addr::LOCALHOST).unwrap();
}
