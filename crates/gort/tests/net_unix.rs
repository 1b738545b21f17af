//! Unix sockets: with paths, abstract names, and without any.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gort::net::{UnixDatagram, UnixListener, UnixStream};

mod net_cases;
use net_cases::pattern;

const MS: Duration = Duration::from_millis(1);

/// A path for a socket, removed at the end.
struct Place(PathBuf);

impl Place {
    fn new() -> Place {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("gort-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Place(std::env::temp_dir().join(name))
    }

    fn abstract_name(&self) -> SocketAddr {
        SocketAddr::from_abstract_name(self.0.file_name().unwrap().as_encoded_bytes()).unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0); // the socket may have had another name
    }
}

#[gort::test(unsafe(migrate))]
fn a_listener_at_a_path() {
    let place = Place::new();
    let listener = UnixListener::bind(&place.0).unwrap();
    assert_eq!(listener.local_addr().unwrap().as_pathname(), Some(&*place.0));
    assert_eq!(UnixListener::bind(&place.0).unwrap_err().kind(), ErrorKind::AddrInUse);
    let path = place.0.clone();
    let client = gort::go(move || {
        let mut stream = UnixStream::connect(&path).unwrap();
        assert_eq!(stream.peer_addr().unwrap().as_pathname(), Some(&*path));
        stream.write_all(b"question").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    let (mut stream, from) = listener.accept().unwrap();
    assert!(from.is_unnamed());
    let mut question = String::new();
    stream.read_to_string(&mut question).unwrap();
    assert_eq!(question, "question");
    stream.write_all(b"answer").unwrap();
    drop(stream);
    assert_eq!(client.join().unwrap(), "answer");
    drop(listener);
    assert_eq!(UnixStream::connect(&place.0).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    assert!(place.0.exists(), "removing it is the caller's business");
    std::fs::remove_file(&place.0).unwrap();
    assert_eq!(UnixStream::connect(&place.0).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(UnixStream::connect("x".repeat(200)).unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[gort::test(unsafe(migrate))]
fn abstract_names() {
    let place = Place::new();
    let name = place.abstract_name();
    let listener = UnixListener::bind_addr(&name).unwrap();
    let client = UnixStream::connect_addr(&name).unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    stream.write_all(b"x").unwrap();
    (&client).read_exact(&mut [0; 1]).unwrap();
    assert_eq!(client.peer_addr().unwrap().as_abstract_name(), name.as_abstract_name());
    assert!(!place.0.exists());
    // A client with a name is known by it; the listener takes a path here.
    let (listener, datagrams) = (UnixListener::bind(&place.0).unwrap(), UnixDatagram::unbound().unwrap());
    assert!(datagrams.send_to(b"x", &place.0).is_err(), "not that kind of socket");
    drop(listener);
}

#[gort::test(unsafe(migrate), maxprocs = 4)]
fn many_connections_and_a_full_queue() {
    let place = Place::new();
    let name = place.abstract_name();
    // std's queue is shorter than the number of clients.
    let listener = UnixListener::from(std::os::unix::net::UnixListener::bind_addr(&name).unwrap());
    gort::scope(|s| {
        let clients: Vec<_> = (0..300)
            .map(|_| {
                s.go(|| {
                    let mut stream = UnixStream::connect_addr(&name).unwrap();
                    stream.write_all(b"x").unwrap();
                    stream.read_exact(&mut [0; 1]).unwrap();
                })
            })
            .collect();
        gort::sleep(20 * MS);
        let server = s.go(|| {
            for stream in &listener {
                let mut stream = stream.unwrap();
                s.go(move || {
                    let mut buf = [0; 1];
                    stream.read_exact(&mut buf).unwrap();
                    stream.write_all(&buf).unwrap();
                });
            }
        });
        for client in clients {
            client.join().unwrap();
        }
        listener.close();
        server.join().unwrap();
    });
}

#[gort::test(unsafe(migrate))]
fn a_pair_carries_much() {
    let (mut here, mut there) = UnixStream::pair().unwrap();
    let writer = gort::go(move || here.write_all(&pattern(3, 4 << 20)).unwrap());
    let mut all = Vec::new();
    there.read_to_end(&mut all).unwrap();
    writer.join().unwrap();
    assert!(all == pattern(3, 4 << 20));
    assert!(format!("{there:?}").starts_with("UnixStream { fd: "), "{there:?}");
}

#[gort::test(unsafe(migrate))]
fn datagrams_know_their_senders() {
    let (a, b) = (Place::new(), Place::new());
    let receiver = UnixDatagram::bind(&a.0).unwrap();
    let named = UnixDatagram::bind_addr(&b.abstract_name()).unwrap();
    let nameless = UnixDatagram::unbound().unwrap();
    let mut buf = [0; 100];
    named.send_to(b"named", &a.0).unwrap();
    let (size, from) = receiver.recv_from(&mut buf).unwrap();
    assert_eq!(
        (&buf[..size], from.as_abstract_name()),
        (&b"named"[..], b.abstract_name().as_abstract_name())
    );
    nameless.send_to_addr(b"nameless", &receiver.local_addr().unwrap()).unwrap();
    let (size, from) = receiver.recv_from(&mut buf[..4]).unwrap();
    assert!(size == 4 && from.is_unnamed());
    nameless.connect(&a.0).unwrap();
    assert_eq!(nameless.peer_addr().unwrap().as_pathname(), Some(&*a.0));
    nameless.send(b"x").unwrap();
    nameless.connect_addr(&b.abstract_name()).unwrap();
    nameless.send(b"yy").unwrap();
    assert_eq!((receiver.recv(&mut buf).unwrap(), named.recv(&mut buf).unwrap()), (1, 2));
    nameless.shutdown(Shutdown::Both).unwrap();
    assert_eq!(nameless.send(b"z").unwrap_err().kind(), ErrorKind::BrokenPipe);
    assert_eq!(receiver.send_to(b"z", "nobody/is/here").unwrap_err().kind(), ErrorKind::NotFound);
}

/// The kernel tells a connected sender when the queue has room, and an unconnected one not at all.
#[gort::test(unsafe(migrate), maxprocs = 4)]
fn senders_wait_for_a_slow_receiver() {
    const EACH: usize = 100;
    let place = Place::new();
    let receiver = UnixDatagram::bind(&place.0).unwrap();
    let sent = AtomicUsize::new(0);
    gort::scope(|s| {
        for connected in [true, false, true, false] {
            let (place, sent) = (&place, &sent);
            s.go(move || {
                let sender = UnixDatagram::unbound().unwrap();
                sender.connect(&place.0).unwrap();
                for number in 0..EACH {
                    let datagram = number.to_le_bytes();
                    if connected {
                        sender.send(&datagram).unwrap();
                    } else {
                        sender.send_to(&datagram, &place.0).unwrap();
                    }
                    sent.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        gort::sleep(30 * MS);
        let before = sent.load(Ordering::Relaxed);
        assert!(before < 4 * EACH, "the queue is not that long: {before}");
        let mut buf = [0; 8];
        let numbers =
            (0..4 * EACH).map(|_| receiver.recv(&mut buf).map(|_| usize::from_le_bytes(buf)).unwrap());
        assert_eq!(numbers.sum::<usize>(), 4 * EACH * (EACH - 1) / 2);
    });
}

#[gort::test(unsafe(migrate))]
fn a_sender_without_events_has_time_limits() {
    let place = Place::new();
    let receiver = UnixDatagram::bind(&place.0).unwrap();
    let sender = UnixDatagram::unbound().unwrap();
    let fill = || loop {
        if let Err(error) = sender.send_to(b"x", &place.0) {
            return error;
        }
    };
    sender.set_nonblocking(true).unwrap();
    assert_eq!(fill().kind(), ErrorKind::WouldBlock);
    sender.set_nonblocking(false).unwrap();
    sender.set_write_timeout(Some(20 * MS)).unwrap();
    let start = Instant::now();
    assert_eq!(fill().kind(), ErrorKind::TimedOut);
    assert!(start.elapsed() >= 20 * MS);
    sender.set_write_timeout(None).unwrap();
    sender.set_deadline(Instant::now() + 20 * MS).unwrap();
    assert_eq!(fill().kind(), ErrorKind::TimedOut);
    sender.set_deadline(None).unwrap();
    gort::scope(|s| {
        let waits = s.go(fill);
        gort::sleep(5 * MS);
        sender.close();
        assert_eq!(waits.join().unwrap().kind(), ErrorKind::NotConnected);
    });
    drop(receiver);
}

/// A read ends with the bytes that descriptors came with, although there is more: it must not be taken for the last of it.
#[gort::test(unsafe(migrate))]
fn descriptors_that_come_along_do_not_hold_up_what_follows() {
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
    use std::os::fd::AsFd;

    let (mut here, mut there) = UnixStream::pair().unwrap();
    let reader = gort::go(move || {
        let (mut all, mut buf) = (Vec::new(), [0; 64]);
        while all.len() < 9 {
            let size = there.read(&mut buf).unwrap();
            all.extend_from_slice(&buf[..size]);
        }
        all
    });
    let fds = [here.as_fd()];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut along = SendAncillaryBuffer::new(&mut space);
    assert!(along.push(SendAncillaryMessage::ScmRights(&fds)));
    sendmsg(&here, &[std::io::IoSlice::new(b"abc")], &mut along, SendFlags::empty()).unwrap();
    here.write_all(b"def").unwrap();
    gort::sleep(Duration::from_millis(5));
    here.write_all(b"ghi").unwrap();
    assert_eq!(reader.join().unwrap(), b"abcdefghi");
}

#[gort::test(unsafe(migrate))]
fn who_receives_datagrams_hears_of_a_shutdown() {
    for shut_first in [false, true] {
        let (here, there) = UnixDatagram::pair().unwrap();
        there.send(b"last").unwrap();
        let mut buf = [0; 9];
        gort::scope(|s| {
            let shut = s.go(|| {
                if !shut_first {
                    gort::sleep(5 * MS);
                }
                here.shutdown(Shutdown::Read).unwrap();
            });
            if shut_first {
                shut.join().unwrap();
            }
            assert_eq!(here.recv(&mut buf).unwrap(), 4, "what has come comes first");
            assert_eq!(here.recv(&mut buf).unwrap(), 0);
            let (size, from) = here.recv_from(&mut buf).unwrap();
            assert_eq!((size, from.is_unnamed()), (0, true));
        });
    }
}

#[gort::test(unsafe(migrate))]
fn a_sender_does_not_wait_for_a_receiver_that_is_another_s() {
    let places = [Place::new(), Place::new()];
    let [never_reads, reads] = places.each_ref().map(|place| UnixDatagram::bind(&place.0).unwrap());
    let sender = UnixDatagram::unbound().unwrap();
    sender.set_nonblocking(true).unwrap();
    for place in &places {
        while sender.send_to(b"x", &place.0).is_ok() {}
    }
    sender.set_nonblocking(false).unwrap();
    gort::scope(|s| {
        let stuck = s.go(|| sender.send_to(b"x", &places[0].0));
        gort::sleep(5 * MS);
        let waits = s.go(|| sender.send_to(b"x", &places[1].0));
        gort::sleep(5 * MS);
        reads.recv(&mut [0]).unwrap();
        assert_eq!(waits.join().unwrap().unwrap(), 1);
        never_reads.recv(&mut [0]).unwrap();
        assert_eq!(stuck.join().unwrap().unwrap(), 1);
    });
}
