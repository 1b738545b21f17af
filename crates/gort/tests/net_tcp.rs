//! TCP: what goes in comes out, whoever reads and writes, and from wherever.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gort::net::{TcpListener, TcpStream};
use gort::sync::WaitGroup;
use rustix::net::SendFlags;

mod net_cases;
use net_cases::{descriptors, listener, pair, pattern};

/// Sends back what comes in until the end.
fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buf = [0; 4096];
    loop {
        match stream.read(&mut buf)? {
            0 => return Ok(()),
            size => stream.write_all(&buf[..size])?,
        }
    }
}

#[gort::test(unsafe(migrate))]
fn there_and_back() {
    let (mut here, mut there) = pair();
    assert_eq!(here.peer_addr().unwrap(), there.local_addr().unwrap());
    assert_eq!(here.local_addr().unwrap(), there.peer_addr().unwrap());
    here.write_all(b"ping").unwrap();
    let mut buf = [0; 4];
    there.read_exact(&mut buf).unwrap();
    assert_eq!(&buf, b"ping");
    // Now somebody has to wait.
    let waits = gort::go(move || {
        let mut buf = [0; 10];
        let size = here.read(&mut buf).unwrap();
        (buf, size)
    });
    gort::sleep(Duration::from_millis(5));
    there.write_all(b"pong").unwrap();
    let (buf, size) = waits.join().unwrap();
    assert_eq!(&buf[..size], b"pong");
}

#[gort::test(unsafe(migrate), maxprocs = 1)]
fn one_processor_carries_both_sides() {
    let (here, mut there) = pair();
    gort::go(move || echo(here));
    for round in 0..1000u32 {
        there.write_all(&round.to_le_bytes()).unwrap();
        let mut buf = [0; 4];
        there.read_exact(&mut buf).unwrap();
        assert_eq!(u32::from_le_bytes(buf), round);
    }
}

#[gort::test(unsafe(migrate), maxprocs = 4)]
fn many_connections_at_once() {
    let (listener, addr) = listener();
    let server = listener.try_clone().unwrap();
    let server = gort::go(move || {
        let all = WaitGroup::new();
        for stream in server.incoming() {
            let stream = stream.unwrap();
            all.go(move || echo(stream).unwrap());
        }
        all.wait();
    });
    let done = Arc::new(AtomicUsize::new(0));
    let clients = WaitGroup::new();
    for number in 0..400usize {
        let done = done.clone();
        clients.go(move || {
            let mut stream = TcpStream::connect(addr).unwrap();
            for round in 0..10 {
                let sent = pattern(number * 10 + round, 1 + (number * 37 + round) % 3000);
                stream.write_all(&sent).unwrap();
                let mut back = vec![0; sent.len()];
                stream.read_exact(&mut back).unwrap();
                assert!(back == sent, "connection {number}, round {round}");
            }
            done.fetch_add(1, Ordering::Relaxed);
        });
    }
    clients.wait();
    assert_eq!(done.load(Ordering::Relaxed), 400);
    listener.close();
    server.join().unwrap();
}

#[gort::test(unsafe(migrate))]
fn a_writer_waits_for_a_slow_reader() {
    const SIZE: usize = 16 << 20;
    let (mut here, mut there) = pair();
    let written = Arc::new(AtomicUsize::new(0));
    let counted = written.clone();
    let writer = gort::go(move || {
        for (index, part) in pattern(7, SIZE).chunks(64 << 10).enumerate() {
            here.write_all(part).unwrap();
            counted.store((index + 1) * (64 << 10), Ordering::Relaxed);
        }
    });
    // Nobody reads: it comes to a stop, well before the end.
    let mut before = usize::MAX;
    while before != written.load(Ordering::Relaxed) {
        before = written.load(Ordering::Relaxed);
        gort::sleep(Duration::from_millis(100));
    }
    assert!(before < SIZE, "the kernel has not taken 16 MiB");
    let mut got = Vec::new();
    there.read_to_end(&mut got).unwrap();
    writer.join().unwrap();
    assert!(got == pattern(7, SIZE));
}

#[gort::test(unsafe(migrate))]
fn half_of_a_connection_ends() {
    let (mut here, mut there) = pair();
    let other = gort::go(move || {
        let mut all = Vec::new();
        there.read_to_end(&mut all).unwrap();
        assert_eq!(there.read(&mut [0; 10]).unwrap(), 0, "the end stays the end");
        there.write_all(&all).unwrap();
        there.write_all(b"!").unwrap();
    });
    here.write_all(b"a question").unwrap();
    here.shutdown(Shutdown::Write).unwrap();
    assert_eq!(here.write(b"more").unwrap_err().kind(), ErrorKind::BrokenPipe);
    let mut answer = String::new();
    here.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "a question!");
    other.join().unwrap();
}

#[gort::test(unsafe(migrate))]
fn a_waiting_reader_sees_the_end_and_the_reset() {
    let (mut here, there) = pair();
    let reader = gort::go(move || here.read(&mut [0; 10]).unwrap());
    gort::sleep(Duration::from_millis(5));
    drop(there);
    assert_eq!(reader.join().unwrap(), 0);

    let (mut here, there) = pair();
    let reader = gort::go(move || (here.read(&mut [0; 10]).unwrap_err().kind(), here));
    gort::sleep(Duration::from_millis(5));
    there.set_linger(Some(Duration::ZERO)).unwrap();
    drop(there);
    let (kind, mut here) = reader.join().unwrap();
    assert_eq!(kind, ErrorKind::ConnectionReset);
    assert_eq!(here.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
}

#[gort::test(unsafe(migrate))]
fn a_waiting_writer_sees_the_reset() {
    let (mut here, there) = pair();
    let writer = gort::go(move || {
        let all = vec![0; 64 << 20];
        here.write_all(&all).unwrap_err().kind()
    });
    gort::sleep(Duration::from_millis(50));
    drop(there); // with bytes that nobody has read: a reset
    let kind = writer.join().unwrap();
    assert!(matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{kind:?}");
}

#[gort::test(unsafe(migrate))]
fn peek_leaves_the_bytes() {
    let (mut here, mut there) = pair();
    let peeker = gort::go(move || {
        let mut buf = [0; 10];
        assert_eq!(here.peek(&mut buf).unwrap(), 3); // waits
        assert_eq!(here.peek(&mut buf[..2]).unwrap(), 2);
        assert_eq!(here.read(&mut buf).unwrap(), 3);
        assert_eq!(&buf[..3], b"abc");
        assert_eq!(here.peek(&mut buf).unwrap(), 0, "the end");
    });
    gort::sleep(Duration::from_millis(5));
    there.write_all(b"abc").unwrap();
    drop(there);
    peeker.join().unwrap();
}

/// A read ends before urgent data, although there is more: it must not be taken for the last of it.
#[gort::test(unsafe(migrate))]
fn urgent_data_does_not_hold_up_what_follows() {
    for pause in [0, 1, 5].map(Duration::from_millis) {
        let (here, mut there) = pair();
        let reader = gort::go(move || {
            let (mut all, mut buf) = (Vec::<u8>::new(), [0; 64]);
            while all.len() < 9 {
                let size = there.read(&mut buf).unwrap();
                // An urgent byte is one like others if the next one comes before it was passed.
                all.extend(buf[..size].iter().filter(|byte| **byte != b'!'));
            }
            all
        });
        for (bytes, flags) in [
            (b"abc", SendFlags::empty()),
            (b"de!", SendFlags::OOB),
            (b"fgh", SendFlags::empty()),
            (b"i?!", SendFlags::OOB),
        ] {
            rustix::net::send(&here, bytes, flags).unwrap();
            gort::sleep(pause);
        }
        assert_eq!(&reader.join().unwrap()[..9], b"abcdefghi");
    }
}

#[gort::test(unsafe(migrate))]
fn several_buffers_in_one_call() {
    let (mut here, mut there) = pair();
    let sent =
        here.write_vectored(&[IoSlice::new(b"one "), IoSlice::new(b""), IoSlice::new(b"two")]).unwrap();
    assert_eq!(sent, 7);
    let (mut first, mut second) = ([0; 5], [0; 10]);
    let mut bufs = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
    assert_eq!(there.read_vectored(&mut bufs).unwrap(), 7);
    assert_eq!((&first, &second[..2]), (b"one t", &b"wo"[..]));
    assert_eq!(there.read_vectored(&mut []).unwrap(), 0);
    // More than the kernel takes at once.
    let many: Vec<_> = (0..3000).map(|_| IoSlice::new(b"x")).collect();
    assert_eq!(here.write_vectored(&many).unwrap(), 1024);
    let mut all = vec![0; 1024];
    there.read_exact(&mut all).unwrap();
    drop(here);
    let mut rest = [0; 3];
    assert_eq!(there.read_vectored(&mut [IoSliceMut::new(&mut rest)]).unwrap(), 0);
}

#[gort::test(unsafe(migrate), maxprocs = 4)]
fn many_read_and_write_one_stream() {
    const EACH: usize = 20_000;
    let (here, there) = pair();
    let sum = AtomicUsize::new(0);
    let count = AtomicUsize::new(0);
    gort::scope(|s| {
        let writers: Vec<_> = (1..=8u8)
            .map(|byte| {
                let mut here = &here;
                s.go(move || {
                    for part in vec![byte; EACH].chunks(7) {
                        here.write_all(part).unwrap();
                    }
                })
            })
            .collect();
        for size in [1, 3, 100, 5000] {
            let (mut there, sum, count) = (&there, &sum, &count);
            s.go(move || {
                let mut buf = vec![0; size];
                loop {
                    let size = there.read(&mut buf).unwrap();
                    if size == 0 {
                        break;
                    }
                    count.fetch_add(size, Ordering::Relaxed);
                    sum.fetch_add(buf[..size].iter().map(|b| usize::from(*b)).sum(), Ordering::Relaxed);
                }
            });
        }
        for writer in writers {
            writer.join().unwrap();
        }
        here.shutdown(Shutdown::Write).unwrap();
    });
    assert_eq!(count.into_inner(), 8 * EACH);
    assert_eq!(sum.into_inner(), 36 * EACH);
}

/// One edge tells of two chunks; the first reader takes only a part. The second must not sleep on the rest.
#[gort::test(unsafe(migrate), maxprocs = 4)]
fn a_reader_that_takes_little_leaves_the_rest_to_others() {
    for round in 0..200 {
        let (here, there) = pair();
        gort::scope(|s| {
            let readers: Vec<_> = (0..4)
                .map(|_| {
                    let mut there = &there;
                    s.go(move || there.read_exact(&mut [0; 1]).unwrap())
                })
                .collect();
            if round % 2 == 0 {
                gort::gosched();
            }
            let mut here = &here;
            here.write_all(b"abcd").unwrap();
            for reader in readers {
                reader.join().unwrap();
            }
        });
    }
}

#[gort::test(unsafe(migrate), maxprocs = 4)]
fn many_accept_from_one_listener() {
    let (listener, addr) = listener();
    gort::scope(|s| {
        let acceptors: Vec<_> = (0..4)
            .map(|_| s.go(|| listener.incoming().take(25).map(Result::unwrap).fold(0, |count, _| count + 1)))
            .collect();
        let clients: Vec<_> = (0..100).map(|_| s.go(move || TcpStream::connect(addr).unwrap())).collect();
        for client in clients {
            drop(client.join().unwrap());
        }
        let accepted: u32 = acceptors.into_iter().map(|acceptor| acceptor.join().unwrap()).sum();
        assert_eq!(accepted, 100);
    });
}

#[gort::test(unsafe(migrate), maxprocs = 1)]
fn who_always_finds_data_lets_others_run() {
    let (mut here, there) = pair();
    let over = there.try_clone().unwrap();
    let mut there = std::net::TcpStream::from(there);
    let writer = std::thread::spawn(move || while there.write_all(&[0; 64 << 10]).is_ok() {});
    let total = Arc::new(AtomicUsize::new(0));
    let counted = total.clone();
    let reader = gort::go(move || {
        while let Ok(size @ 1..) = here.read(&mut [0; 100]) {
            counted.fetch_add(size, Ordering::Relaxed);
        }
    });
    let mut turns = 0;
    while turns < 5 || total.load(Ordering::Relaxed) < 100_000 {
        gort::sleep(Duration::from_millis(1));
        gort::go(|| ()).join().unwrap();
        turns += 1;
    }
    over.close();
    reader.join().unwrap();
    gort::blocking(|| writer.join().unwrap());
}

#[gort::test(unsafe(migrate))]
fn a_clone_is_the_same_socket() {
    let (mut here, mut there) = pair();
    let mut clone = here.try_clone().unwrap();
    here.set_read_timeout(Some(Duration::from_secs(7))).unwrap();
    assert_eq!(clone.read_timeout().unwrap(), Some(Duration::from_secs(7)));
    clone.set_nodelay(true).unwrap();
    assert!(here.nodelay().unwrap());
    clone.write_all(b"a").unwrap();
    here.write_all(b"b").unwrap();
    drop(here);
    clone.write_all(b"c").unwrap();
    let mut buf = [0; 3];
    there.read_exact(&mut buf).unwrap();
    assert_eq!(&buf, b"abc");
    drop(clone);
    assert_eq!(there.read(&mut buf).unwrap(), 0, "the last handle is gone");
}

#[gort::test(unsafe(migrate))]
fn options_are_std_s() {
    let (here, _there) = pair();
    assert!(!here.nodelay().unwrap(), "as in std, and not as in Go");
    here.set_ttl(40).unwrap();
    assert_eq!(here.ttl().unwrap(), 40);
    here.set_linger(Some(Duration::from_secs(3))).unwrap();
    assert_eq!(here.linger().unwrap(), Some(Duration::from_secs(3)));
    here.set_linger(None).unwrap();
    assert!(here.take_error().unwrap().is_none());
    assert_eq!(here.set_read_timeout(Some(Duration::ZERO)).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(here.set_write_timeout(Some(Duration::ZERO)).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert!(format!("{here:?}").starts_with("TcpStream { addr: 127.0.0.1:"), "{here:?}");
    let (listener, _) = listener();
    listener.set_ttl(41).unwrap();
    assert_eq!(listener.ttl().unwrap(), 41);
    assert!(format!("{listener:?}").starts_with("TcpListener { addr: 127.0.0.1:"), "{listener:?}");
}

#[gort::test(unsafe(migrate))]
fn non_blocking_calls_do_not_wait() {
    let (mut here, mut there) = pair();
    here.set_nonblocking(true).unwrap();
    assert_eq!(here.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
    there.write_all(b"x").unwrap();
    while let Err(error) = here.read_exact(&mut [0; 1]) {
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        gort::gosched();
    }
    let (listener, _) = listener();
    listener.set_nonblocking(true).unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    listener.set_nonblocking(false).unwrap();
}

#[test]
fn the_other_families_and_taken_addresses() {
    if let Ok(listener) = TcpListener::bind("[::]:0") {
        let port = listener.local_addr().unwrap().port();
        for host in ["127.0.0.1", "::1"] {
            let client = TcpStream::connect((host, port)).expect("both families reach [::]");
            let (_, from) = listener.accept().unwrap();
            assert_eq!(from.port(), client.local_addr().unwrap().port());
        }
    }
    let (_listener, addr) = listener();
    assert_eq!(TcpListener::bind(addr).unwrap_err().kind(), ErrorKind::AddrInUse);
    let none: &[std::net::SocketAddr] = &[];
    assert_eq!(TcpListener::bind(none).unwrap_err().kind(), ErrorKind::InvalidInput);
    let second = [addr, "127.0.0.1:0".parse().unwrap()];
    assert_ne!(TcpListener::bind(&second[..]).unwrap().local_addr().unwrap(), addr);
}

#[test]
fn no_descriptor_is_left_behind() {
    if !descriptors::in_own_process("no_descriptor_is_left_behind") {
        return;
    }
    // The runtime's own are opened at the first use.
    gort_run(|| drop(pair()));
    let before = descriptors::open();
    gort_run(|| {
        for _ in 0..50 {
            let (here, there) = pair();
            let clone = here.try_clone().unwrap();
            let reader = gort::go(move || (&clone).read(&mut [0; 1]));
            drop(here);
            there.close();
            assert_eq!(reader.join().unwrap().unwrap(), 0);
        }
    });
    assert_eq!(descriptors::open(), before);
}

#[test]
fn sockets_may_be_sent_shared_and_unwound_through() {
    fn check<T: Send + Sync + Unpin + std::panic::UnwindSafe + std::panic::RefUnwindSafe + 'static>() {}
    check::<TcpStream>();
    check::<TcpListener>();
    check::<gort::net::UdpSocket>();
    check::<gort::net::UnixStream>();
    check::<gort::net::UnixDatagram>();
    check::<gort::net::Poll>();
}

fn gort_run(f: impl FnOnce() + Send + 'static) {
    // SAFETY: nothing here keeps a reference to a thread-local, a thread-bound value or a std guard across a park.
    unsafe { gort::run(f) }
}
