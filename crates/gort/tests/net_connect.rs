//! Connecting: refused, too late, to names, and to the first of several addresses that answers.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use gort::net::{TcpListener, TcpStream};

mod net_cases;
use net_cases::quiet::{Nobody, Silence};
use net_cases::{descriptors, listener};

const MS: Duration = Duration::from_millis(1);

#[gort::test(unsafe(migrate))]
fn refused() {
    let (nobody, other) = (Nobody::new(), Nobody::new());
    assert_eq!(TcpStream::connect(nobody.addr).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    let limited = TcpStream::connect_timeout(&nobody.addr, Duration::from_secs(60));
    assert_eq!(limited.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    let several = [nobody.addr, other.addr, nobody.addr];
    assert_eq!(TcpStream::connect(&several[..]).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    let none: &[SocketAddr] = &[];
    assert_eq!(TcpStream::connect(none).unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[gort::test(unsafe(migrate))]
fn too_late() {
    let silence = Silence::new();
    let start = Instant::now();
    let error = TcpStream::connect_timeout(&silence.addr, 50 * MS).unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::TimedOut, "i/o timeout"));
    assert!(start.elapsed() >= 50 * MS);
    let error = TcpStream::connect_timeout(&silence.addr, Duration::ZERO).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let (listener, addr) = listener();
    TcpStream::connect_timeout(&addr, Duration::from_secs(60)).unwrap();
    listener.accept().unwrap();
}

#[gort::test(unsafe(migrate))]
fn a_refusal_leads_to_the_next_at_once() {
    let (listener, addr) = listener();
    let (v6, v4) = (Nobody::v6(), Nobody::new());
    // Some try is not held up by a busy machine.
    let at_once = (0..50).any(|_| {
        let start = Instant::now();
        let dead = [v6.addr, v4.addr, addr];
        let stream = TcpStream::connect(&dead[..]).unwrap();
        let taken = start.elapsed();
        assert_eq!(stream.peer_addr().unwrap(), addr);
        listener.accept().unwrap();
        taken < 250 * MS
    });
    assert!(at_once, "the stagger is for those that do not answer");
}

#[gort::test(unsafe(migrate))]
fn silence_leads_to_the_next_after_a_while() {
    let silences = [Silence::new(), Silence::new()];
    let (listener, addr) = listener();
    let nobody = Nobody::new();
    let start = Instant::now();
    let addrs = [silences[0].addr, nobody.addr, silences[1].addr, nobody.addr, addr];
    let stream = TcpStream::connect(&addrs[..]).unwrap();
    assert_eq!(stream.peer_addr().unwrap(), addr);
    let taken = start.elapsed();
    assert!(taken >= 500 * MS, "each had its head start: {taken:?}");
    assert!(taken < Duration::from_secs(60), "{taken:?}");
    // One connection, and it works.
    let (mut there, _) = listener.accept().unwrap();
    there.write_all(b"hello").unwrap();
    drop(there);
    let mut text = String::new();
    (&stream).read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello");
    listener.set_deadline(Instant::now() + 10 * MS).unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::TimedOut);
}

#[gort::test(unsafe(migrate))]
fn an_earlier_address_may_still_win() {
    // The first answers when its turn alone is over: its queue gets room while the second, silent too, is tried.
    let slow = Silence::new();
    let silent = Silence::new();
    let first = slow.addr;
    let listening = slow.listener();
    let helper = gort::go(move || {
        gort::sleep(400 * MS);
        let listener = TcpListener::from(listening);
        // Those who have filled the queue, and then the one under test, which asks again after a second.
        std::iter::repeat_with(|| listener.accept().unwrap()).take(5).collect::<Vec<_>>()
    });
    let stream = TcpStream::connect(&[first, silent.addr][..]).unwrap();
    assert_eq!(stream.peer_addr().unwrap(), first);
    drop(helper);
}

#[gort::test(unsafe(migrate))]
fn names_are_looked_up() {
    let (listener, addr) = listener();
    let port = addr.port();
    let (name, whole) = (String::from("localhost"), format!("localhost:{port}"));
    for stream in [
        TcpStream::connect(("localhost", port)),
        TcpStream::connect((name, port)),
        TcpStream::connect(&whole),
        TcpStream::connect(whole.clone()),
        TcpStream::connect(&*format!("127.0.0.1:{port}")),
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)),
    ] {
        assert_eq!(stream.unwrap().peer_addr().unwrap(), addr);
        listener.accept().unwrap();
    }
    assert!(TcpStream::connect("no port here").is_err());
    assert!(TcpListener::bind("localhost:0").unwrap().local_addr().unwrap().ip().is_loopback());
}

#[gort::test(unsafe(migrate), maxprocs = 1)]
fn a_look_up_works_on_a_small_stack() {
    let (listener, addr) = listener();
    let connect = move || TcpStream::connect(("localhost", addr.port())).unwrap().peer_addr().unwrap();
    let small = gort::Builder::new().stack_size(64 << 10).go(connect).unwrap();
    listener.accept().unwrap();
    assert_eq!(small.join().unwrap(), addr);
}

#[test]
fn losers_are_closed() {
    if !descriptors::in_own_process("losers_are_closed") {
        return;
    }
    // SAFETY: nothing here keeps a reference to a thread-local, a thread-bound value or a std guard across a park.
    unsafe {
        gort::run(|| {
            drop(net_cases::pair());
            let (silence, nobody) = (Silence::new(), Nobody::new());
            let (listener, addr) = listener();
            let before = descriptors::open();
            for _ in 0..3 {
                drop(TcpStream::connect(&[silence.addr, nobody.addr, addr][..]).unwrap());
                drop(listener.accept().unwrap());
            }
            assert_eq!(descriptors::open(), before);
        });
    }
}
